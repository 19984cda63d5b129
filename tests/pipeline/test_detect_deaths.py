"""A recording that ends every process that hears it is named, and the others are heard."""

import csv
import multiprocessing
import os
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile

from rfcx_ssl.cli import main
from rfcx_ssl.detection import detect
from rfcx_ssl.inference.scorer import TorchScorer

RATE_HZ = 8_000
FORK = multiprocessing.get_context("fork")  # starts at once, with the scorer of the test


class ForkedWorkers:
    """As ``Workers``: a batch in a process of its own; where that dies, its items are blamed."""

    def run(self, function, batches, blame):
        for batch in batches:
            child = FORK.Process(target=function, args=(batch,))
            child.start()
            child.join()
            yield [blame(item) for item in batch] if child.exitcode else [detect.HeardPart(item) for item in batch]


@pytest.fixture
def deadly_silence(monkeypatch):
    """A network that ends its process when a window is silent."""
    heard = TorchScorer.__call__

    def score(self, waveform):
        if not waveform.any(dim=1).all():
            os._exit(1)
        return heard(self, waveform)

    @contextmanager
    def open_workers(count, dask):
        yield ForkedWorkers()

    monkeypatch.setattr(TorchScorer, "__call__", score)
    monkeypatch.setattr(detect, "open_workers", open_workers)


def rows(path):
    with path.open() as lines:
        return list(csv.DictReader(lines))


@pytest.mark.usefixtures("deadly_silence")
def test_the_recordings_that_kill_are_named_and_no_others(tiny_model, tmp_path):
    tiny_model(RATE_HZ).save_pretrained(tmp_path / "model")
    card, out = tmp_path / "card", tmp_path / "out"
    card.mkdir()
    rng = np.random.default_rng(0)
    silent = ("011", "070", "071")  # in the middle of a group, and two that follow each other
    for number in range(130):
        name = f"{number:03d}"
        sound = np.zeros(RATE_HZ) if name in silent else rng.normal(0, 0.1, RATE_HZ)
        soundfile.write(card / f"{name}.wav", sound, RATE_HZ)
    arguments = [card, "--model", tmp_path / "model", "--out", out, "--workers", 2, "--readers", 0, "--threads", 1]
    with pytest.raises(SystemExit) as stop:
        main(["detect", *map(str, arguments)])
    assert stop.value.code == 3
    errors = rows(out / "errors.csv")
    assert [row["file"] for row in errors] == [str(card / f"{name}.wav") for name in silent]
    assert all("died" in row["error"] for row in errors)
    heard = [row["recording"] for row in rows(out / "scores.csv")]
    assert heard == [name for name in (f"{number:03d}" for number in range(130)) if name not in silent]
