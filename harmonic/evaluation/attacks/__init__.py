"""Attacks that use synthetic rows, or the model, to tell training rows from others."""
