"""Foreign generators behind the same interface: one method a file."""
