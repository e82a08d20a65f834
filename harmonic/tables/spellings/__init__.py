"""How people write numbers, dates and times, and the plain texts behind them."""
