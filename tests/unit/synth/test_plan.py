import numpy as np
import pytest

from rfcx_ssl.config import load_settings
from rfcx_ssl.species import rfcx_species
from rfcx_ssl.synth import SynthSettings
from rfcx_ssl.synth.plan import activity, plan_forest
from rfcx_ssl.synth.repertoire import SONG_TYPES


def presence(plan, split):
    rows = [[SONG_TYPES[song].row.species_id for song in task.songs] for task in plan if task.split == split]
    table = np.zeros((len(rows), len(rfcx_species())), bool)
    for row, species in enumerate(rows):
        table[row, species] = True
    return table


@pytest.mark.parametrize("preset", ["tiny", "demo"])
def test_test_prevalences_are_the_tables(preset):
    plan = plan_forest(load_settings(SynthSettings, "synth", preset))
    heard = presence(plan, "test")
    wanted = np.maximum(np.round(np.array(rfcx_species().prevalence) * len(heard)), 1)
    np.testing.assert_array_equal(heard.sum(axis=0), wanted)


def test_training_truth_is_the_prevalence_or_the_confirmed_calls():
    plan = plan_forest(load_settings(SynthSettings, "synth", "demo"))
    heard = presence(plan, "train")
    confirmed = [SONG_TYPES[task.confirmed].row.species_id for task in plan if task.confirmed is not None]
    prevalence = np.round(np.array(rfcx_species().prevalence) * len(heard))
    expected = np.maximum(prevalence, np.bincount(confirmed, minlength=len(rfcx_species())))
    np.testing.assert_array_equal(heard.sum(axis=0), expected)


def test_confirmed_and_rejected_song_types_are_dealt_evenly():
    plan = plan_forest(load_settings(SynthSettings, "synth", "demo"))
    confirmed = np.bincount([task.confirmed for task in plan if task.confirmed is not None], minlength=26)
    rejected = np.bincount([song for task in plan for song in task.rejected], minlength=26)
    assert np.ptp(confirmed) <= 1 and confirmed.sum() == 720
    assert np.ptp(rejected) <= 1


def test_a_confirmed_song_type_is_heard_and_each_species_sings_one_song():
    for task in plan_forest(load_settings(SynthSettings, "synth", "tiny")):
        species = [SONG_TYPES[song].row.species_id for song in task.songs]
        assert len(set(species)) == len(species)
        assert task.confirmed is None or task.confirmed in task.songs


def test_tiny_confirms_every_song_type_twice():
    plan = plan_forest(load_settings(SynthSettings, "synth", "tiny"))
    assert min(np.bincount([task.confirmed for task in plan if task.confirmed is not None], minlength=26)) >= 2


def test_only_part_of_the_training_recordings_is_confirmed_where_asked():
    plan = plan_forest(SynthSettings(train_recordings=100, tp_fraction=0.24))
    assert sum(task.confirmed is not None for task in plan) == 24


def test_sites_are_used_evenly_and_one_after_the_other():
    plan = plan_forest(SynthSettings(train_recordings=40, train_sites=4, test_recordings=9, test_sites=3))
    assert [task.site for task in plan if task.split == "train"] == sorted([0, 1, 2, 3] * 10)
    assert [task.site for task in plan if task.split == "test"] == sorted([0, 1, 2] * 3)


def test_frogs_call_by_night_and_birds_by_day():
    plan = plan_forest(SynthSettings(train_recordings=1, test_recordings=1000))
    heard, night = presence(plan, "test"), np.array([task.night for task in plan if task.split == "test"])
    assert heard[night, 18].mean() > 1.5 * heard[~night, 18].mean()  # a frog
    assert heard[night, 7].mean() < 0.7 * heard[~night, 7].mean()  # a bird


@pytest.mark.parametrize("own_share", [0.1, 0.45, 0.55, 0.9])
def test_activity_averages_to_the_prevalence(own_share):
    for species, prevalence in enumerate(rfcx_species().prevalence):
        on, off = activity(species, True, own_share), activity(species, False, own_share)
        assert own_share * on + (1 - own_share) * off == pytest.approx(prevalence)
        assert 0 < off <= on * 1.0001 and on < 1


def test_another_seed_is_another_forest():
    assert plan_forest(SynthSettings(seed=1)) != plan_forest(SynthSettings(seed=2))
