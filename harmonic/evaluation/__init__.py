"""Measures of a synthetic table: one question a file."""
