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


def false_boxes(calls: Sequence[TrueCall], settings: SynthSettings, rng: np.random.Generator) -> list[Box]:
    """Detector hits that an expert rejected: on other species' calls in a similar band, or on background."""
    wanted = int(rng.integers(settings.fp_min, settings.fp_max + 1))
    boxes: list[Box] = []
    for _ in range(20 * wanted):
        if len(boxes) == wanted:
            break
        on_call = bool(calls) and rng.random() < settings.fp_on_call
        box = _box_on_call(calls, settings, rng) if on_call else _box_anywhere(settings, rng)
        if box is not None and is_clear(box, calls) and not any(_same_hit(box, other) for other in boxes):
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


def _box_on_call(calls: Sequence[TrueCall], settings: SynthSettings, rng: np.random.Generator) -> Box | None:
    """A template of another species whose band shares at least a third of the band of one of the calls."""
    call = calls[int(rng.integers(len(calls)))]
    similar = [
        song
        for song in SONG_TYPES
        if song.row.species_id != call.song.row.species_id and _band_overlap(song, call.song) > 0.33
    ]
    if not similar:
        return None
    song = similar[int(rng.integers(len(similar)))]
    return _template(song, rng.uniform(call.t_min, call.t_max), settings, rng)


def _box_anywhere(settings: SynthSettings, rng: np.random.Generator) -> Box:
    song = SONG_TYPES[int(rng.integers(len(SONG_TYPES)))]
    return _template(song, rng.uniform(0.0, settings.duration_s), settings, rng)


def _template(song: SongType, centre_s: float, settings: SynthSettings, rng: np.random.Generator) -> Box:
    """The song type's box around ``centre_s``, a little off as detectors are, moved inside the recording."""
    length_s = song.row.duration_s
    start_s = centre_s - 0.5 * length_s + rng.uniform(-settings.box_jitter_s, settings.box_jitter_s)
    start_s = float(np.clip(start_s, 0.0, settings.duration_s - length_s))
    return Box(song, start_s, start_s + length_s)


def _band_overlap(one: SongType, other: SongType) -> float:
    """Shared bandwidth over the narrower of two bands."""
    shared = min(one.row.f_max_hz, other.row.f_max_hz) - max(one.row.f_min_hz, other.row.f_min_hz)
    return shared / min(one.row.f_max_hz - one.row.f_min_hz, other.row.f_max_hz - other.row.f_min_hz)


def _same_hit(one: Box, other: Box) -> bool:
    """Whether two boxes of one song type overlap: a detector reports a place once."""
    return one.song is other.song and one.t_min < other.t_max and other.t_min < one.t_max
