"""Find species in recordings of any length: stream windows, decode events, write tables and pictures."""
