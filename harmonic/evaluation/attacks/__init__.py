"""What an attacker does with synthetic rows, or with the model, to tell training rows from others."""
