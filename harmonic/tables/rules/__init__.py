"""Rules, such as `total = net + tax`: how they are found, how a user writes them, and how new rows keep them."""
