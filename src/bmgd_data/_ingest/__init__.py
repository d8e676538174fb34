"""File bytes to checked arrays: pair, decode, check, write."""
