"""The arrays on disk: their format, opening and verifying them, instance masks computed later."""
