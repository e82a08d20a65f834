"""What runs left behind: their reports, read into records and one table."""
