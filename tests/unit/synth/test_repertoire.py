import numpy as np
import pytest
from scipy.fft import rfft

from rfcx_ssl.species import rfcx_species
from rfcx_ssl.synth.notes import SAMPLE_RATE_HZ
from rfcx_ssl.synth.repertoire import SONG_TYPES, draw_voice

BY_SONG = pytest.mark.parametrize(
    "song", SONG_TYPES, ids=lambda song: f"s{song.row.species_id}_{song.row.songtype_id}"
)


def sing(song, seed, pitch_variation=0.05, tempo_variation=0.08):
    rng = np.random.default_rng(seed)
    return draw_voice(song, rng, pitch_variation, tempo_variation).sing(rng)


def energy_between(samples, low_hz, high_hz):
    """Share of the energy between two frequencies."""
    size = 1 << len(samples).bit_length()  # zero padding to a power of two keeps the transform fast
    power = np.square(np.abs(rfft(samples, size)))
    frequencies = np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ)
    return power[(frequencies >= low_hz) & (frequencies <= high_hz)].sum() / power.sum()


def test_every_song_type_of_the_table_has_a_grammar_of_its_own():
    assert [song.row for song in SONG_TYPES] == list(rfcx_species().calls)
    assert len({song.grammar for song in SONG_TYPES}) == len(SONG_TYPES)


@BY_SONG
def test_the_energy_of_a_call_lies_in_the_real_band(song):
    for seed in range(3):
        assert energy_between(sing(song, seed).samples, song.f_min_hz, song.f_max_hz) > 0.99


@BY_SONG
def test_a_call_lasts_about_as_long_as_the_real_template(song):
    lengths = [sing(song, seed).duration_s for seed in range(5)]
    assert 0.65 * song.duration_s < np.mean(lengths) < 1.15 * song.duration_s


@BY_SONG
def test_the_band_a_call_reports_holds_its_energy(song):
    call = sing(song, 3)
    margin_hz = 0.05 * (song.f_max_hz - song.f_min_hz) + 150.0  # short notes are wide, tremolo adds side tones
    assert energy_between(call.samples, call.f_min_hz - margin_hz, call.f_max_hz + margin_hz) > 0.97


def test_an_individual_keeps_its_voice_and_individuals_differ():
    song = SONG_TYPES[3]
    rng = np.random.default_rng(0)
    one, other = draw_voice(song, rng, 0.05, 0.08), draw_voice(song, rng, 0.05, 0.08)

    def band(voice):
        calls = [voice.sing(np.random.default_rng(k)) for k in range(6)]
        return np.array([(call.f_min_hz, call.f_max_hz) for call in calls])

    within = band(one).std(axis=0).max()
    between = np.abs(band(one).mean(axis=0) - band(other).mean(axis=0)).max()
    assert between > 5 * max(within, 1.0)


def test_the_same_draws_sing_the_same_samples():
    np.testing.assert_array_equal(sing(SONG_TYPES[7], 11).samples, sing(SONG_TYPES[7], 11).samples)


def test_no_variation_sings_at_the_grammars_own_pitch_and_tempo():
    voice = draw_voice(SONG_TYPES[0], np.random.default_rng(0), 0.0, 0.0)
    assert (voice.pitch, voice.tempo) == (0.0, 1.0)
