"""What tests of programs share: folders of recordings that people might have, a tiny model, programs run in this process."""

import multiprocessing
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.panns import MelSettings, PannsSettings
from rfcx_ssl.species import label_space, rfcx_species

ROOT = Path(__file__).parents[2]
RATE = 44_100
LENGTH_S = 8.0
TONES_HZ = 16_000
#: Name -> lowest and highest frequency in Hz, length in seconds, whether the call rises.
CALLS = {
    "Gould's finch": (6000, 7500, 0.4, True),
    "Häher sp. 2": (1500, 2600, 0.6, False),
    "Wren, Pacific": (3500, 5200, 1.0, True),
    "Zosterops (call)": (2800, 3300, 0.3, False),
    "Ōtaki frog": (500, 900, 0.5, True),
    "unknown tick 7": (9000, 12000, 0.2, False),
    "蛙": (1000, 1300, 0.8, True),
}
RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation\n"


def call_of(name: str) -> np.ndarray:
    """A sweep through the species' band, faded in and out."""
    low_hz, high_hz, length_s, rises = CALLS[name]
    times_s = np.arange(round(length_s * RATE)) / RATE
    ends_hz = (low_hz, high_hz) if rises else (high_hz, low_hz)
    phase = 2 * np.pi * np.cumsum(np.linspace(*ends_hz, len(times_s))) / RATE
    return 0.25 * np.sin(phase) * np.hanning(len(times_s))


def make_recordings(root: Path, *, count: int = 28) -> Path:
    """A bioacoustician's folder: WAVs in nested folders, a Raven table beside each. ``count`` recordings in which two or three species call, each call marked."""
    rng = np.random.default_rng(0)
    names = list(CALLS)
    for number in range(count):
        path = root / f"site {'AB'[number % 2]}" / "2024-05" / f"SM4_202405{number + 1:02d}_0530{number % 60:02d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = 0.01 * rng.standard_normal(round(LENGTH_S * RATE))
        lines = []
        for order, name in enumerate(dict.fromkeys(names[(number * step) % 7] for step in (1, 2, 3))):
            low_hz, high_hz, length_s, _ = CALLS[name]
            start_s = 0.2 + 2.6 * order + float(rng.uniform(0, 1.2))
            first = round(start_s * RATE)
            sound = call_of(name)
            samples[first : first + len(sound)] += sound
            box = f"{start_s:.4f}\t{start_s + length_s:.4f}\t{low_hz}\t{high_hz}"
            lines.append(f"{order + 1}\tSpectrogram 1\t1\t{box}\t{name}\n")
        soundfile.write(path, samples, RATE, subtype="PCM_16")
        path.with_suffix(".Table.1.selections.txt").write_text(RAVEN + "".join(lines), encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def own_recordings() -> Callable[..., Path]:
    """``own_recordings(folder, count=28)`` makes them."""
    return make_recordings


def build_tiny(rate_hz: int, *, seed: int = 0, window_s: float = 1.0, space=None):
    """A CNN with random weights, and with opinions: no output starts out unlikely."""
    torch.manual_seed(seed)
    settings = PannsSettings(
        sample_rate_hz=rate_hz,
        channels=(4, 8),
        time_pools=(4, 2),
        freq_pools=(2, 2),
        embedding_dim=8,
        mel=MelSettings(n_mels=16, f_max_hz=rate_hz / 2),
        window_s=window_s,
    )
    model = build_model(settings, space or label_space(rfcx_species()))
    with torch.no_grad():
        model.head.classify.bias.zero_()
    return model


@pytest.fixture(scope="session")
def tiny_model() -> Callable:
    """:func:`build_tiny`."""
    return build_tiny


@pytest.fixture(scope="session")
def tones(tmp_path_factory):
    """Twelve recordings of noise, in the layout of RFCX; each of three species is a tone, boxed once in most of them."""
    root = tmp_path_factory.mktemp("rfcx")
    (root / "train").mkdir()
    rng = np.random.default_rng(0)
    present, absent = [], []
    for i in range(12):
        name, species = f"rec{i:02d}", i % 3
        wave = 0.05 * rng.standard_normal(TONES_HZ * 4)
        wave[TONES_HZ : 2 * TONES_HZ] += 0.3 * np.sin(
            2 * np.pi * (1000 + 1500 * species) * np.arange(TONES_HZ) / TONES_HZ
        )
        soundfile.write(root / "train" / f"{name}.flac", wave, TONES_HZ)
        present.append((name, species, 1, 1.0, 800.0, 2.0, 6000.0))
        absent.append((name, (species + 1) % 3, 1, 2.5, 800.0, 3.5, 6000.0))
    columns = ["recording_id", "species_id", "songtype_id", "t_min", "f_min", "t_max", "f_max"]
    pd.DataFrame(present, columns=columns).to_csv(root / "train_tp.csv", index=False)
    pd.DataFrame(absent, columns=columns).to_csv(root / "train_fp.csv", index=False)
    return root


def children_can_train():
    """Whether autograd works in children of this process: where an earlier test gave it threads, it does not."""

    def backward():
        torch.ones(1, requires_grad=True).sum().backward()

    child = multiprocessing.get_context("fork").Process(target=backward)
    child.start()
    child.join()
    return child.exitcode == 0


class Forked:
    """Stands in for Popen where a program starts others: a child of this process, which has their imports."""

    def __init__(self, command, env, **_):
        self._child = multiprocessing.get_context("fork").Process(target=self._run, args=(command[1:], env))
        self._child.start()
        self.pid = self._child.pid

    def _run(self, command, env):
        os.environ |= env
        sys.argv = command
        runpy.run_path(command[0], run_name="__main__")

    def wait(self):
        self._child.join()
        return self._child.exitcode


@pytest.fixture
def run(monkeypatch, capfd):
    """``run(program, *words, code=0)``: a program as the interpreter would run it, in this process, which has its imports.

    What it starts by itself is forked; with ``--launcher`` it is started as a user would.
    """
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.chdir(ROOT)

    def start(program, *words, code=0):
        if "--launcher" not in words and children_can_train():
            monkeypatch.setattr("rfcx_ssl.training.launch.subprocess", SimpleNamespace(Popen=Forked))
        monkeypatch.setattr(sys, "argv", [program, *map(str, words)])
        capfd.readouterr()
        found = 0
        try:
            runpy.run_path(program, run_name="__main__")
        except SystemExit as stop:
            found = stop.code or 0
        said = capfd.readouterr()
        assert found == code, said.err[-3000:]
        return SimpleNamespace(stdout=said.out, stderr=said.err)

    return start


@pytest.fixture(name="children_can_train")
def _children_can_train():
    """:func:`children_can_train`, asked when a test begins."""
    return children_can_train()


@pytest.fixture(scope="session")
def forked() -> type:
    """:class:`Forked`."""
    return Forked
