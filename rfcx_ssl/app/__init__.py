"""A page to look at recordings, hear what a model finds in them, and answer it."""
