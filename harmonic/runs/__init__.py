"""The identity of a run, its folder, and the cache of its stages."""
