"""One recording from the probabilities of a model to events and a score: the map of scores, the decoder, the recording's score."""

from rfcx_ssl.decoding.change_point import ChangePointDecoder
from rfcx_ssl.decoding.decisions import Decisions
from rfcx_ssl.decoding.frame_events import Decoder, FrameArray, FrameEvent
from rfcx_ssl.decoding.hysteresis import EventDecoder
from rfcx_ssl.decoding.recording_score import RecordingScore
from rfcx_ssl.decoding.score_map import ScoreMap
from rfcx_ssl.decoding.settings import DecodeSettings
from rfcx_ssl.frames import FrameGrid


def make_decoder(decisions: Decisions, grid: FrameGrid) -> Decoder:
    """The decoder that ``decisions`` ask for, for one recording; it is pushed probabilities that their calibration mapped."""
    return (ChangePointDecoder if decisions.decoder == "change_point" else EventDecoder)(decisions, grid)


class RecordingDecoder:
    """Push what a model (or an ensemble) says of one recording, piece by piece, then finish.

    ``score_map`` is the decisions' calibration, or that with what is known of the recording's species, place and time added.
    """

    def __init__(
        self, decisions: Decisions, settings: DecodeSettings, grid: FrameGrid, score_map: ScoreMap | None = None
    ) -> None:
        self.score_map = decisions.calibration if score_map is None else score_map
        self._decoder = make_decoder(decisions, grid)
        self._score = RecordingScore(settings, grid)
        self._found: list[FrameEvent] = []

    def push(self, frames: FrameArray, clip: FrameArray) -> FrameArray:
        """Take the next frames (t, S) and the clip head's word on everything so far (S,); returns the mapped frames."""
        mapped = self.score_map(frames)
        self._score.push(mapped, self.score_map(clip))
        self._found += self._decoder.push(mapped)
        return mapped

    def finish(self) -> list[FrameEvent]:
        """All events of the recording."""
        return self._found + self._decoder.finish()

    @property
    def score(self) -> FrameArray:
        """The recording's score (S,), mapped."""
        return self._score.value
