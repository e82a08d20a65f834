"""The ways to write a row, one file each; a file's name is a value of `generator.row_format`."""
