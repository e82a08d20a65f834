"""The privacy card of a run."""
