"""All that knows fairseq: its checkpoints and their conversion, runs of it, and what this project adds to it."""
