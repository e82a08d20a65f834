"""What a run prints: its results in words, or what it would do."""
