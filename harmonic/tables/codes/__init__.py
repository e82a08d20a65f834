"""Short codes for values, for language models: letters for categories, quantiles for numbers."""
