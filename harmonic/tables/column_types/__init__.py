"""What the columns of a table are: numbers, categories or dates; features, names of someone or free text."""
