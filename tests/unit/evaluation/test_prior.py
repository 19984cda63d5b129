"""What scores are scaled to, and what is said about it."""

from types import SimpleNamespace

import numpy as np
import pytest

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.evaluation.prior import estimate_for, estimate_note, prior_of
from rfcx_ssl.metrics import estimate_prevalence, match_prevalence, prior_scale
from rfcx_ssl.species.table import Call, SpeciesTable

TRAINED = np.array([0.2, 0.3, 0.25])


def table(*prevalence):
    return SpeciesTable(tuple(Call(s, 1, f"species {s}", prevalence=value) for s, value in enumerate(prevalence)))


def reference(species, recordings=40):
    rng = np.random.default_rng(0)
    truth = rng.random((recordings, 3)) < [0.5, 0.1, 0.3]
    return SimpleNamespace(truth=truth, known=np.ones_like(truth), space=SimpleNamespace(species=species))


def heard(clip, trained=TRAINED):
    return SimpleNamespace(clip=clip, train_prevalence=trained)


@pytest.fixture
def clip():
    return np.random.default_rng(1).beta(0.6, 1.4, (40, 3))


def test_a_known_prevalence_scales_and_is_the_floor(clip, tmp_path):
    prior = prior_of(reference(table(0.5, 0.1, 0.2)))
    np.testing.assert_array_equal(prior.values, [0.5, 0.1, 0.2])
    np.testing.assert_array_equal(prior.scale("m", heard(clip)), match_prevalence(clip, [0.5, 0.1, 0.2]))
    assert prior.scales and prior.source == "Class prior and prior scaling: the prevalences of the species table."
    path = tmp_path / "counted.csv"
    path.write_text("name,prevalence\nspecies 2,0.9\nspecies 0,0.1\nspecies 1,0.2\n")
    prior = prior_of(reference(table(0.5, 0.1, 0.2)), str(path))
    np.testing.assert_array_equal(prior.values, [0.1, 0.2, 0.9])
    assert str(path) in prior.source


def test_a_table_with_gaps_scales_nothing_and_says_so(clip):
    judged = reference(table(0.5, None, 0.2))
    prior = prior_of(judged)
    assert not prior.scales and prior.scale("m", heard(clip)) is None
    np.testing.assert_array_equal(prior.values, judged.truth.mean(axis=0))
    assert "no prevalence for 1 of 3 species (first: species 1): nothing is prior-scaled." in prior.source
    assert "share of the recordings judged here" in prior.source


def test_none_scales_nothing_and_keeps_the_floor_of_the_table(clip):
    prior = prior_of(reference(table(0.5, 0.1, 0.2)), "none")
    assert not prior.scales and prior.scale("m", heard(clip)) is None
    np.testing.assert_array_equal(prior.values, [0.5, 0.1, 0.2])
    assert prior.source == "Nothing is prior-scaled. Class prior: the prevalences of the species table."


def test_estimates_are_each_models_own(clip):
    prior = prior_of(reference(table(0.5, 0.1, 0.2)), "estimate")
    assert prior.scales and prior.prevalence is None
    estimated = estimate_prevalence(clip, TRAINED).prevalence
    np.testing.assert_allclose(prior.scale("m", heard(clip)), prior_scale(clip, estimated, TRAINED))


def test_a_species_of_unknown_training_is_left_as_it_is(clip):
    prior = prior_of(reference(table(0.5, 0.1, 0.2)), "estimate")
    scaled = prior.scale("m", heard(clip, np.array([0.2, np.nan, 0.25])))
    np.testing.assert_array_equal(scaled[:, 1], clip[:, 1])
    np.testing.assert_allclose(scaled[:, [0, 2]], prior.scale("m", heard(clip))[:, [0, 2]])
    assert np.isnan(estimate_for("m", heard(clip, np.array([0.2, np.nan, 0.25])))[1][1])


@pytest.mark.parametrize("trained", [None, np.full(3, np.nan)])
def test_estimates_need_a_model_that_knows_its_training(clip, trained):
    prior = prior_of(reference(table(0.5, 0.1, 0.2)), "estimate")
    with pytest.raises(
        ConfigError, match=r"model m: its config\.json has no train_prevalence, which --prevalence estimate"
    ):
        prior.scale("m", heard(clip, trained))


def test_the_error_of_estimates_is_told(clip):
    judged = reference(table(0.5, 0.1, 0.2))
    note = estimate_note("m", heard(clip), judged)
    share = judged.truth.mean(axis=0)
    error = np.abs(estimate_prevalence(clip, TRAINED).prevalence - share).mean()
    assert note == (
        f"m: its estimated prevalences are {error:.3f} off on average over 3 species "
        f"(one number for all species: {np.abs(share.mean() - share).mean():.3f})."
    )
    judged.known[:] = False
    assert estimate_note("m", heard(clip), judged) == "m: no estimated prevalence can be judged."
