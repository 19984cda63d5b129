"""The programs that faults are tried on: their inputs, their words, and what of their result must not depend on faults.

A new program is one :class:`Program` in :data:`PROGRAMS`; every fault of ``test_programs.py`` then meets it.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

ROOT = Path(__file__).parents[2]
CLI = [sys.executable, "-m", "rfcx_ssl"]
RATE_HZ = 16_000
FINETUNE = (
    "model=panns_demo", "data=rfcx", "data.sample_rate_hz=16000", "model.sample_rate_hz=16000", "data.num_folds=2", "data.crop_s=1",
    "model.window_s=1", "model.mel.f_max_hz=8000", "num_workers=2", "batch_size=4", "max_steps=6", "log_every=1", "save_every=2",
    "threads=1", "num_pictures=0", "schedule=constant", "trackers=[]",
)  # fmt: skip
AT_ONCE = "lock_timeout_s=0"  # a second process is refused at once; trainings that others start wait for a killed one


@dataclass(frozen=True)
class Program:
    """A program as a user runs it.

    ``words(inputs, out)`` is the command; ``result(out)`` what two runs of one command have in common; ``least_bytes`` a limit
    on the size of a file that stops it in the middle; ``long`` keeps it out of the ordinary run. ``needs`` are names of
    :data:`MADE` among its inputs. ``underway`` is a pattern of files in ``out`` by which it is in the middle of its work.
    """

    words: Callable[[Path, Path], list[str]]
    result: Callable[[Path], object]
    least_bytes: int
    long: bool = True
    continues: bool = True  # False: its folder is there when it is whole, and then refused
    needs: tuple[str, ...] = ()
    underway: str | None = None


def make_inputs(folder: Path) -> None:
    """Six short recordings in RFCX's layout, a pretrained checkpoint, a model, settings of rounds of self-training."""
    import torch
    from transformers import Wav2Vec2ForPreTraining

    from rfcx_ssl.models.build import build_model
    from rfcx_ssl.models.panns import MelSettings, PannsSettings
    from rfcx_ssl.pretraining.checkpoint import FairseqCheckpoint
    from rfcx_ssl.pretraining.convert import encoder_config, to_fairseq
    from rfcx_ssl.species import label_space, rfcx_species

    rng = np.random.default_rng(0)
    (folder / "data" / "train").mkdir(parents=True)
    header, tables = "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\n", {"tp": "", "fp": ""}
    for i in range(6):
        soundfile.write(folder / "data" / "train" / f"rec{i}.flac", 0.1 * rng.standard_normal(4 * RATE_HZ), RATE_HZ)
        tables["tp"] += f"rec{i},{i % 3},1,1.0,800,2.0,6000\n"
        tables["fp"] += f"rec{i},{(i + 1) % 3},1,2.5,800,3.5,6000\n"
    for name, rows in tables.items():
        (folder / "data" / f"train_{name}.csv").write_text(header + rows)
    settings = {
        "_name": "wav2vec2", "conv_feature_layers": "[(8, 20, 10)] + [(8, 3, 2)] * 2", "encoder_layers": 1, "encoder_embed_dim": 12,
        "encoder_ffn_embed_dim": 20, "encoder_attention_heads": 2, "final_dim": 8, "latent_vars": 6, "conv_pos": 8, "conv_pos_groups": 2,
        "quantize_targets": True,
    }  # fmt: skip
    torch.manual_seed(0)
    checkpoint = FairseqCheckpoint(Path("x"), "", {}, settings, {"sample_rate": RATE_HZ, "normalize": True}, 0)
    weights = to_fairseq(Wav2Vec2ForPreTraining(encoder_config(checkpoint)))
    torch.save({"model": weights, "cfg": {"model": settings, "task": checkpoint.task}}, folder / "checkpoint.pt")
    model = PannsSettings(
        sample_rate_hz=RATE_HZ, channels=(4, 8), time_pools=(4, 2), freq_pools=(2, 2), embedding_dim=8,
        mel=MelSettings(n_mels=16, f_max_hz=8000.0), window_s=1.0,
    )  # fmt: skip
    build_model(model, label_space(rfcx_species())).save_pretrained(folder / "model")
    words = [f"data.root='{folder / 'data'}'" if word.startswith("data=") else word for word in FINETUNE]
    rounds = {"train": ["data=rfcx", *words], "label": ["batch_size=8"], "rounds": [{}], "control": False}
    rounds |= {"drop_flagged": False, "metric": "box_auc", "min_gain": -1.0, "resamples": 10}
    (folder / "rounds.yaml").write_text(json.dumps(rounds))


def files(out: Path, *patterns: str) -> dict[str, str]:
    """Hashes of files by name."""
    found = sorted(path for pattern in patterns for path in out.glob(pattern) if path.is_file())
    assert found, f"{out} holds none of {patterns}"
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def manifest(out: Path) -> object:
    """Rows without the name of the folder that they lie in, and the audio."""
    rows = {name: (out / name).read_text().split("\n", 1)[1] for name in ("train.tsv", "valid.tsv", "quarantine.csv")}
    return rows, files(out, "audio/**/*.flac")


def pretrained(out: Path) -> object:
    """Weights of the last checkpoint."""
    import torch

    weights = torch.load(out / "checkpoint_last.pt", weights_only=True)["model"]
    return {name: hashlib.sha256(value.numpy().tobytes()).hexdigest() for name, value in weights.items()}


def run_folder(out: Path) -> object:
    """Weights and scores."""
    scores = [pd.read_parquet(out / name).to_dict("list") for name in ("oof.parquet", "oof_boxes.parquet")]
    return files(out, "model/model.safetensors"), json.loads(json.dumps(scores, default=str))


def rounds(out: Path) -> object:
    """Labels and models of all rounds, and what is said of them without the folders."""
    table = pd.read_csv(out / "rounds.csv").drop(columns="folder").to_csv()
    return table, files(out, "round_*/labels/labels/*", "round_*/seed_0/fold_*/model/model.safetensors")


def tuned(out: Path) -> object:
    """Tables, and decisions without the command that made them, and when."""
    decisions = [json.loads(path.read_text()) for path in sorted(out.glob("*/decisions.json"))]
    for one in decisions:
        one["about"] = {key: value for key, value in one["about"].items() if key not in ("command", "made")}
    return decisions, files(out, "tune.csv", "reliability.csv")


def program(name: str) -> list[str]:
    """The first words of a program of the repository."""
    return [sys.executable, str(ROOT / name)]


PROGRAMS = {
    "synth": Program(
        lambda _, out: [*CLI, "synth", str(out), "--preset", "tiny", "train_recordings=4", "test_recordings=1", "duration_s=10", "--workers", "2"],
        lambda out: files(out, "**/*.flac", "*.csv"), 100_000, long=False, continues=False,
    ),
    "build": Program(
        lambda inputs, out: [*program("manifests/build.py"), str(inputs / "data"), "--out", str(out), "--workers", "2",
                             "--set", "sample_rate_hz=8000", "--set", "segment_s=2", "--set", "split.valid_fraction=0.3"],
        manifest, 20_000, underway="audio/**/*.flac",
    ),
    "pretrain": Program(
        lambda inputs, out: [*program("pretrain/run.py"), "--config-name", "wav2vec2_tiny_32k", f"task.data='{inputs / 'manifest'}'",
                             "task._name=rainforest_audio_pretraining", f"checkpoint.save_dir='{out}'", "optimization.max_update=6",
                             "checkpoint.save_interval_updates=2", "--threads", "1"],
        pretrained, 50_000, needs=("manifest",), underway="checkpoint_*.pt",
    ),
    "convert": Program(
        lambda inputs, out: [*program("pretrain/convert.py"), str(inputs / "checkpoint.pt"), "--out", str(out)],
        lambda out: files(out, "config.json", "model.safetensors", "preprocessor_config.json"), 5_000, continues=False,
    ),
    "train": Program(
        lambda inputs, out: [*program("finetune/train.py"), *FINETUNE, AT_ONCE, f"data.root='{inputs / 'data'}'", f"output_dir='{out}'"],
        run_folder, 50_000, underway="checkpoints/step_*",
    ),
    "crossval": Program(
        lambda inputs, out: [*program("finetune/crossval.py"), "--out", str(out), "--resamples", "50", *FINETUNE, f"data.root='{inputs / 'data'}'"],
        lambda out: [*map(run_folder, sorted(out.glob("seed_0/fold_*"))), files(out, "oof*.parquet")],
        50_000, underway="seed_0/fold_0/model/model.safetensors",
    ),
    "distill": Program(
        lambda inputs, out: [*program("finetune/distill.py"), "model=panns_demo", f"teacher.models=['{inputs / 'model'}']",
                             f"data.folders=['{inputs / 'data'}']", f"output_dir='{out}'", "model.sample_rate_hz=16000", "model.window_s=1",
                             "model.mel.f_max_hz=8000", "data.crop_s=1", "data.valid_share=0.3", "num_workers=2", "batch_size=4",
                             "max_steps=6", "save_every=2", "threads=1", "num_pictures=0", "trackers=[]", AT_ONCE],
        lambda out: files(out, "model/model.safetensors"), 50_000, underway="checkpoints/step_*",
    ),
    "self_train": Program(
        lambda inputs, out: [*program("finetune/self_train.py"), str(inputs / "rounds.yaml"), "--out", str(out), "--device", "cpu", "--threads", "1"],
        rounds, 50_000, underway="round_0/seed_0/fold_1/model/model.safetensors",
    ),
    "pseudo_label": Program(
        lambda inputs, out: [*program("finetune/pseudo_label.py"), *(str(inputs / "cv" / "seed_0" / f"fold_{n}") for n in range(2)),
                             "--audio", str(inputs / "data" / "train"), "--out", str(out), "--device", "cpu", "--threads", "1"],
        lambda out: files(out, "labels/*", "report.csv"), 1_000, needs=("cv",), underway="heard/*/journal/parts/*.parquet",
    ),
    "tune": Program(
        lambda inputs, out: [*CLI, "tune", *(str(inputs / "cv" / "seed_0" / f"fold_{n}") for n in range(2)), "--oof", "--dry-run",
                             "--min-positives", "1", "--out", str(out), "--threads", "1"],
        tuned, 500, needs=("cv",),
    ),
    "push": Program(
        lambda inputs, out: [*program("finetune/push.py"), str(inputs / "cv" / "seed_0" / "fold_0"), "--repo-id", "USER/frogs", "--force",
                             "--dry-run", str(out), "--threads", "1"],
        lambda out: {name: hashed for name, hashed in files(out, "**/*").items() if name != "training/run.json"},  # has paths from the working folder
        5_000, continues=False, needs=("cv",),
    ),
    "detect": Program(
        lambda inputs, out: [*CLI, "detect", str(inputs / "data" / "train"), "--model", str(inputs / "model"), "--out", str(out), "--threshold", "0.01", "--threads", "1"],
        lambda out: files(out, "events.csv", "errors.csv", "scores.csv"), 1_000, underway="journal/plan.json",
    ),
    "review": Program(
        lambda inputs, out: [*CLI, "review", str(inputs / "found"), "--out", str(out), "--budget", "10", "--device", "cpu", "--threads", "1"],
        lambda out: files(out, "review.csv", "*.txt", "**/*.wav"), 5_000, continues=False, needs=("found",),
    ),
}  # fmt: skip
#: Inputs that other programs make: their words, given the inputs so far.
MADE: dict[str, Callable[[Path], list[str]]] = {
    "manifest": lambda inputs: [
        *PROGRAMS["build"].words(inputs, inputs / "manifest"),
        "--set",
        "sample_rate_hz=32000",
    ],
    "cv": lambda inputs: PROGRAMS["crossval"].words(inputs, inputs / "cv"),
    "found": lambda inputs: PROGRAMS["detect"].words(inputs, inputs / "found"),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "name" in metafunc.fixturenames:
        is_long = os.environ.get("RFCX_FAULTS") == "long"
        metafunc.parametrize("name", [name for name, program in PROGRAMS.items() if is_long or not program.long])


@pytest.fixture(scope="session")
def programs() -> dict[str, Program]:
    """The table."""
    return PROGRAMS


@pytest.fixture(scope="session")
def made() -> dict[str, Callable[[Path], list[str]]]:
    """What other programs make."""
    return MADE


@pytest.fixture(scope="session")
def all_inputs() -> Callable[[Path], None]:
    """:func:`make_inputs`."""
    return make_inputs
