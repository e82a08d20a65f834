"""The HARMONIC generator: it prepares prompts, tunes a model, and draws rows (arXiv 2408.02927)."""
