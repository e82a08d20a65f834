"""TabSyn."""
