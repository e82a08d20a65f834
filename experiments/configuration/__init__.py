"""A run's configuration: checked, and made into objects."""
