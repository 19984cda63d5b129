"""Labels come from models that did not learn from them, are heard once, and reach training."""

import csv
import json
import shutil
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from rfcx_ssl.data import CropDataset, load_corpus
from rfcx_ssl.data.settings import PseudoSettings
from rfcx_ssl.decoding.decisions import decide
from rfcx_ssl.decoding.decisions_file import write_decisions
from rfcx_ssl.decoding.score_map import ScoreMap
from rfcx_ssl.detection.detect import IncompleteError
from rfcx_ssl.detection.journal import Journal
from rfcx_ssl.errors import AudioError, ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.scorer import TorchScorer
from rfcx_ssl.labels.pseudo import PseudoLabels, scaled_to
from rfcx_ssl.selftraining import label
from rfcx_ssl.selftraining.hear import Work
from rfcx_ssl.selftraining.label import LabelRequest, label_recordings
from rfcx_ssl.selftraining.settings import PseudoLabelSettings
from rfcx_ssl.species import rfcx_species

WORK = Work(device="cpu", readers=0)
GRID = FrameGrid(16_000, 320)


def labels_of(runs, audio, out, **settings):
    """What came of it, the pseudo-labels as they lie there, and what was printed."""
    printed = Console(file=StringIO(), width=200)
    wanted = PseudoLabelSettings(**{"overlap": 0.5, "batch_size": 2, "precision": "fp32", **settings})
    found = label_recordings(LabelRequest(runs, [str(folder) for folder in audio], out, wanted, WORK), printed)
    return found, PseudoLabels.load(out / "labels"), printed.file.getvalue()


@pytest.fixture(scope="module")
def whole(runs, planted, tmp_path_factory):
    """The folder of labels by the three folds."""
    out = tmp_path_factory.mktemp("whole") / "labels"
    labels_of(runs, [planted / "train", planted / "more"], out)
    return out


@pytest.fixture
def make_labels(tmp_path, planted):
    """``make_labels(runs, name, folders, heard, **settings)``: pseudo-labels of the forest; ``heard`` is a folder to start from."""

    def make(runs, name="labels", folders=("train", "more"), heard=None, **settings):
        if heard is not None:
            shutil.copytree(heard, tmp_path / name, dirs_exist_ok=True)
        return labels_of(runs, [planted / folder for folder in folders], tmp_path / name, **settings)

    return make


def test_no_model_labels_what_it_has_learned_from(runs, make_labels, data_of, plant, whole):
    planted, species = plant
    folds = load_corpus(data_of()).folds
    found, soft, _ = make_labels(runs, heard=whole)
    assert soft.by_recording.keys() == {*folds.fold_of, "new0", "new1", "new2"} and found.account.recordings == 15
    column = soft.output_names.index(f"s{species}")
    # two of three models have the planted call in their training and would call it anywhere; its own fold's has not
    assert soft.by_recording[planted].scores[:, column].max() < 0.1
    for name, fold in folds.fold_of.items():
        learned = fold != folds.fold_of[planted]
        assert (soft.by_recording[name].scores[:, column].min() > 0.9) == learned, name
    for name in ("new0", "new1", "new2"):  # the mean of all three
        assert 0.6 < soft.by_recording[name].scores[:, column].mean() < 0.7
    groups = {tuple(group["teachers"]): group["recordings"] for group in found.record["groups"]}
    sizes = [list(folds.fold_of.values()).count(fold) for fold in range(3)]
    assert groups == {(str(run),): size for run, size in zip(runs, sizes, strict=True)} | {tuple(map(str, runs)): 3}


def test_a_run_on_all_labels_labels_the_others_alone(make_run, make_labels):
    _, soft, printed = make_labels([make_run(None)])
    assert sorted(soft.by_recording) == ["new0", "new1", "new2"]
    assert "12 recordings are left out, as every model has learned from their labels: rec00" in printed
    with pytest.raises(AudioError, match="no recording may be labelled"):
        make_labels([make_run(None)], folders=["train"])


def test_a_random_teacher_depends_on_the_recording_alone(runs, make_labels, whole):
    together = make_labels(runs, "a", heard=whole, teacher="random", seed=3)[1].by_recording
    alone = make_labels(runs, "b", ["more"], teacher="random", seed=3)[1].by_recording
    assert together.keys() - alone.keys() == {f"rec{number:02d}" for number in range(12)}
    for name in alone:
        np.testing.assert_array_equal(together[name].scores, alone[name].scores)


def test_what_was_heard_is_not_heard_again(runs, make_labels, monkeypatch, tmp_path, whole):
    heard, added = [], []
    call, add_group = TorchScorer.__call__, Journal.add_group
    monkeypatch.setattr(TorchScorer, "__call__", lambda self, x: heard.append(len(x)) or call(self, x))

    def dies(self, part, results):
        if len(added) == 4:
            raise KeyboardInterrupt
        added.append(len(results))
        add_group(self, part, results)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Journal, "add_group", dies)
        make_labels(runs, "cut")
    assert not (tmp_path / "cut" / "labels").exists()
    before = sum(heard)
    heard.clear()
    make_labels(runs, "cut")
    windows = 12 * 3 + 3 * 2 * 3  # of 2 s each second; the last three by three models
    assert 0 < sum(heard) < windows < before + sum(heard) <= windows + 3 * 4
    files = [sorted((folder / "labels").iterdir()) for folder in (whole, tmp_path / "cut")]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
    heard.clear()
    _, soft, _ = make_labels(runs, "cut", power=2.0)  # another transform of the same probabilities
    assert not heard
    unchanged = PseudoLabels.load(whole / "labels").by_recording["new0"].scores
    np.testing.assert_allclose(soft.by_recording["new0"].scores, unchanged**2, rtol=1e-5)


def test_labels_are_one_set_however_many_files_they_fill(runs, make_labels, monkeypatch, tmp_path, whole):
    monkeypatch.setattr(label, "SHARD_RECORDINGS", 4)
    parts = make_labels(runs, heard=whole)[1].by_recording
    assert [path.name for path in sorted((tmp_path / "labels" / "labels").iterdir())] == [
        f"0000{number}.parquet" for number in range(4)
    ]
    assert PseudoLabels.load(whole / "labels").by_recording.keys() == parts.keys()


def test_training_takes_them_where_nobody_said_anything(data_of, whole):
    soft, plain = PseudoLabels.load(whole / "labels"), load_corpus(data_of())
    taught = load_corpus(data_of(pseudo=PseudoSettings(files=(whole / "labels",), weight=0.4)))
    (target, known), (before, said) = (corpus.frame_labels("rec01", GRID, teacher=0) for corpus in (taught, plain))
    np.testing.assert_array_equal(target[said > 0], before[said > 0])
    np.testing.assert_array_equal(known[said > 0], said[said > 0])
    assert {1.0, np.float32(0.4)} == set(np.unique(known[:, 0])) | set(np.unique(known[:, 1]))
    expected = soft.frame_scores("rec01", GRID, 0.0, len(target))
    free = (said == 0) & ~np.isnan(expected)
    np.testing.assert_array_equal(target[free], expected[free])
    item = CropDataset(taught, 0, GRID, taught.space, seed=0)[0]
    assert ((item.known > 0) & (item.known < 1)).any()


def test_what_was_tuned_calibrates_the_labels(make_run, make_labels):
    run = make_run(0)
    _, plain, _ = make_labels([run], "plain", ["more"])
    slope, offset = np.linspace(0.5, 1.5, 24), np.linspace(-1, 1, 24)
    names = tuple(rfcx_species().names)
    write_decisions(run / "model" / "decisions.json", decide(names, calibration=ScoreMap(slope, offset)))
    found, soft, _ = make_labels([run], "tuned", ["more"])
    assert found.record["groups"][0]["calibrated"]
    raw = plain.by_recording["new0"].scores
    logits = np.log(raw) - np.log1p(-raw)
    np.testing.assert_allclose(soft.by_recording["new0"].scores, 1 / (1 + np.exp(-slope * logits - offset)), atol=2e-3)
    _, left, _ = make_labels([run], "alone", ["more"], tuned=False)
    np.testing.assert_array_equal(left.by_recording["new0"].scores, raw)


def test_a_prior_is_never_counted_twice(make_run, make_labels, tmp_path, whole):
    prior = tmp_path / "prior.csv"
    prior.write_text("name,prevalence\n" + "".join(f"s{species},0.05\n" for species in range(24)))
    found, _, printed = make_labels([make_run(0)], folders=["more"], prevalence=str(prior))
    place = tmp_path / "labels" / "labels"
    assert scaled_to(place) == found.record["prevalence"] == str(prior) and f"scaled to prevalence={prior}" in printed
    student = make_run(0, "student", pseudo=PseudoSettings(files=(place,)))
    with pytest.raises(ConfigError, match=r"student has learned from pseudo-labels that were scaled to .*prior\.csv"):
        make_labels([student], "again", prevalence=str(prior))
    make_labels([student], "again", ["more"])
    assert scaled_to(tmp_path / "again" / "labels") == str(prior)  # what it teaches is scaled, too
    assert scaled_to(whole / "labels") is None


def test_the_report_says_what_was_added_and_names_what_collapsed(runs, make_labels, tmp_path, plant, whole):
    _, species = plant
    found, soft, printed = make_labels(runs, heard=whole, positive=0.6)
    lines = (tmp_path / "labels" / "report.csv").read_text().splitlines()
    rows = {row["species"]: row for row in csv.DictReader(lines)}
    row = rows["Turdus plumbeus"]
    scores = np.concatenate([item.scores for item in soft.by_recording.values()])[:, species]
    peaks = np.array([item.scores[:, species].max() for item in soft.by_recording.values()])
    assert int(row["recordings"]) == (peaks >= 0.6).sum()
    assert float(row["hours"]) == pytest.approx((scores >= 0.6).sum() * soft.frame_s / 3600)
    assert float(row["expected_hours"]) == pytest.approx(scores.sum() * soft.frame_s / 3600)
    assert "more than max_positive_share=0.5" in row["warning"]
    absent = rows["Setophaga angelae"]
    assert absent["warning"] == "nothing reaches positive=0.6" and absent["absent_boxes"] == "12"
    assert absent["average_precision"] == "" and "warning: Turdus plumbeus: calls in" in printed
    assert "| Turdus plumbeus | " in (tmp_path / "labels" / "report.md").read_text()
    record = json.loads((tmp_path / "labels" / "pseudo_label.json").read_text())
    assert record["recordings"] == 15 and record["hours"] == pytest.approx((12 * 4 + 3 * 3) / 3600, rel=0.01)
    assert found.record == record


def test_a_broken_recording_costs_nothing_but_itself(make_run, make_labels, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "noise.flac").write_bytes(b"no audio")
    with pytest.raises(IncompleteError, match="1 of 4 recordings could not be read whole"):
        make_labels([make_run(0)], folders=["more", broken])
    assert sorted(PseudoLabels.load(tmp_path / "labels" / "labels").by_recording) == ["new0", "new1", "new2"]


def test_song_types_apart_cannot_be_labelled(make_run, make_labels):
    with pytest.raises(ConfigError, match=r"pseudo-labels tell species, not the song types of"):
        make_labels([make_run(0, split_songtypes=True)])
