"""Detection over millions of recordings: what to listen to, a journal that loses nothing, parts, tables."""
