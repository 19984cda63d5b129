"""Self-training: what trained models say of what nobody judged becomes labels for the next ones."""
