"""The interface of every generator, and wrappers for any generator: conditions, rules, missing values."""
