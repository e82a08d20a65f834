"""The stages of one run: prompts, fit, sample, evaluate."""
