"""How useful is the synthetic table for training models?"""
