"""Chooses a method for one table, within a time limit; see experiments.choosing.sweeper."""
