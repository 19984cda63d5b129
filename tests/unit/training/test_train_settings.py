"""Rules of the loop's settings, and the shipped YAML files."""

import json

import pytest
import torch

from rfcx_ssl.config import config_root, load_settings, settings_dict
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.losses.settings import AsymmetricSettings, BceSettings, FocalSettings, LossSettings, UnknownSettings
from rfcx_ssl.training import train as train_module
from rfcx_ssl.training.optim import AdamWSettings, SgdSettings
from rfcx_ssl.training.schedule import (
    ConstantScheduleSettings,
    CosineScheduleSettings,
    LinearScheduleSettings,
    StepScheduleSettings,
    TriStageScheduleSettings,
)
from rfcx_ssl.training.train import TrainSettings

REQUIRED = ("model=panns_demo", "data.root=x", "output_dir=x", "max_steps=10")


def files(group):
    return sorted(path.stem for path in (config_root() / "finetune" / group).glob("*.yaml"))


@pytest.mark.parametrize("name", files("optim"))
def test_every_optimizer_file_loads(name):
    settings = load_settings(TrainSettings, "finetune", "train", [*REQUIRED, f"optim={name}"])
    assert settings.optim.head_lr > 0


KINDS = {
    "adamw": AdamWSettings,
    "sgd": SgdSettings,
    "constant": ConstantScheduleSettings,
    "linear": LinearScheduleSettings,
    "cosine": CosineScheduleSettings,
    "tri_stage": TriStageScheduleSettings,
    "step": StepScheduleSettings,
    "bce": BceSettings,
    "focal": FocalSettings,
    "asymmetric": AsymmetricSettings,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_file_with_its_own_keys_and_defaults(kind):
    (group,) = [group for group in ("optim", "schedule", "loss") if kind in files(group)]
    loaded = load_settings(TrainSettings, "finetune", "train", [*REQUIRED, f"{group}={kind}"])
    chosen = loaded.loss.cell if group == "loss" else getattr(loaded, group)
    assert chosen == KINDS[kind]()


def test_a_run_shows_the_keys_of_its_kinds_alone():
    chosen = [*REQUIRED, "optim=sgd", "schedule=step", "loss=focal", "loss.lsep.weight=0.2"]
    shown = settings_dict(load_settings(TrainSettings, "finetune", "train", chosen))
    assert list(shown["schedule"]) == ["kind", "warmup", "start_factor", "step_size", "gamma"]
    assert not {"beta1", "beta2", "eps"} & set(shown["optim"])
    assert shown["loss"]["cell"] == {"kind": "focal", "gamma": 2.0, "alpha": None}
    assert (shown["loss"]["lsep"], shown["loss"]["lwlrap"]) == ({"weight": 0.2}, None)


def leaves(values, prefix=""):
    for key, value in values.items():
        yield from leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]


# key that turns a part on -> what a run shows of it then; off, it shows the part alone, as null
PARTS = {
    "optim.freeze.until=5": {"below", "until", "thaw"},
    "average.ema.decay=0.9": {"decay", "warmup"},
    "evaluation.early_stop.patience=2": {"patience", "min_gain"},
    "loss.unknown.weight=0.1": {"weight", "target"},
    "data.pseudo.files=[a.parquet]": {"files", "weight", "min_probability", "mix"},
    "augment.pink_noise.p=0.5": {"p", "colors", "snr_min_db", "snr_max_db", "f_min_hz"},
    "augment.speed.p=0.5": {"p", "factors"},
    "model.temporal.kind=gru": {"kind", "layers", "dim", "dropout"},
    "model.mask_time.prob=0.1": {"prob", "length"},
    "model.mask_feature.prob=0.1": {"prob", "length"},
}


@pytest.mark.parametrize(("override", "keys"), PARTS.items())
def test_a_part_is_off_until_a_key_of_it_is_set_and_null_turns_it_off_again(override, keys):
    given = [
        "model.encoder=x",
        "data.root=x",
        "output_dir=x",
        "max_steps=10",
        "evaluation.every=5",
        "augment=none",
        "loss=bce",
    ]
    part = override.split("=")[0].rpartition(".")[0]

    def shown(*overrides):
        values = settings_dict(load_settings(TrainSettings, "finetune", "train", [*given, *overrides]))
        return {key for key in leaves(values) if key == part or key.startswith(f"{part}.")}

    assert shown() == {part}
    assert shown(override) == {f"{part}.{key}" for key in keys}
    assert shown(override, f"{part}=null") == {part}


@pytest.mark.parametrize(
    ("overrides", "cell"),
    [
        (["loss.cell.kind=focal"], FocalSettings()),
        (["loss.cell.kind=focal", "loss.cell.gamma=1.0"], FocalSettings(gamma=1.0)),
        (["loss=focal", "loss.cell.alpha=0.25"], FocalSettings(alpha=0.25)),
    ],
)
def test_the_cell_loss_is_chosen_by_file_or_by_kind(overrides, cell):
    assert load_settings(TrainSettings, "finetune", "train", [*REQUIRED, *overrides]).loss.cell == cell


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
    assert load_settings(TrainSettings, "finetune", "train", [*REQUIRED, "loss=bce"]).loss == LossSettings()
    assert loaded.loss == LossSettings(unknown=UnknownSettings(weight=0.1))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["max_steps=null"], "set one of max_steps and epochs"),
        (["epochs=3"], "set one of max_steps and epochs"),
        (["fold=5"], r"fold=5 must be in \[0, 5\) or null"),
        (["batch_size=0"], "batch_size=0 must be above 0"),
        (["evaluation.early_stop.patience=2"], "early_stop needs evaluation.every above 0"),
        (["optim.sam_radius=0.1", "precision=fp16"], "optim.sam_radius needs precision fp32 or bf16"),
        (["average.ema.decay=1.0"], r"decay=1.0 must be in \(0, 1\); null averages nothing"),
        (["mean_teacher.weight=2"], r"mean_teacher needs average\.ema\.decay"),
        (["mean_teacher.ramp=2"], r"mean_teacher\.weight: required, not set"),
        (["data.pseudo.files=[x]", "data.pseudo.mix.share=0.5"], r"data\.pseudo\.mix\.p: required, not set"),
        (["average.ema.warmup=false"], "average.ema.decay: required, not set"),
        (["evaluation.early_stop.min_gain=0.1"], "evaluation.early_stop.patience: required, not set"),
        (["evaluation.every=5", "evaluation.early_stop.patience=0"], "patience=0 must be at least 1 evaluation"),
        (["optim=layer_decay", "optim.freeze.until=0"], "below, until or thaw must freeze something; null freezes"),
        (
            ["model=wav2vec2", "model.encoder=x", "model.layerdrop=0.1", "find_unused_parameters=false"],
            "model.layerdrop needs find_unused_parameters=true",
        ),
        (["optim.kind=adam"], "optim.kind='adam': must be one of 'adamw', 'sgd'"),
        (["optim.kind=sgd"], "optim.beta1: .*kind=adamw; this is kind=sgd.*write optim=sgd instead"),
        (["schedule=step", "schedule.end_factor=0.1"], "schedule.end_factor: .*kind=linear, cosine, tri_stage"),
        (["schedule.warmupp=1"], "schedule.warmupp: unknown key, did you mean 'warmup'"),
        (["loss.cell.gamma=1"], "loss.cell.gamma: .*kind=focal; this is kind=bce"),
        (["loss.lwlrap.temp=1"], "loss.lwlrap.temp: unknown key"),
        (["loss.lwlrap.weight=0"], "weight=0.0 must be above 0; null leaves the term out"),
    ],
)
def test_broken_rules_are_named(overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_settings(TrainSettings, "finetune", "train", [*REQUIRED, *overrides])


def test_epochs_become_steps(toy):
    settings = toy.toy_settings("output_dir=x", "epochs=2.5", batch_size=8)
    assert settings.total_steps(num_items=100) == 31


@pytest.mark.parametrize(
    ("name", "max_steps", "batch_size", "num_folds", "max_recordings"),
    [("demo", 320, 16, 8, 48), ("tiny", 20, 8, 5, 8)],
)
def test_the_demo_is_one_file_whatever_the_model(name, max_steps, batch_size, num_folds, max_recordings):
    given = [f"experiment={name}", "data.root=x", "output_dir=x"]
    ours = load_settings(TrainSettings, "finetune", "train", [*given, "model.encoder=x"])
    cnn = load_settings(TrainSettings, "finetune", "train", [*given, "model=panns_demo", "optim.encoder_lr=2e-3"])
    assert (ours.max_steps, ours.batch_size, ours.data.num_folds) == (max_steps, batch_size, num_folds)
    assert ours.evaluation.max_recordings == max_recordings
    assert ours.data.crop_s == ours.model.window_s == cnn.model.window_s
    assert (ours.optim.encoder_lr, cnn.optim.encoder_lr) == (1e-3, 2e-3)
    for key in ("data", "augment", "loss", "schedule", "evaluation", "max_steps", "batch_size"):
        assert getattr(ours, key) == getattr(cnn, key), key
    longer = load_settings(TrainSettings, "finetune", "train", [*given, "model.encoder=x", "max_steps=7"])
    assert longer.max_steps == 7


def test_a_resumed_run_keeps_its_threads(tmp_path, monkeypatch):
    """Sums in another order give other last bits: "the same bits after a kill" would hold on an idle machine only."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("rfcx_ssl.threads.usable_cores", lambda *_: 8)
    monkeypatch.setattr("rfcx_ssl.threads.free_cores", lambda *_: 8)
    monkeypatch.setattr(train_module, "make_accelerator", lambda _: pytest.fail("far enough"))
    settings = load_settings(TrainSettings, "finetune", "train", [*REQUIRED, f"output_dir={tmp_path}"])
    before = torch.get_num_threads()
    try:
        for recorded, used in ((None, 4), (3, 3)):
            if recorded:
                (tmp_path / "run.json").write_text(json.dumps({"cpu_threads": recorded}))
            with pytest.raises(pytest.fail.Exception):
                train_module.train(settings)
            assert torch.get_num_threads() == used
    finally:
        torch.set_num_threads(before)
