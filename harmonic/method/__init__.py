"""The HARMONIC generator: what it prepares, tunes and draws (arXiv 2408.02927)."""
