"""What do the synthetic table and its generator reveal about the training rows?"""
