"""The page in a real browser: what only that can tell."""
