"""The documentation: its pages, and the tables in them that are made from conf and the code."""
