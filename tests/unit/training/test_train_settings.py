"""Rules of the loop's settings, and the shipped YAML files."""

import pytest

from rfcx_ssl.config import config_root, load_settings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.training.train import TrainSettings

REQUIRED = ("model=panns_demo", "data.root=x", "output_dir=x", "max_steps=10")


@pytest.mark.parametrize("name", sorted(path.stem for path in (config_root() / "finetune" / "optim").glob("*.yaml")))
def test_every_optimizer_file_loads(name):
    settings = load_settings(TrainSettings, "finetune", "train", [*REQUIRED, f"optim={name}"])
    assert settings.optim.head_lr > 0


def test_the_yaml_says_what_the_schema_says(toy):
    """train.yaml repeats the defaults so that every key can be seen: they must not drift apart."""
    loaded = load_settings(TrainSettings, "finetune", "train", REQUIRED)
    plain = toy.LoopSettings(output_dir="x", max_steps=10)
    for key in (
        "schedule",
        "average",
        "evaluation",
        "optim",
        "batch_size",
        "precision",
        "max_grad_norm",
        "save_every",
    ):
        assert getattr(loaded, key) == getattr(plain, key), key


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["max_steps=null"], "set one of max_steps and epochs"),
        (["epochs=3"], "set one of max_steps and epochs"),
        (["fold=5"], r"fold=5 must be in \[0, 5\) or null"),
        (["batch_size=0"], "batch_size=0 must be above 0"),
        (["evaluation.patience=2"], "patience needs evaluation.every above 0"),
        (["optim.sam_radius=0.1", "precision=fp16"], "optim.sam_radius needs precision fp32 or bf16"),
        (["average.ema_decay=1.0"], r"ema_decay=1.0 must be in \[0, 1\)"),
        (["optim.kind=adam"], "optim.kind='adam'"),
    ],
)
def test_broken_rules_are_named(overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_settings(TrainSettings, "finetune", "train", [*REQUIRED, *overrides])


def test_epochs_become_steps(toy):
    settings = toy.toy_settings("output_dir=x", "epochs=2.5", batch_size=8)
    assert settings.total_steps(num_items=100) == 31
