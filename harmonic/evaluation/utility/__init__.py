"""Is the synthetic table worth training on?"""
