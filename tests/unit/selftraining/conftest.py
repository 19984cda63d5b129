"""Runs of three folds on the small forest that know by heart which species call where they learned."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from rfcx_ssl.config import settings_dict
from rfcx_ssl.data import Corpus, DataSettings, load_corpus
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.panns import MelSettings, PannsSettings
from rfcx_ssl.species import label_space, rfcx_species
from rfcx_ssl.training.train import data_facts

PLANTED, PLANTED_SPECIES = "rec09", 17
SURE = 4.0  # log odds of a species that calls in what a model has learned from, and less of all others


@pytest.fixture(scope="session")
def plant() -> tuple[str, int]:
    """The recording that alone has a call of a species, and the species."""
    return PLANTED, PLANTED_SPECIES


@pytest.fixture(scope="session")
def planted(forest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The forest, where one recording alone has a call of one species; three recordings without labels in ``more``."""
    root = Path(shutil.copytree(forest, tmp_path_factory.mktemp("planted") / "forest"))
    with (root / "train_tp.csv").open("a") as file:
        file.write(f"{PLANTED},{PLANTED_SPECIES},1,1.0,1000,2.0,2000\n")
    (root / "more").mkdir()
    rng = np.random.default_rng(1)
    for name in ("new0", "new1", "new2"):
        soundfile.write(root / "more" / f"{name}.flac", rng.uniform(-0.1, 0.1, 3 * 48_000), 48_000)
    return root


@pytest.fixture(scope="session")
def data_of(planted: Path) -> Callable[..., DataSettings]:
    """``data_of(**changes)``: the settings of the data."""
    usual = {"sample_rate_hz": 16_000, "crop_s": 1.0, "num_folds": 3, "audio_folders": ("train", "more")}
    return lambda **changes: DataSettings(**{"root": planted, **usual, **changes})


def know_by_heart(folder: Path, data: DataSettings, fold: int | None, start: str | None = None) -> Corpus:
    """Make ``folder`` a finished run whose model is sure of all species that called in its training; returns its data."""
    corpus = load_corpus(data).within_budget(fold)
    table = corpus.annotations.select(corpus.folds.train_ids(fold)).table
    heard = sorted(set(table.loc[table["state"] == "present", "species_id"]))
    mel = MelSettings(n_fft=256, hop_samples=160, n_mels=8, f_max_hz=4000.0)
    settings = PannsSettings(
        sample_rate_hz=8000,
        channels=(2,),
        time_pools=(2,),
        freq_pools=(2,),
        embedding_dim=2,
        window_s=2.0,
        mel=mel,
    )
    torch.manual_seed(0 if fold is None else fold)
    model = build_model(settings, label_space(rfcx_species()))
    with torch.no_grad():
        for weight in model.head.classify.parameters():
            weight.mul_(0.01)
        model.head.classify.bias.fill_(-SURE)
        model.head.classify.bias[heard] = SURE
    model.save_pretrained(folder / "model")
    config = {"data": settings_dict(data), "fold": fold, "start": None if start is None else {"model": start}}
    record = {"config": config, "data": data_facts(data, corpus, fold), "finished": True}
    (folder / "run.json").write_text(json.dumps(record))
    return corpus


@pytest.fixture(scope="session")
def memorize() -> Callable[..., Corpus]:
    """:func:`know_by_heart`."""
    return know_by_heart


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory, data_of: Callable[..., DataSettings]) -> Callable[..., Path]:
    """``make_run(fold, name, start, **data)``: such a run on the planted forest."""

    def make(fold: int | None, name: str | None = None, start: str | None = None, **changes: object) -> Path:
        folder = tmp_path_factory.mktemp("runs") / (name or f"fold_{fold}")
        folder.mkdir()
        know_by_heart(folder, data_of(**changes), fold, start)
        return folder

    return make


@pytest.fixture(scope="session")
def runs(make_run: Callable[..., Path]) -> list[Path]:
    """The three folds."""
    return [make_run(fold) for fold in range(3)]
