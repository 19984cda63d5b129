"""Waveform augmentations: whole batches on the training device, labels moving with the audio."""

from rfcx_ssl.augment.chain import Augment, AugmentSettings, build_augment

__all__ = ["Augment", "AugmentSettings", "build_augment"]
