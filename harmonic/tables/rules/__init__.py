"""Rules that relate columns, such as `total = net + tax`: found, written, and kept by new rows."""
