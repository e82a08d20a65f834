"""How close is the synthetic table to the real one?"""
