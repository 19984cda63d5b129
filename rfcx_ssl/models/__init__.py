"""Sound event detection models: waveform in, frame and clip logits out, on an exact frame grid."""
