"""The report of runs: one page with everything that is known of some models, to read, to look at and to listen to."""
