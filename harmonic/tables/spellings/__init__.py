"""How people write numbers, dates and times, and their plain texts."""
