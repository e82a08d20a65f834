"""How useful is the synthetic table for tuning a language model?"""
