import numpy as np
import pytest

from rfcx_ssl.synth import SynthSettings
from rfcx_ssl.synth.notes import SAMPLE_RATE_HZ
from rfcx_ssl.synth.sites import acoustics, draw_site, hump

NUM_SAMPLES = 2 * SAMPLE_RATE_HZ


def test_a_site_is_the_same_every_time_and_no_two_are_alike():
    settings = SynthSettings(seed=4)
    assert draw_site(settings, "train", 3) == draw_site(settings, "train", 3)
    sites = [draw_site(settings, split, number) for split in ("train", "test") for number in range(4)]
    assert len({site.response_db for site in sites}) == len({site.name for site in sites}) == 8


def test_the_echo_has_the_energy_asked_for():
    site = draw_site(SynthSettings(), "train", 0)
    echo = np.fft.irfft(acoustics(site, NUM_SAMPLES, 0.8).echo, NUM_SAMPLES)
    assert np.square(echo).sum() == pytest.approx(0.64, rel=1e-3)


def test_without_reverb_there_is_no_echo():
    site = draw_site(SynthSettings(), "train", 0)
    assert not acoustics(site, NUM_SAMPLES, 0.0).echo.any()


def test_reverberation_dies_away_and_echoes_come_at_their_delays():
    settings = SynthSettings()
    site = next(s for s in (draw_site(settings, "test", k) for k in range(50)) if s.echo_delays_s)
    echo = np.fft.irfft(acoustics(site, NUM_SAMPLES, 1.0).echo, NUM_SAMPLES)
    assert np.abs(echo[: SAMPLE_RATE_HZ // 10]).max() > 3 * np.abs(echo[-SAMPLE_RATE_HZ // 4 :]).max()
    for delay_s in site.echo_delays_s:
        place = round(delay_s * SAMPLE_RATE_HZ)
        neighbours = np.abs(echo[place - 200 : place + 200])
        assert neighbours.argmax() == 200


def test_no_site_response_leaves_only_the_recorders_edges():
    site = draw_site(SynthSettings(site_response_db=0.0), "train", 1)
    room = acoustics(site, NUM_SAMPLES, 0.0)
    middle = (room.frequencies_hz > 200) & (room.frequencies_hz < 17_000)
    np.testing.assert_allclose(room.response[middle], 1.0, atol=1e-5)


def test_the_hump_is_one_at_its_center_and_symmetric_in_octaves():
    low, center, high = hump(np.array([500.0, 1000.0, 2000.0], np.float32), 1000.0, 1.0)
    assert center == pytest.approx(1.0)
    assert low == pytest.approx(high) == pytest.approx(np.exp(-0.5))
