"""Pictures for people: one spectrogram, one palette, and what is drawn with them."""
