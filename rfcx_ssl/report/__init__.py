"""Compare trained models on a test set with complete truth: scores, floors, gates, figures, one HTML page."""
