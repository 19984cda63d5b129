"""Was the pretraining worth it? A frozen encoder's features against those of random weights and of log-mel frames."""
