"""Choosing decisions for each species of a trained model: calibration, thresholds, smoothing; and what they are worth."""
