"""Every number of an evaluation against scikit-learn, plain metrics and loops over groups."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.evaluation.evaluate import JudgingOptions, evaluate
from rfcx_ssl.metrics import bootstrap_interval, lwlrap, match_prevalence, partial_lwlrap
from rfcx_ssl.metrics.events import event_metrics
from rfcx_ssl.species import Call, SpeciesTable, label_space

FEW = JudgingOptions(resamples=40)


def macro(metric, truth, scores, known):
    """Mean of a metric of scikit-learn over the species with present and absent cells, and all their cells pooled."""
    both = [s for s in range(truth.shape[1]) if len(set(truth[known[:, s], s])) == 2]
    if not both:
        return np.nan, np.nan
    values = [metric(truth[known[:, s], s], scores[known[:, s], s]) for s in both]
    cells = known[:, both]
    return np.mean(values), metric(truth[:, both][cells], scores[:, both][cells])


@pytest.mark.parametrize("known_rate", [0.3, 1.0])
def test_scores_of_everything_and_of_every_group_equal_scikit_learns(make_reference, make_heard, known_rate):
    reference = make_reference(known_rate, timed_rate=0.0)
    heard = {"one": make_heard(reference, 2.0), "two": make_heard(reference, 1.0, seed=2)}
    loudness = np.where(reference.truth, np.random.default_rng(3).uniform(-5, 20, reference.truth.shape), np.nan)
    found = evaluate(reference, heard, FEW, loudness)
    kinds = dict.fromkeys(verdict.group.kind for verdict in found.verdicts)
    assert list(kinds) == ["all", "site", "hour", "snr_db"]
    assert len(found.verdicts) == 2 * (1 + 6 + 3 + 5)
    for verdict in found.verdicts:
        cells, scores = reference.known.copy(), heard[verdict.model].clip
        for row in range(60):
            for species in range(4):
                value = loudness[row, species]
                inside = {
                    "all": True,
                    "site": reference.sites[row] == verdict.group.name,
                    "hour": reference.hours[row] is not None and f"{reference.hours[row]:02d}" == verdict.group.name,
                    "snr_db": not reference.truth[row, species] or band(value) == verdict.group.name,
                }[verdict.group.kind]
                cells[row, species] &= inside
        assert verdict.values["recordings"] == cells.any(axis=1).sum()
        assert verdict.values["present"] == (reference.truth & cells).sum()
        truth = reference.truth & cells
        values = [verdict.values[name] for name in ("map", "map_micro", "auc", "auc_micro")]
        expected = [*macro(average_precision_score, truth, scores, cells), *macro(roc_auc_score, truth, scores, cells)]
        assert_allclose(values, expected)
        assert_allclose(verdict.values["lwlrap"], partial_lwlrap(truth, scores, cells).overall)
        refutable = [s for s in range(4) if (cells[:, s] & ~truth[:, s]).any()]
        said, detected = (part[:, refutable][cells[:, refutable]] for part in (truth, scores >= 0.5))
        if said.any():
            for name, metric in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
                assert_allclose(verdict.values[name], metric(said, detected, zero_division=np.nan))
            assert_allclose(verdict.values["f1_always_floor"], f1_score(said, np.ones(len(said))))


def band(value):
    return ["below 0", "0 to 5", "5 to 10", "10 to 15", "15 up"][
        int(np.searchsorted((0, 5, 10, 15), value, side="right"))
    ]


def test_boxes_are_those_of_the_groups_recordings(make_reference, make_heard):
    reference = make_reference(0.3, timed_rate=0.0)
    heard = make_heard(reference, 0.5)
    found = evaluate(reference, {"one": heard}, FEW)
    boxes = [of_one[0] for of_one in heard.boxes]
    present, species = np.array([box.present for box in boxes]), np.array([box.species_id for box in boxes])
    for verdict in found.verdicts:
        rows = np.array([verdict.group.kind == "all" or site == verdict.group.name for site in reference.sites])
        if verdict.group.kind == "hour":
            rows = np.array([hour is not None and f"{hour:02d}" == verdict.group.name for hour in reference.hours])
        mine = [rows & (species == s) for s in range(3)]
        mine = [of_one for of_one in mine if len(set(present[of_one])) == 2]
        expected = [roc_auc_score(present[of_one], heard.box_scores[of_one]) for of_one in mine]
        assert_allclose(verdict.values["box_auc"], np.mean(expected))
        assert verdict.values["boxes_present"] == present[rows].sum()
        assert np.isnan(verdict.values["segment_f1"]) and verdict.values["event_recordings"] == 0
    assert found.judged["one"].events is None


def test_events_are_judged_where_every_call_is_timed_against_hearing_everything_always(make_reference, make_heard):
    reference = make_reference(timed_rate=0.2)
    heard = make_heard(reference, 1.0)
    found = evaluate(reference, {"one": heard}, FEW)
    rows = np.flatnonzero(reference.timed)
    calls = [[(call.start_s, call.end_s, call.species_id) for call in reference.calls[row]] for row in rows]
    expected = event_metrics([heard.frames[row] for row in rows], calls, [4.0] * len(rows), 0.1)
    blind = event_metrics([np.full((40, 4), 0.5)] * len(rows), calls, [4.0] * len(rows), 0.1)
    values = found.overall["one"].values
    assert values["event_recordings"] == len(rows)
    assert values["segment_f1_best"] == pytest.approx(expected.segment_f1_best.macro)
    assert values["psds"] == pytest.approx(expected.psds.macro)
    assert values["segment_f1_best_always_floor"] == pytest.approx(blind.segment_f1_best.macro)
    by_site = {v.group.name: v.values for v in found.verdicts if v.group.kind == "site"}
    assert sum(values["event_recordings"] for values in by_site.values()) == len(rows)


def test_margins_over_the_first_model_are_paired_and_sites_can_be_drawn_whole(make_reference, make_heard):
    reference = make_reference(0.5, timed_rate=0.0)
    one, two = make_heard(reference, 0.5), make_heard(reference, 3.0, seed=1)
    options = JudgingOptions(resample="site", resamples=50, seed=4)
    found = evaluate(reference, {"one": one, "two": two}, options)
    values = found.overall["two"].values
    assert np.isnan(found.overall["one"].values["lwlrap_over_first"])
    sites = [sorted(set(reference.sites)).index(site) for site in reference.sites]
    known = found.judged["one"].recordings.judge.ranked
    expected = bootstrap_interval(
        lambda *arrays: lwlrap(*arrays).overall,
        reference.truth & known,
        two.clip,
        one.clip,
        known,
        groups=sites,
        rng=np.random.default_rng(4),
        resamples=50,
    )
    margin = [values[f"lwlrap_over_first{end}"] for end in ("", "_low", "_high")]
    assert_allclose(margin, expected)
    assert margin[1] > 0 and values["box_auc_over_first_low"] > 0

    homeless = dataclasses.replace(reference, sites=(None, *reference.sites[1:]))
    with pytest.raises(ConfigError, match=r"--resample site: 1 of 60 recordings have no site \(first: r00\)"):
        evaluate(homeless, {"one": one}, options)


def test_scores_are_scaled_only_by_a_prevalence_that_is_known_without_these_recordings(make_reference, make_heard):
    reference = make_reference(timed_rate=0.0)
    heard = {"one": make_heard(reference, 1.0)}
    found = evaluate(reference, heard, FEW)
    assert np.isnan(found.overall["one"].values["lwlrap_scaled"]) and "nothing is prior-scaled" in found.notes[0]
    share = reference.truth.mean(axis=0)
    floor = found.overall["one"].values["lwlrap_prior_floor"]
    assert floor == pytest.approx(lwlrap(reference.truth, np.broadcast_to(share, (60, 4))).overall)

    prevalence = (0.4, 0.3, 0.2, 0.1)
    calls = [Call(s, 1, name, prevalence=p) for s, (name, p) in enumerate(zip("abcd", prevalence, strict=True))]
    known = dataclasses.replace(reference, space=label_space(SpeciesTable(tuple(calls))))
    values = evaluate(known, heard, FEW).overall["one"].values
    scaled = match_prevalence(heard["one"].clip, prevalence)
    assert values["lwlrap_scaled"] == pytest.approx(lwlrap(reference.truth, scaled).overall)
    assert values["lwlrap_scaled"] != values["lwlrap"]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"threshold": 0.0}, r"--threshold 0: must be in \(0, 1\]"), ({"resamples": 0}, "--resamples 0: must be")],
)
def test_options_without_a_meaning_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        JudgingOptions(**options)
