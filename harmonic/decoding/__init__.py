"""A tuned language model writes rows: freely, or held to the schema."""
