"""A synthetic rainforest in RFCX's exact layout, with the complete truth beside it."""

from rfcx_ssl.synth.forest import generate
from rfcx_ssl.synth.settings import SynthSettings

__all__ = ["SynthSettings", "generate"]
