"""How near is the synthetic table to the real one?"""
