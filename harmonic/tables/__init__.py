"""Tables: what the columns of a file are, and how its rows are read, split and written."""
