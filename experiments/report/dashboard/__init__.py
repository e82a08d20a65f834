"""A sweep on Weights & Biases: its tables, a saved view of its runs, and a report; a file, and sent by a command."""
