"""The stages of a run: prompts, fit, sample, evaluate."""
