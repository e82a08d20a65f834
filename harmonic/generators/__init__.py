"""What every generator offers, and what is built around any generator: conditions and rules."""
