"""Many jobs from one command: grids, searches, their records and what they print at the end."""
