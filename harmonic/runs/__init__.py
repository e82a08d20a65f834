"""A run's identity, its folder, and the cache of its stages."""
