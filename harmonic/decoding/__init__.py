"""A tuned language model writes rows: freely, or constrained to the schema."""
