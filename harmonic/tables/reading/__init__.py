"""From a file to a table of texts (encoding, dialect, header, columns), and back to a file with the same layout."""
