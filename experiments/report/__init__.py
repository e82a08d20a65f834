"""Many runs as tables, charts, tests and a page."""
