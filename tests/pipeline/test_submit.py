"""``rfcx-ssl submit`` as a user runs it: the synthetic forest, tiny models, the scores that detect writes."""

import csv
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch

import rfcx_ssl.detection.work
from rfcx_ssl.cli import main
from rfcx_ssl.config import load_settings
from rfcx_ssl.detection.journal import Journal
from rfcx_ssl.errors import RunError
from rfcx_ssl.species import SpeciesTable, label_space, rfcx_species
from rfcx_ssl.synth.forest import generate
from rfcx_ssl.synth.settings import SynthSettings

RATE_HZ = 8_000


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synth") / "forest"
    settings = load_settings(SynthSettings, "synth", "tiny", ["train_recordings=12", "test_recordings=8"])
    generate(folder, settings, workers=1, progress=False)
    return folder


@pytest.fixture(scope="module")
def models(tiny_model, tmp_path_factory):
    """Two models with random weights, and song types as outputs; the second has the species the other way round and does not
    know the prevalences that it was trained under.
    """
    folders = []
    calls = rfcx_species().calls
    turned = [replace(call, species_id=23 - call.species_id) for call in calls]
    backwards = SpeciesTable(tuple(sorted(turned, key=lambda call: call.species_id)))
    for seed, species in enumerate((rfcx_species(), backwards)):
        model = tiny_model(RATE_HZ, seed=seed, window_s=2.0, space=label_space(species, split_songtypes=True))
        with torch.no_grad():
            model.head.classify.bias.normal_()
        if seed == 0:
            model.config.train_prevalence = np.linspace(0.1, 0.6, 24).tolist()
        folders.append(str(tmp_path_factory.mktemp("model")))
        model.save_pretrained(folders[-1])
    return folders


def run(*arguments):
    """The command in this process; its exit code."""
    try:
        main([*map(str, arguments), "--threads", "1", "--readers", "0"])
    except SystemExit as stop:
        return stop.code
    return 0


def submit(root, out, models, *more):
    return run("submit", "--models", *models, "--data", root, "--out", out, *more)


def read(path):
    """Header, ids and scores of a table."""
    with path.open() as lines:
        header, *rows = csv.reader(lines)
    return header, [row[0] for row in rows], np.array([row[1:] for row in rows], float)


def detected(root, out, models, *more):
    """The scores that detect writes of the test recordings, in the order of the sample."""
    each = [word for model in models for word in ("--model", model)]
    assert run("detect", root / "test", *each, "--out", out, *more) == 0
    with (out / "scores.csv").open() as lines:
        rows = {row["recording"]: row for row in csv.DictReader(lines)}
    ids = read(root / "sample_submission.csv")[1]
    return np.array([[float(rows[name][species]) for species in rfcx_species().names] for name in ids])


def settings_words(*settings):
    return [word for setting in settings for word in ("--set", setting)]


@pytest.fixture
def deaf(monkeypatch):
    """From now on hearing is a mistake."""

    def forbid():
        def hear(*_):
            raise AssertionError("something was heard")

        monkeypatch.setattr(rfcx_ssl.detection.work.Hearer, "_hear", hear)

    return forbid


def test_scores_are_those_of_detect_whatever_the_rules_and_nothing_is_heard_twice(
    root, models, tmp_path, deaf, capsys
):
    out, occurrence = tmp_path / "submission.csv", tmp_path / "occurrence.csv"
    with (root / "recordings.csv").open() as lines:
        site = next(row["site"] for row in csv.DictReader(lines) if row["split"] == "test")
    occurrence.write_text(f"species,site,odds\ns5,{site},0.1\ns6,{site},0\n")
    rules = [
        (),
        ("recording_score=top", "top_s=0.5", "prevalence=estimate"),
        ("recording_score=max", "prevalence=table", "prevalence_recordings=3", "exclude=[s3]"),
        (f"occurrence={occurrence}",),
    ]
    places = ("--recordings", root / "recordings.csv")
    shaping = ("speeds=[1.0,1.1]", "combine=geometric", "weights=[2,1]")
    expected = [
        detected(root, tmp_path / f"detected{number}", models, *places, *settings_words(*shaping, *rule))
        for number, rule in enumerate(rules)
    ]
    sample = read(root / "sample_submission.csv")
    for number, rule in enumerate(rules):
        assert submit(root, out, models, *places, *settings_words(*shaping, *rule)) == 0
        header, ids, scores = read(out)
        assert (header, ids) == sample[:2]
        np.testing.assert_allclose(scores, expected[number], atol=6e-6)
        if number == 0:
            deaf()
    assert "8 rows, 24 columns, 0 rows filled; mean score of a species from 0.0000 (s3) to" in capsys.readouterr().err
    assert len(np.unique(np.stack(expected).round(4), axis=0)) == len(rules), "the rules make a difference"


def test_a_run_that_was_stopped_goes_on(root, models, tmp_path, monkeypatch):
    heard, add_group = [], Journal.add_group

    def add(journal, part, results):
        if len(heard) == 3:
            raise RunError("the power is gone")
        heard.append([result.recording for result in results])
        add_group(journal, part, results)

    out, words = tmp_path / "submission.csv", (models[:1], "--set", "batch_size=1")
    monkeypatch.setattr(Journal, "add_group", add)
    assert submit(root, out, *words) == 2 and not out.exists()
    monkeypatch.setattr(
        Journal, "add_group", lambda *args: (heard.append([r.recording for r in args[2]]), add_group(*args))
    )
    assert submit(root, out, *words) == 0
    ids = [name for group in heard for name in group]
    assert ids == read(root / "sample_submission.csv")[1], "each was heard once, in order"
    whole = tmp_path / "whole.csv"
    assert submit(root, whole, *words) == 0
    assert whole.read_bytes() == out.read_bytes()


def test_ranks_are_the_weighted_mean_of_the_ranks_of_each_model(root, models, tmp_path, deaf):
    alone = []
    work = tmp_path / "work"
    for number, model in enumerate(models):
        assert submit(root, tmp_path / f"{number}.csv", [model], "--work", work) == 0
        alone.append(read(tmp_path / f"{number}.csv")[2])
    deaf()
    out = tmp_path / "ranks.csv"
    assert submit(root, out, models, "--work", work, "--combine-ranks", "--set", "weights=[3,1]") == 0
    ranks = [scipy.stats.rankdata(scores, axis=0) for scores in alone]
    expected = ((3 * ranks[0] + ranks[1]) / 4 - 0.5) / 8
    np.testing.assert_allclose(read(out)[2], expected, atol=1e-7)
    means = []
    for model in models:
        assert submit(root, out, [model], "--work", work, "--set", "prevalence=table") == 0
        means.append(read(out)[2].mean(axis=0))
    assert (
        submit(
            root, out, models, "--work", work, "--combine-ranks", *settings_words("prevalence=table", "exclude=[s3]")
        )
        == 0
    )
    scores = read(out)[2]
    others = np.arange(24) != 3
    np.testing.assert_allclose(scores.mean(axis=0)[others], np.mean(means, axis=0)[others], atol=1e-6)
    assert (scores[:, 3] == 0).all()
    for species in np.flatnonzero(others):
        order = scipy.stats.rankdata(ranks[0][:, species] + ranks[1][:, species])
        np.testing.assert_array_equal(scipy.stats.rankdata(scores[:, species].round(9)), order)


def test_audio_that_is_missing_or_broken_is_named_or_filled(root, models, tmp_path, capsys):
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    _, ids, _ = read(copy / "sample_submission.csv")
    gone, broken = ids[2], ids[5]
    (copy / "test" / f"{gone}.flac").unlink()
    out = tmp_path / "submission.csv"
    assert submit(copy, out, models[:1]) == 2
    assert f"1 of 8 recordings cannot be heard: {gone} (" in capsys.readouterr().err
    assert not Path(f"{out}.detections").exists(), "it is said before anything is heard"
    (copy / "test" / f"{broken}.flac").write_bytes(b"no audio")
    shutil.copy(root / "test" / f"{gone}.flac", copy / f"{gone}.flac")  # anywhere below the root will do
    assert submit(copy, out, models[:1]) == 2
    assert re.search(rf"1 of 8 recordings cannot be heard: {broken} \(.*{broken}.flac", capsys.readouterr().err)
    assert not out.exists()
    (copy / f"{gone}.flac").unlink()
    assert submit(copy, out, models[:1], "--fill", "0.25", "--combine-ranks") == 0
    said = capsys.readouterr().err
    assert f"2 of 8 rows could not be heard and are filled with 0.25: {gone}, {broken}" in said
    _, filled_ids, scores = read(out)
    assert filled_ids == ids and np.isfinite(scores).all()
    assert (scores[[2, 5]] == 0.25).all()
    others = np.delete(scores, [2, 5], axis=0)
    np.testing.assert_allclose(np.sort(others, axis=0), np.tile((np.arange(6) + 0.5)[:, None] / 6, 24), atol=1e-7)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--fill", "1.5"), "--fill 1.5: must be in [0, 1]"),
        (("--set", "weights=[1,2]"), "weights=[1.0, 2.0]: need one for each of 1 models"),
        (("--out", "SAMPLE"), "is the sample itself"),
        (("--set", "prevalence=estimate", "--combine-ranks"), "no train_prevalence to scale from"),
        (("--set", "exclude=[s99]"), "'s99' is none of the 24 species"),
        (("--data", "nowhere"), "nowhere/sample_submission.csv: cannot be read"),
    ],
)
def test_mistakes_end_with_one_line_and_code_2_before_anything_is_heard(
    root, models, tmp_path, monkeypatch, capsys, more, message
):
    monkeypatch.chdir(tmp_path)
    words = [str(root / "sample_submission.csv") if word == "SAMPLE" else word for word in more]
    assert submit(root, "submission.csv", models[1:], *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line and not Path("submission.csv.detections").exists()
