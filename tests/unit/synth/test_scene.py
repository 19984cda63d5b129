import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from rfcx_ssl.synth import SynthSettings
from rfcx_ssl.synth.notes import SAMPLE_RATE_HZ, Call
from rfcx_ssl.synth.repertoire import SONG_TYPES
from rfcx_ssl.synth.scene import compose, hearing_band
from rfcx_ssl.synth.sites import draw_site

QUIET = SynthSettings(
    duration_s=10.0,
    rain=0.0,
    wind=0.0,
    insects=0.0,
    chorus=0.0,
    distractors=0.0,
    reverb=0.0,
    site_response_db=0.0,
    second_individual=0.0,
    snr_min_db=12.0,
    snr_max_db=12.0,
)
COQUI, OWL = SONG_TYPES[3], SONG_TYPES[13]


def scene_of(songs, settings=QUIET, clear=None, seed=0):
    site = draw_site(settings, "train", 0)
    return compose(site, settings, songs, clear, True, np.random.default_rng(seed))


def in_band(samples, call):
    return sosfilt(butter(4, (call.f_min - 50, call.f_max + 50), "bandpass", fs=SAMPLE_RATE_HZ, output="sos"), samples)


def test_calls_lie_inside_the_recording_in_order_and_in_their_band():
    scene = scene_of([COQUI, OWL, SONG_TYPES[25]])
    assert [call.t_min for call in scene.calls] == sorted(call.t_min for call in scene.calls)
    assert {call.song for call in scene.calls} == {COQUI, OWL, SONG_TYPES[25]}
    for call in scene.calls:
        assert 0 <= call.t_min < call.t_max <= 10.0
        assert call.song.f_min_hz <= call.f_min < call.f_max <= call.song.f_max_hz


def test_a_call_is_heard_where_the_truth_says():
    scene = scene_of([OWL])
    call = scene.calls[0]
    loudness = np.square(in_band(scene.samples, call))
    start, stop = round(call.t_min * SAMPLE_RATE_HZ), round(call.t_max * SAMPLE_RATE_HZ)
    inside = loudness[start:stop].mean()
    outside = (
        np.concatenate([loudness[: start - 4800], loudness[stop + 4800 :]]).mean() if len(scene.calls) == 1 else 0
    )
    assert inside > 5 * outside


def test_the_signal_to_noise_ratio_is_the_one_in_the_truth():
    scene = scene_of([COQUI])
    assert abs(np.mean([call.snr_db for call in scene.calls]) - 12.0) < 2.5
    # measured independently: power of the loud 5 ms blocks of each call over that of the pauses, in the same band
    spans = [(round(call.t_min * SAMPLE_RATE_HZ), round(call.t_max * SAMPLE_RATE_HZ)) for call in scene.calls]
    pause = np.ones(len(scene.samples), bool)
    for start, stop in spans:
        pause[max(start - 2400, 0) : stop + 2400] = False
    errors_db = []
    for call, (start, stop) in zip(scene.calls, spans, strict=True):
        band = hearing_band(Call(np.zeros(0, np.float32), call.f_min, call.f_max), COQUI)
        samples = sosfilt(butter(8, band, "bandpass", fs=SAMPLE_RATE_HZ, output="sos"), scene.samples)
        noise = np.square(samples[pause]).mean()
        blocks = np.square(samples[start : start + (stop - start) // 240 * 240].reshape(-1, 240)).mean(axis=1)
        active = blocks[blocks > blocks.max() * 10**-1.5].mean()
        errors_db.append(10 * np.log10((active - noise) / noise) - call.snr_db)
    assert np.mean(errors_db) == pytest.approx(0.0, abs=1.0)


@pytest.mark.parametrize(
    ("call_hz", "expected_hz"),
    [((1500, 1600), (1104.75, 1995.25)), ((1050, 1100), (1031, 1921.5)), ((1100, 2700), (1100, 2700))],
)
def test_a_call_is_heard_in_its_own_band_widened_to_half_of_its_species(call_hz, expected_hz):
    assert hearing_band(Call(np.zeros(0, np.float32), *call_hz), COQUI) == pytest.approx(expected_hz)


def test_the_confirmed_song_type_is_at_least_as_loud_as_asked():
    hard = SynthSettings(**{**vars(QUIET), "snr_min_db": -20.0, "snr_max_db": 10.0, "tp_min_snr_db": 8.0})
    for seed in range(5):
        loudest = max(call.snr_db for call in scene_of([OWL], hard, OWL, seed).calls)
        assert loudest > 5.0  # 8 dB, less what an individual drifts and varies


def test_samples_neither_clip_nor_vanish():
    scene = scene_of(SONG_TYPES[:12])
    assert 0.001 < scene.samples.std() < 0.2
    assert np.abs(scene.samples).max() <= 1.0


def test_more_calls_where_the_rate_is_higher():
    few = scene_of([COQUI], SynthSettings(**{**vars(QUIET), "call_rate": 0.1}))
    many = scene_of([COQUI], SynthSettings(**{**vars(QUIET), "call_rate": 4.0}))
    assert len(few.calls) < len(many.calls)
