"""Generators that live in environments of their own, for what they need does not fit beside what harmonic needs."""
