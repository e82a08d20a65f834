"""A report on many runs: tables, charts, tests, and an HTML page."""
