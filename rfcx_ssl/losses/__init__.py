"""Masked, weighted losses for three-state labels; every term is logged under its own name."""
