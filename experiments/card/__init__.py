"""The privacy card of a run: what its numbers say about privacy, in words."""
