"""From probabilities to events: calibration, thresholds per species, decoders that stream."""
