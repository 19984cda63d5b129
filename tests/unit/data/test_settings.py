import dataclasses
from pathlib import Path

import pytest

from rfcx_ssl.config import config_root, load_settings
from rfcx_ssl.data import DataSettings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.training.train import TrainSettings

NAMES = sorted(path.stem for path in (config_root() / "finetune" / "data").glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_file_loads_once_root_is_set(name):
    chosen = load_settings(DataSettings, "finetune/data", name, ["root=/somewhere"])
    assert chosen.root == Path("/somewhere") and chosen.sample_rate_hz == 32_000 and chosen.crop_samples == 160_000
    with pytest.raises(ConfigError, match="root: required, not set"):
        load_settings(DataSettings, "finetune/data", name)


def listed_keys(name):
    text = (config_root() / "finetune" / "data" / f"{name}.yaml").read_text()
    return {line.split(":")[0] for line in text.splitlines() if line and line[0] not in "# "}


def test_one_file_lists_every_key_with_the_value_of_the_schema():
    assert listed_keys("rfcx") == set(DataSettings.__dataclass_fields__)
    assert load_settings(DataSettings, "finetune/data", "rfcx", ["root=x"]) == DataSettings(root=Path("x"))


def test_the_synthetic_forest_differs_from_it_in_what_its_file_lists():
    plain, synth = (load_settings(DataSettings, "finetune/data", name, ["root=x"]) for name in ("rfcx", "synth"))
    assert listed_keys("synth") == {"defaults", "group_by", "cache"}
    assert synth == dataclasses.replace(plain, group_by="site", cache=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_training_run_composes_the_same_data(name):
    words = ["model=panns_demo", "output_dir=x", "max_steps=10", f"data={name}", "data.root=x"]
    alone = load_settings(DataSettings, "finetune/data", name, ["root=x"])
    assert load_settings(TrainSettings, "finetune", "train", words).data == alone


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"crop_s": 0}, "crop_s=0 must be above 0"),
        ({"num_folds": 1}, "num_folds=1 must be at least 2"),
        ({"edge_tolerance_s": -0.1}, "edge_tolerance_s=-0.1 must not be negative"),
        ({"coverage": 1.5}, "coverage=1.5 must be above 0 and at most 1"),
        ({"jitter": 2}, r"jitter=2 must be in \[0, 1\]"),
        ({"present_share": 0, "absent_share": 0}, "one above 0"),
        ({"audio_folders": ()}, "at least one folder"),
        ({"labels_per_species": 0}, "labels_per_species=0 must be at least 1; null keeps all labels"),
        ({"label_fraction": 0.0}, "label_fraction=0.0 must be above 0 and at most 1"),
        ({"label_fraction": 1.5}, "label_fraction=1.5 must be above 0 and at most 1"),
        ({"label_fraction": float("nan")}, "label_fraction=nan is not a finite number"),
        ({"label_seed": -1}, "label_seed=-1 must not be negative"),
        (
            {"labels_per_species": 3, "label_fraction": 0.1},
            "labels_per_species=3 and label_fraction=0.1: set only one",
        ),
    ],
)
def test_values_without_a_meaning_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        DataSettings(root=Path("x"), **changes)


def test_a_wrong_label_budget_is_one_line_of_a_run():
    words = ["model=panns_demo", "output_dir=x", "max_steps=10", "data=rfcx", "data.root=x"]
    with pytest.raises(ConfigError) as refused:
        load_settings(TrainSettings, "finetune", "train", [*words, "data.labels_per_species=0"])
    assert str(refused.value).splitlines() == [
        "finetune/train: data: labels_per_species=0 must be at least 1; null keeps all labels"
    ]


def test_the_cache_lies_in_the_data_unless_told_otherwise():
    assert DataSettings(root=Path("x")).cache_path is None
    assert DataSettings(root=Path("x"), cache=True).cache_path == Path("x/cache_32000")
    assert DataSettings(root=Path("x"), cache=True, cache_dir=Path("y")).cache_path == Path("y")


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"files": []}, "data.pseudo: files must name at least one file; null leaves pseudo-labels out"),
        ({"weight": 0}, "data.pseudo: weight=0.0 must be above 0 and at most 1"),
        ({"min_probability": 2}, r"data.pseudo: min_probability=2.0 must be in \[0, 1\]"),
    ],
)
def test_rules_of_pseudo_labels_are_named(changes, message):
    words = ["model=panns_demo", "output_dir=x", "max_steps=10", "data.root=x", "data.pseudo.files=[a.parquet]"]
    assert load_settings(TrainSettings, "finetune", "train", words).data.pseudo_files == (Path("a.parquet"),)
    with pytest.raises(ConfigError, match=message):
        load_settings(
            TrainSettings, "finetune", "train", [*words, *(f"data.pseudo.{k}={v}" for k, v in changes.items())]
        )
