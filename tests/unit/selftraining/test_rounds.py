"""Rounds label out of fold, train with the labels, are judged and end; killed anywhere, they go on."""

import csv
import json
import shutil
from dataclasses import replace
from functools import cache
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from rfcx_ssl.audio import read_audio
from rfcx_ssl.config import load_settings
from rfcx_ssl.detection.journal import Journal
from rfcx_ssl.errors import ConfigError, RunError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.predict import predict_recording
from rfcx_ssl.labels.pseudo import PseudoLabels
from rfcx_ssl.metrics import lwlrap
from rfcx_ssl.selftraining import arms
from rfcx_ssl.selftraining.hear import Work
from rfcx_ssl.selftraining.rounds import RoundsRequest, self_train
from rfcx_ssl.selftraining.rounds_settings import RoundSettings, SelfTrainSettings
from rfcx_ssl.training.run_folder import RunFolder
from rfcx_ssl.training.train import TrainSettings
from rfcx_ssl.training.validation import Scores, Validation

GRID = FrameGrid(16_000, 320)
TRUTH = """recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max,snr_db
new0,0,1,0.5,1000,1.0,2000,5
new0,4,1,0.5,1000,1.0,2000,5
new1,17,1,0.5,1000,1.0,2000,5
"""
SURE_OF = {"round_0": 0.1, "round_1": 0.8, "round_2": 0.7, "round_3": 0.9, "control": 0.5}  # what is there, of noise


@pytest.fixture(scope="module")
def world(planted, tmp_path_factory):
    """The planted forest with complete recordings, which can be ranked, and with test recordings of known calls."""
    root = tmp_path_factory.mktemp("world") / "forest"
    shutil.copytree(planted, root)
    shutil.copytree(root / "more", root / "test")
    (root / "truth.csv").write_text(TRUTH)
    (root / "recordings.csv").unlink()
    (root / "complete.csv").write_text("".join(f"rec{number:02d}\n" for number in range(10)))
    return root


@pytest.fixture(scope="module")
def settings_in(world):
    """``settings_in(**changes)``: of rounds on it."""
    words = (
        "model=panns_demo",
        "data=rfcx",
        f"data.root={world}",
        "data.sample_rate_hz=16000",
        "data.crop_s=1",
        "max_steps=5",
    )
    more = ("data.num_folds=3", "data.audio_folders=[train,more]", f"data.complete_file={world / 'complete.csv'}")
    usual = {
        "train": (*words, *more),
        "label": ("overlap=0.5", "batch_size=2", "precision=fp32", "max_positive_share=0.9"),
        "rounds": (RoundSettings(), RoundSettings(start="previous", student=("max_steps=7",)), RoundSettings()),
        "resamples": 20,
    }
    return lambda **changes: SelfTrainSettings(**usual | changes)


@pytest.fixture(scope="module", autouse=True)
def composed():
    """Words are composed once: it takes a quarter of a second each time, and gives the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arms, "load_settings", lambda *words: compose(*words[:-1], tuple(words[-1])))
        yield


@cache
def compose(kind, group, name, overrides):
    """The settings of some words."""
    return load_settings(kind, group, name, overrides)


class Trainings:
    """Stands in for the launcher: models that know by heart, whose out-of-fold scores are as good as ``SURE_OF`` says."""

    def __init__(self, memorize):
        self.memorize, self.made, self.left = memorize, {}, 1000

    def run_all(self, launches):
        for launch in launches:
            if not RunFolder(launch.output_dir).is_finished:
                if not self.left:
                    raise KeyboardInterrupt
                self.left -= 1
                self._train(launch)
        return []

    def _train(self, launch):
        arm, seed, fold = launch.output_dir.parts[-3:]
        assert (arm, seed, fold) not in self.made, "trained twice"
        self.made[arm, seed, fold] = launch.overrides
        own = ("fold=", "seed=", "start.")
        words = [word for word in launch.overrides if not word.startswith(own)]
        alike = compose(TrainSettings, "finetune", "train", (*words, "output_dir=RUN"))
        found = replace(alike, fold=int(fold.removeprefix("fold_")), seed=int(seed.removeprefix("seed_")))
        starts = [
            word.removeprefix("start.model=").strip("'") for word in launch.overrides if word.startswith("start.")
        ]
        launch.output_dir.mkdir(parents=True)
        corpus = self.memorize(launch.output_dir, found.data, found.fold, *starts)
        judged = corpus.judged(corpus.folds.valid_ids(found.fold), GRID)
        rng = np.random.default_rng(found.fold)
        sure = SURE_OF[arm]
        scores = sure * judged.truth + (1 - sure) * rng.random(judged.truth.shape)
        boxes = np.array([box.present * sure for of in judged.boxes for box in of], np.float32)
        validation = Validation(
            judged, corpus, lambda model, waveform: None, prior=np.full(24, 0.5), space=corpus.space, grid=GRID
        )
        validation.write(launch.output_dir, Scores(scores, boxes, scores), found.fold, found.seed)
        facts = {"fold": found.fold, "metrics": {}, "selected": "last", "train_s": 1.0, "steps": found.max_steps}
        record = json.loads((launch.output_dir / "run.json").read_text())
        record["config"] |= {"seed": found.seed}
        (launch.output_dir / "run.json").write_text(json.dumps(record | facts))


def train_rounds(settings, out, trainings):
    """What is printed by one start."""
    printed = Console(file=StringIO(), width=250)
    self_train(RoundsRequest(settings, out, trainings, Work(device="cpu", readers=0)), printed)
    return printed.file.getvalue()


def table(out):
    with (out / "rounds.csv").open() as file:
        return {row["arm"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def whole(settings_in, memorize, tmp_path_factory):
    """The folder of rounds that nobody disturbed, their trainings, and what was printed."""
    out, trainings = tmp_path_factory.mktemp("rounds") / "out", Trainings(memorize)
    return out, trainings.made, train_rounds(settings_in(), out, trainings)


def test_no_round_learns_what_only_its_own_fold_could_know(whole, plant, settings_in):
    """Models are sure of the species that called in their training; one recording alone has a call of one species."""
    out, (planted, species) = whole[0], plant
    for number in (1, 2):
        soft = PseudoLabels.load(out / f"round_{number}" / "labels" / "labels")
        column = soft.output_names.index(f"s{species}")
        assert soft.by_recording[planted].scores[:, column].max() < 0.1
        others = [name for name in soft.by_recording if name.startswith("rec") and name != planted]
        sure = [name for name in others if soft.by_recording[name].scores[:, column].min() > 0.9]
        assert 0 < len(sure) < len(others)  # those of the other folds
        for name in ("new0", "new1", "new2"):  # the mean of all three
            assert 0.6 < soft.by_recording[name].scores[:, column].mean() < 0.7


def test_what_is_trained(whole):
    out, made, _ = whole
    assert list(made) == [
        (arm, "seed_0", f"fold_{fold}") for arm in ("round_0", "round_1", "round_2", "control") for fold in range(3)
    ]
    pseudo = {key: [word for word in words if "pseudo" in word] for key, words in made.items()}
    for (arm, _, fold), words in made.items():
        number = arm.removeprefix("round_")
        files = [f"data.pseudo.files=['{out}/round_{number}/labels/labels']"] if number in "12" else []
        assert pseudo[arm, "seed_0", fold] == files
        starts = [word for word in words if word.startswith("start.")]
        before = [f"start.model='{out}/round_1/seed_0/{fold}/model'"] if arm == "round_2" else []
        assert starts == before, (arm, fold)
        assert (f"max_steps={5 + 5 + 7}" in words) == (arm == "control")  # the sum over rounds


def test_rounds_end_where_the_score_does_not_rise(whole):
    out, _, printed = whole
    rows = table(out)
    scores = {arm: float(row["oof_lwlrap"]) for arm, row in rows.items()}
    assert scores["round_0"] < scores["round_2"] <= scores["round_1"] and list(rows) == [*list(scores)[:3], "control"]
    record = json.loads((out / "self_train.json").read_text())
    assert (record["best"], record["metric"], record["finished"]) == ("round_1", "lwlrap", True)
    assert "best: round_1 by out-of-fold lwlrap" in printed and "stopped: round_2: lwlrap" in printed


def test_the_table_says_what_the_files_and_the_models_say(whole, world):
    out, rows = whole[0], table(whole[0])
    for arm, row in rows.items():
        summary = json.loads((out / arm / "crossval.json").read_text())
        assert float(row["oof_lwlrap"]) == pytest.approx(summary["pooled"]["lwlrap"]["value"])
    models = [load_model(str(out / "round_1" / "seed_0" / f"fold_{fold}" / "model")) for fold in range(3)]
    waves = [torch.from_numpy(read_audio(world / "test" / f"new{n}.flac", sample_rate_hz=8_000)) for n in range(3)]
    mean = np.mean([[predict_recording(model, wave).clip.numpy() for wave in waves] for model in models], axis=0)
    truth = np.zeros((3, 24), bool)
    truth[[0, 0, 1], [0, 4, 17]] = True
    assert float(rows["round_1"]["test_lwlrap"]) == pytest.approx(lwlrap(truth[:2], mean[:2]).overall)
    assert float(rows["round_1"]["oof_lwlrap_over_round_0"]) == pytest.approx(
        float(rows["round_1"]["oof_lwlrap"]) - float(rows["round_0"]["oof_lwlrap"])
    )
    assert rows["round_0"]["oof_lwlrap_over_round_0"] == "" != rows["round_0"]["oof_lwlrap_over_control"]
    assert {"rounds.md", "rounds.png"} < {path.name for path in out.iterdir()}


def test_flagged_species_are_not_taught(whole, plant):
    out, rows = whole[0], table(whole[0])
    left_out = rows["round_1"]["left_out"].split("; ")
    soft = PseudoLabels.load(out / "round_1" / "labels" / "labels")
    assert left_out and len(soft.output_names) == 24 - len(left_out) and f"s{plant[1]}" in soft.output_names
    assert "in 100% of all frames, more than max_positive_share=0.9" in (out / "rounds.md").read_text()


def test_species_that_are_heard_nowhere_are_taught_as_rare(whole):
    folder = whole[0] / "round_1" / "labels"
    with (folder / "report.csv").open() as file:
        warnings = [row["warning"] for row in csv.DictReader(file)]
    assert set(warnings) == {"", "nothing reaches positive=0.5"}
    assert len(PseudoLabels.load(folder / "labels").output_names) == len(warnings)


def test_killed_anywhere_the_same_command_goes_on_to_the_same_end(whole, settings_in, memorize, tmp_path, monkeypatch):
    settings = settings_in(rounds=(RoundSettings(),))
    out, trainings, calls = tmp_path / "out", Trainings(memorize), []
    add_group = Journal.add_group

    def dies(self, part, results):  # after every third group of recordings that is heard
        calls.append(part)
        if len(calls) % 3 == 0:
            raise KeyboardInterrupt
        add_group(self, part, results)

    starts = 0
    while not (out / "self_train.json").is_file() or "finished" not in json.loads(
        (out / "self_train.json").read_text()
    ):
        trainings.left, starts = 4, starts + 1
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "add_group", dies)
            try:
                train_rounds(settings, out, trainings)
            except KeyboardInterrupt:
                assert not (out / "self_train.json").exists() or table_is_whole(out)
    assert starts > 3 and {key[0] for key in trainings.made} == {"round_0", "round_1", "control"}
    files = [sorted((folder / "round_1" / "labels" / "labels").iterdir()) for folder in (whole[0], out)]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
    for arm in ("round_0", "round_1"):
        ours, theirs = table(out)[arm], table(whole[0])[arm]
        kept = [key for key in theirs if key != "folder" and "over_control" not in key]
        assert {key: ours[key] for key in kept} == {key: theirs[key] for key in kept}


def table_is_whole(out):
    return not (out / "rounds.csv").exists() or bool(table(out))


def test_other_settings_need_another_folder(whole, settings_in, memorize):
    out = whole[0]
    for changes, said in (
        ({"drop_flagged": False}, r"drop_flagged: True -> False"),
        ({"student": ("batch_size=3",)}, r"student: \[\] -> \['batch_size=3'\]"),
    ):
        with pytest.raises(RunError, match=f"holds rounds with other settings .*{said}.*use a new --out"):
            train_rounds(settings_in(**changes), out, Trainings(memorize))
    again = Trainings(memorize)
    train_rounds(settings_in(resamples=10), out, again)
    assert not again.made


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rounds": ()}, "rounds must have at least one round"),
        ({"teachers": ("a",), "teacher": ("max_steps=1",)}, "given teachers are not trained"),
        ({"seeds": (0, 0)}, "must be different"),
        ({"control_steps": 0}, "control_steps=0 must be at least 1"),
        ({"resamples": 0}, "resamples=0"),
    ],
)
def test_settings_without_a_meaning(settings_in, changes, said):
    with pytest.raises(ValueError, match=said):
        settings_in(**changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"student": ("epochs=1", "max_steps=null"), "rounds": (RoundSettings(),)},
            "round_1: epochs=1.0: the control needs max_steps",
        ),
        ({"label": ("prevalence=table",)}, "rounds 1 and 2 both set prevalence"),
        ({"student": ("data.num_folds=4",)}, "data.num_folds is 3 in round_0 and 4 in round_1"),
        ({"pseudo": ("fold=1",)}, "fold=1: cross-validation sets fold itself"),
        ({"teacher": ("max_stepz=3",)}, "max_stepz: unknown key"),
        ({"teachers": (Path("nowhere"),)}, "teachers=nowhere: neither a run folder"),
        ({"metric": "box_auc"}, "metric=box_auc: rounds cannot be judged out of fold, which needs absent boxes"),
        ({"label": ("positive=0.000001",)}, "round_1: every species is flagged"),
    ],
)
def test_mistakes_are_said_before_they_cost(settings_in, memorize, tmp_path, changes, said):
    with pytest.raises((ConfigError, RunError), match=said):
        train_rounds(settings_in(**changes), tmp_path / "out", Trainings(memorize))


def test_given_teachers_are_judged_and_followed(whole, settings_in, memorize, tmp_path):
    settings = settings_in(teachers=(whole[0] / "round_0",), rounds=(RoundSettings(start="previous"),), control=False)
    trainings = Trainings(memorize)
    train_rounds(settings, tmp_path / "out", trainings)
    assert {key[0] for key in trainings.made} == {"round_1"}
    for (_, _, fold), words in trainings.made.items():
        assert f"start.model='{whole[0]}/round_0/seed_0/{fold}/model'" in words
    given, trained = table(tmp_path / "out")["round_0"], table(whole[0])["round_0"]
    assert given["oof_lwlrap"] == trained["oof_lwlrap"] and given["test_map"] == trained["test_map"]
