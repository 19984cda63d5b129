"""The decoder that decisions ask for."""

from rfcx_ssl.decoding.change_point import ChangePointDecoder
from rfcx_ssl.decoding.decisions import Decisions
from rfcx_ssl.decoding.frame_events import Decoder
from rfcx_ssl.decoding.hysteresis import EventDecoder
from rfcx_ssl.frames import FrameGrid


def make_decoder(decisions: Decisions, grid: FrameGrid) -> Decoder:
    """A decoder for one recording. It is pushed probabilities that went through ``decisions.calibration``."""
    return (ChangePointDecoder if decisions.decoder == "change_point" else EventDecoder)(decisions, grid)
