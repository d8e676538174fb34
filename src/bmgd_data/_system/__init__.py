"""The machine below: paths, locks, writes that are whole or absent, progress bars."""
