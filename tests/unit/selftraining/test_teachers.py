"""What a run learned from is read from what it recorded, its beginnings included."""

import dataclasses
import json

import pytest

from rfcx_ssl.data import load_corpus
from rfcx_ssl.errors import ConfigError, RunError
from rfcx_ssl.selftraining.teachers import open_teachers


def test_each_run_has_seen_the_other_folds(runs, data_of):
    folds = load_corpus(data_of()).folds
    for fold, teacher in enumerate(open_teachers(runs).members):
        assert teacher.seen == {name for name, own in folds.fold_of.items() if own != fold}


def test_a_budget_leaves_the_others_unseen(make_run, data_of):
    data = data_of(labels_per_species=1)
    (teacher,) = open_teachers([make_run(0, labels_per_species=1)]).members
    assert teacher.seen == load_corpus(data).within_budget(0).budget.recording_ids
    assert len(teacher.seen) < len(load_corpus(data).folds.train_ids(0))


@pytest.mark.parametrize("place", ["", "model", "best/step_0000100"])
def test_what_a_run_started_from_has_seen_it_has_seen(make_run, place):
    first = make_run(0)
    (teacher,) = open_teachers([make_run(1, start=str(first / place))]).members
    assert teacher.seen == set().union(*(t.seen for t in open_teachers([first, make_run(1, "plain")]).members))


def test_a_distilled_student_has_seen_what_its_teachers_have(make_run, tmp_path):
    """Of its teacher of ours, that is; a classifier of somebody else cannot be asked."""
    taught, student = make_run(0), tmp_path / "student"
    models = [str(taught / "model"), "theirs.yaml"]
    record = {"kind": "distillation", "config": {"teacher": {"models": models}, "start": None}, "finished": True}
    (student / "model").mkdir(parents=True)
    (student / "run.json").write_text(json.dumps(record))
    (teacher,) = open_teachers([make_run(1, start=str(student / "model"))]).members
    assert teacher.seen == set().union(*(t.seen for t in open_teachers([taught, make_run(1, "plain")]).members))
    with pytest.raises(RunError, match="no run folder tells what that learned from"):
        record["config"]["teacher"]["models"] = ["somebody/model"]
        (student / "run.json").write_text(json.dumps(record))
        open_teachers([make_run(2, start=str(student / "model"))])


def test_what_cannot_be_known_is_refused(make_run):
    runs = [make_run(0), make_run(1)]
    with pytest.raises(RunError, match="no run folder tells what that learned from"):
        open_teachers([make_run(0, start="me/model")])
    with pytest.raises(RunError, match="not the folder of a finished run"):
        open_teachers([runs[1] / "model"])
    with pytest.raises(ConfigError, match="a run is named twice"):
        open_teachers([runs[1], runs[1]])
    record = json.loads((runs[1] / "run.json").read_text())
    (runs[1] / "run.json").write_text(json.dumps(record | {"finished": False}))
    with pytest.raises(RunError, match="not the folder of a finished run"):
        open_teachers([runs[1]])
    record["config"].pop("fold")
    (runs[1] / "run.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match=r"has no config\.fold"):
        open_teachers([runs[1]])


def test_folds_that_were_dealt_anew_are_refused(make_run, data_of, tmp_path):
    file = tmp_path / "folds.csv"
    run = make_run(0, folds_file=file)
    folds = load_corpus(data_of(folds_file=file)).folds
    turned = {name: (fold + 1) % 3 for name, fold in folds.fold_of.items()}
    dataclasses.replace(folds, fold_of=turned).save(file)
    with pytest.raises(RunError, match=r"fold_0: its train recordings are not those .* cannot be told"):
        open_teachers([run])
