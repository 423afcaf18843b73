"""The others: each peer exports one table in a fresh process, the way its own manual says."""
