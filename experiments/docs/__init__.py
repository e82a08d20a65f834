"""The documentation: its pages, and what is made of conf and of the code for them."""
