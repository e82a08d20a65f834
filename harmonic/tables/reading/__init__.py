"""From a file to a table of texts: bytes, dialect, header, columns; and back to a file of the same layout."""
