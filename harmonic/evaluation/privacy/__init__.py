"""What does the synthetic table, or its generator, give away?"""
