import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.synth import SynthSettings
from rfcx_ssl.synth.boxes import Box, false_boxes, is_clear, true_boxes
from rfcx_ssl.synth.repertoire import SONG_TYPES
from rfcx_ssl.synth.scene import TrueCall

SETTINGS = SynthSettings(duration_s=20.0, second_tp=0.0)


def call_of(song_number, t_min, snr_db=5.0):
    song = SONG_TYPES[song_number]
    return TrueCall(song, t_min, t_min + song.duration_s, song.f_min_hz, song.f_max_hz, snr_db)


def test_the_loudest_call_is_confirmed_with_the_detectors_fixed_length():
    calls = [call_of(3, 2.0, 1.0), call_of(3, 9.0, 8.0), call_of(0, 5.0, 20.0)]
    (box,) = true_boxes(calls, SONG_TYPES[3], SETTINGS, np.random.default_rng(0))
    assert box.song is SONG_TYPES[3]
    assert box.t_max - box.t_min == pytest.approx(SONG_TYPES[3].duration_s)
    assert abs(0.5 * (box.t_min + box.t_max) - (9.0 + 0.37)) <= SETTINGS.box_jitter_s + 1e-9


def test_a_second_call_is_confirmed_only_where_it_is_audible():
    always = SynthSettings(duration_s=20.0, second_tp=1.0, tp_min_snr_db=0.0)
    calls = [call_of(3, 2.0, 1.0), call_of(0, 5.0, -3.0)]
    assert len(true_boxes(calls, SONG_TYPES[3], always, np.random.default_rng(0))) == 1
    assert len(true_boxes([*calls, call_of(7, 8.0, 2.0)], SONG_TYPES[3], always, np.random.default_rng(0))) == 2


@settings(deadline=None, max_examples=30)
@given(
    songs=st.lists(st.integers(0, 25), max_size=6),
    wanted=st.lists(st.integers(0, 25), max_size=6),
    seed=st.integers(0, 2**32 - 1),
)
def test_rejected_boxes_never_touch_a_call_of_their_species(songs, wanted, seed):
    rng = np.random.default_rng(seed)
    calls = [call_of(song, float(rng.uniform(0, 20 - SONG_TYPES[song].duration_s))) for song in songs]
    boxes = false_boxes(calls, [SONG_TYPES[song] for song in wanted], SETTINGS, rng)
    assert len(boxes) <= len(wanted)
    for box in boxes:
        assert 0.0 <= box.t_min < box.t_max <= 20.0 + 1e-9
        for call in calls:
            same = call.song.row.species_id == box.song.row.species_id
            assert not (same and call.t_min < box.t_max and call.t_max > box.t_min)


def test_a_species_without_a_pause_is_replaced():
    calls = [call_of(3, 0.7 * k) for k in range(29)]
    (box,) = false_boxes(calls, [SONG_TYPES[3]], SETTINGS, np.random.default_rng(0))
    assert box.song is not SONG_TYPES[3]


def test_rejected_boxes_sit_on_mistakable_calls_as_often_as_asked():
    calls = [call_of(8, 8.0)]  # s8's band lies in s1's
    for share in (0.0, 1.0):
        some = SynthSettings(duration_s=20.0, fp_on_call=share)
        rng = np.random.default_rng(3)
        boxes = [false_boxes(calls, [SONG_TYPES[1]], some, rng)[0] for _ in range(60)]
        on_call = np.mean([box.t_min < calls[0].t_max and box.t_max > calls[0].t_min for box in boxes])
        assert on_call == 1.0 if share else on_call < 0.6


def test_a_box_must_be_clear_of_the_other_song_type_of_its_species():
    song, other_song, other_species = SONG_TYPES[17], SONG_TYPES[18], SONG_TYPES[19]
    assert song.row.species_id == other_song.row.species_id != other_species.row.species_id
    box = Box(song, 5.0, 11.0)
    assert not is_clear(box, [call_of(18, 8.0)])
    assert is_clear(box, [call_of(18, 12.0)])
    assert is_clear(box, [call_of(19, 8.0)])
