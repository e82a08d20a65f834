"""Generators that synthcity has."""
