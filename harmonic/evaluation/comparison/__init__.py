"""How rows are compared: encodings, distances, matches, classifiers, resamples."""
