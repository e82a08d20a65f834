"""Metrics of a synthetic table: each file answers one question."""
