"""Rows of train_tp.csv and train_fp.csv: detector templates of fixed size, as in the real tables."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rfcx_ssl.synth.repertoire import SONG_TYPES, SongType
from rfcx_ssl.synth.scene import TrueCall
from rfcx_ssl.synth.settings import SynthSettings

_CLEAR_S = 0.1  # a false positive keeps this far from every true call of its species


@dataclass(frozen=True, slots=True)
class Box:
    """A template placed in a recording; its band is the song type's."""

    song: SongType
    t_min: float
    t_max: float


def true_boxes(
    calls: Sequence[TrueCall], forced: SongType, settings: SynthSettings, rng: np.random.Generator
) -> list[Box]:
    """The one call an expert confirmed, the loudest of the forced song type; now and then one more call."""
    by_loudness = sorted(calls, key=lambda call: -call.snr_db)
    own = [call for call in by_loudness if call.song is forced]
    chosen = own[:1]
    if rng.random() < settings.second_tp:
        audible = [call for call in by_loudness if call is not chosen[0] and call.snr_db >= settings.tp_min_snr_db]
        chosen += audible[:1]
    return [_template(call.song, 0.5 * (call.t_min + call.t_max), settings, rng) for call in chosen]


def false_boxes(
    calls: Sequence[TrueCall], wanted: Sequence[SongType], settings: SynthSettings, rng: np.random.Generator
) -> list[Box]:
    """Detector hits that an expert rejected: on other species' calls in a similar band, or on background.

    One box for each wanted song type; where its species calls without a pause, another song type takes its place.
    """
    boxes: list[Box] = []
    for song in wanted:
        others = [song, *(SONG_TYPES[k] for k in rng.permutation(len(SONG_TYPES))[:5])]
        box = next(filter(None, (_rejected(one, calls, boxes, settings, rng) for one in others)), None)
        if box is not None:
            boxes.append(box)
    return boxes


def is_clear(box: Box, calls: Sequence[TrueCall]) -> bool:
    """Whether no call of the box's species comes near the box in time."""
    return not any(
        call.song.row.species_id == box.song.row.species_id
        and call.t_min < box.t_max + _CLEAR_S
        and call.t_max > box.t_min - _CLEAR_S
        for call in calls
    )


def _rejected(
    song: SongType, calls: Sequence[TrueCall], boxes: Sequence[Box], settings: SynthSettings, rng: np.random.Generator
) -> Box | None:
    """A box of ``song`` clear of its species' calls and of the earlier boxes, or None after twenty misses."""
    lures = [call for call in calls if _mistakable(song, call)]
    on_call = bool(lures) and rng.random() < settings.fp_on_call
    for _ in range(20):
        if on_call:
            lure = lures[int(rng.integers(len(lures)))]
            center_s = rng.uniform(lure.t_min, lure.t_max)
        else:
            center_s = rng.uniform(0.0, settings.duration_s)
        box = _template(song, center_s, settings, rng)
        if is_clear(box, calls) and not any(_same_hit(box, other) for other in boxes):
            return box
    return None


def _mistakable(song: SongType, call: TrueCall) -> bool:
    """Whether a detector of ``song`` may fire at a call: another species, and a third of the call in its band."""
    if call.song.row.species_id == song.row.species_id:
        return False
    shared_hz = min(song.f_max_hz, call.f_max) - max(song.f_min_hz, call.f_min)
    return shared_hz > 0.33 * (call.f_max - call.f_min)


def _template(song: SongType, center_s: float, settings: SynthSettings, rng: np.random.Generator) -> Box:
    """The song type's box around ``center_s``, a little off as detectors are, moved inside the recording."""
    length_s = song.duration_s
    start_s = center_s - 0.5 * length_s + rng.uniform(-settings.box_jitter_s, settings.box_jitter_s)
    start_s = float(np.clip(start_s, 0.0, settings.duration_s - length_s))
    return Box(song, start_s, start_s + length_s)


def _same_hit(one: Box, other: Box) -> bool:
    """Whether two boxes of one song type overlap: a detector reports a place once."""
    return one.song is other.song and one.t_min < other.t_max and other.t_min < one.t_max
