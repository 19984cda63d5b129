"""Runs of the toy program inside the test process."""

import json

import pytest
import torch


@pytest.fixture
def run_toy(toy, tmp_path, monkeypatch):
    """Function that trains in ``tmp_path / name`` and returns the folder."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    torch.set_num_threads(1)

    def run(name, *overrides, parts=None, **values):
        settings = toy.toy_settings(f"output_dir={tmp_path / name}", *overrides, **values)
        toy_parts = toy.toy_parts(teacher_weight=settings.teacher_weight, **(parts or {}))
        toy.fit(settings, toy_parts, toy.make_accelerator(settings))
        return tmp_path / name

    return run


TIMINGS = ("audio_s_per_s", "steps_per_s", "loader_wait_share")


@pytest.fixture(scope="session")
def metric_lines():
    """Function that reads metrics.jsonl without the values that depend on the clock."""

    def read(folder):
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return [{key: value for key, value in line.items() if key not in TIMINGS} for line in lines]

    return read
