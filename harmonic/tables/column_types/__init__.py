"""What the columns of a table are: numbers, categories or dates; something to learn, identifiers or free text."""
