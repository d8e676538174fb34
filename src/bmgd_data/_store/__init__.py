"""The arrays on disk: their format, opening and verifying; instance masks computed later."""
