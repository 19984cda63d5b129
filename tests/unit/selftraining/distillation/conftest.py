"""Recordings in which something happens, and distillations of a tiny teacher on them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from rfcx_ssl.config import load_settings
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.selftraining.distillation.distill import distill
from rfcx_ssl.selftraining.distillation.settings import DistillSettings

RATE_HZ = 8_000
STUDENT = (  # the architecture of ``model_dir``
    "model=panns_cnn14", f"model.sample_rate_hz={RATE_HZ}", "model.channels=[4,8]", "model.time_pools=[2,2]",
    "model.freq_pools=[2,2]", "model.embedding_dim=8", "model.mel.n_mels=16", "model.mel.f_max_hz=4000", "model.window_s=2",
    "model.block_dropout=0", "model.embedding_dropout=0", "model.head.dropout=0", "num_workers=0", "trackers=[]", "num_pictures=0",
)  # fmt: skip


@pytest.fixture(scope="session")
def student() -> tuple[str, ...]:
    """Overrides that compose the architecture of the teacher."""
    return STUDENT


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight recordings of 6 s: tones of random pitch and loudness, a new one every half second. Two folders of four."""
    root, rng = tmp_path_factory.mktemp("sounds"), np.random.default_rng(0)
    times_s = np.arange(RATE_HZ // 2) / RATE_HZ
    for number in range(8):
        tones = [rng.uniform(0.01, 0.6) * np.sin(2 * np.pi * rng.uniform(100, 3900) * times_s) for _ in range(12)]
        path = root / "ab"[number % 2] / f"rec{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.concatenate(tones) + rng.normal(0, 0.003, 6 * RATE_HZ), RATE_HZ)
    return root


@pytest.fixture(scope="session")
def teacher(model_dir: Path, sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``model_dir`` with stronger opinions: logits of frames spread by 2 around the mean of their species."""
    model = load_model(str(model_dir))
    samples = [soundfile.read(path, dtype="float32")[0] for path in sorted(sounds.rglob("*.wav"))]
    with torch.no_grad():
        logits = model(torch.from_numpy(np.stack(samples))).frame_logits.flatten(0, 1)
        scale = 2 / logits.std(dim=0)
        model.head.classify.weight.mul_(scale[:, None])
        model.head.classify.bias.copy_((model.head.classify.bias - logits.mean(dim=0)) * scale)
    folder = tmp_path_factory.mktemp("teacher")
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def settings_for(sounds: Path, teacher: Path, tmp_path: Path) -> Callable[..., DistillSettings]:
    """``settings_for(name, *overrides)``: of a distillation of ``teacher`` into ``tmp_path / name``."""

    def make(name: str, *overrides: str) -> DistillSettings:
        usual = (
            f"teacher.models=[{teacher}]",
            f"data.folders=[{sounds}]",
            "data.crop_s=2",
            f"output_dir={tmp_path / name}",
        )
        return load_settings(DistillSettings, "finetune", "distill", [*STUDENT, *usual, *overrides])

    return make


@pytest.fixture
def run(settings_for: Callable[..., DistillSettings], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """``run(name, *overrides)``: distill; returns the run folder."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    return lambda name, *overrides: distill(settings_for(name, *overrides))
