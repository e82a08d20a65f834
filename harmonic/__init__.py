"""Synthetic tabular data from language models, with privacy that is measured."""
