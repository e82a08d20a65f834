"""Generators from synthcity."""
