"""Self-supervised wav2vec 2.0 pretraining and frame-wise species detection for rainforest audio."""

__version__ = "0.1.0"
