"""Generators in separate environments, because they need other versions of packages than harmonic."""
