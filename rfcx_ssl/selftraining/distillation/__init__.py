"""Distillation: a student learns what teachers say of recordings that nobody labelled."""
