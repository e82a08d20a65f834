"""Rows with a schema: what a file's columns are, how they are read, split and written back."""
