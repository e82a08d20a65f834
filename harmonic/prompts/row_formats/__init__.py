"""The row formats, one per file. The name of a file is a value of `generator.row_format`."""
