"""Other generators with the same interface: each method in a file or folder."""
