"""Prior shift: to the species table, a file, or what earlier recordings say."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rfcx_ssl.decoding.prior import prior_log_odds, refuse_second_prior
from rfcx_ssl.decoding.score_map import ScoreMap
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.metrics import estimate_prevalence, match_prevalence, prior_scale
from rfcx_ssl.species.table import Call, SpeciesTable

SPECIES = SpeciesTable((Call(0, 1, "Coqui", prevalence=0.9), Call(1, 1, "Wren", prevalence=0.01)))
NAMES_ALONE = SpeciesTable.of_names(["Coqui", "Wren"])
TRAINED = np.array([0.2, 0.3])
SCORES = np.random.default_rng(0).random((20, 2))


def shifted(*known):
    return ScoreMap.identity(2).shifted(prior_log_odds(*known))(SCORES)


def test_the_table_or_a_file_says_how_common_species_are(tmp_path):
    path = tmp_path / "counted.csv"
    path.write_text("name,prevalence\nWren,0.5\nCoqui,0.5\n")
    assert_allclose(shifted("table", SPECIES, TRAINED), prior_scale(SCORES, [0.9, 0.01], TRAINED), atol=1e-6)
    assert_allclose(shifted(str(path), SPECIES, TRAINED), prior_scale(SCORES, [0.5, 0.5], TRAINED), atol=1e-6)


def test_earlier_scores_are_matched_or_estimated_from():
    assert_allclose(shifted("table", SPECIES, None, SCORES), match_prevalence(SCORES, [0.9, 0.01]), atol=1e-6)
    estimated = estimate_prevalence(SCORES, TRAINED).prevalence
    assert_allclose(
        shifted("estimate", NAMES_ALONE, TRAINED, SCORES), prior_scale(SCORES, estimated, TRAINED), atol=1e-6
    )


def test_nothing_moves_where_nothing_is_known():
    assert prior_log_odds("none", SPECIES, None).tolist() == [0, 0]
    assert prior_log_odds("table", SPECIES, np.array([np.nan, 0.3]))[0] == 0
    assert prior_log_odds("estimate", SPECIES, np.array([np.nan, 0.3]), SCORES)[0] == 0


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (("table", SPECIES, None), "table: the model's config.json has no train_prevalence"),
        (("table", SPECIES, np.full(2, np.nan)), "no train_prevalence"),
        (("table", NAMES_ALONE, TRAINED), "table: not every species of the table has one"),
        (("estimate", SPECIES, TRAINED), "estimate: needs the scores of earlier recordings"),
    ],
)
def test_what_is_missing_is_said(known, message):
    with pytest.raises(ConfigError, match=message):
        prior_log_odds(*known)


def test_a_prior_that_is_in_the_scores_is_not_added_again():
    refuse_second_prior("none", "model m", "table")
    refuse_second_prior("table", "model m", None)
    with pytest.raises(
        ConfigError, match=r"prevalence=estimate: model m has learned from pseudo-labels .*prevalence=table"
    ):
        refuse_second_prior("estimate", "model m", "table")
