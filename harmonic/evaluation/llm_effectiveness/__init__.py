"""Is the synthetic table worth teaching to a language model?"""
