"""Promises of the training loop that only real processes can keep: kill -9, signals, two processes, full disks."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

PROGRAM = Path(__file__).parent / "programs" / "toy_finetune.py"
TIMINGS = ("audio_s_per_s", "steps_per_s", "loader_wait_share")
STEPS = ("max_steps=14", "average.ema.decay=0.9", "num_workers=1")


def command(folder, *arguments, processes=1):
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    return [*start, str(PROGRAM), f"output_dir={folder}", *arguments]


def environment():
    return {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def run(folder, *arguments, processes=1, code=0, **options):
    done = subprocess.run(
        command(folder, *arguments, processes=processes),
        env=environment(), capture_output=True, text=True, timeout=280, check=False, **options,
    )  # fmt: skip
    assert done.returncode == code, done.stderr[-3000:]
    return done.stderr


def metric_lines(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMINGS} for line in lines]


def weights(folder):
    return load_file(folder / "model" / "model.safetensors")


def assert_same_run(one, other):
    assert metric_lines(one) == metric_lines(other)
    assert all(torch.equal(value, weights(other)[name]) for name, value in weights(one).items())
    for name in ("oof.parquet", "oof_boxes.parquet"):
        pd.testing.assert_frame_equal(*(pd.read_parquet(folder / name) for folder in (one, other)), check_exact=True)


def saved_steps(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing stopped."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run(folder, *STEPS)
    return folder


def test_kill_9_three_times_gives_the_same_bits(whole, tmp_path):
    folder = tmp_path / "run"
    killed = -signal.SIGKILL
    # The order of an epoch's 20 crops; steps of 4, a checkpoint every 4 steps, 14 steps in all.
    second_epoch, third_epoch = (np.random.default_rng([0, epoch]).permutation(20) for epoch in (1, 2))
    # Step 6, in the second epoch; then, from step 4 on, the first file of the checkpoint at step 8; then step 12.
    run(folder, *STEPS, "num_workers=0", "--kill-at-item", f"1:{second_epoch[6]}", code=killed)
    run(folder, *STEPS, "--kill-in-sync", "1", code=killed)
    partial = [name for name in saved_steps(folder) if name.startswith(".")]
    run(folder, *STEPS, "num_workers=0", "--kill-at-item", f"2:{third_epoch[9]}", code=killed)
    run(folder, *STEPS)
    assert partial, "the second kill was meant to hit the writing of a checkpoint"
    assert not [name for name in saved_steps(folder) if name.startswith(".")]
    assert_same_run(whole, folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_saves_and_exits(whole, tmp_path, number):
    folder = tmp_path / "run"
    long = [argument for argument in STEPS if not argument.startswith("max_steps")]
    process = subprocess.Popen(
        command(folder, *long, "max_steps=100000", "save_every=100000"),
        env=environment(), stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    wait_for(folder / "metrics.jsonl")
    os.killpg(process.pid, number)  # as a terminal and a cluster do: the loader's workers get it too
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in errors
    assert "the same command goes on from there" in errors
    (only,) = saved_steps(folder)
    state = json.loads((folder / "checkpoints" / only / "state.json").read_text())
    assert only == f"step_{state['step']:07d}"
    assert state["step"] >= metric_lines(folder)[-1]["step"]


def test_two_processes_killed_and_resumed_give_the_same_bits(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    steps = (*STEPS, "mean_teacher.weight=2", "--batch-norm")  # a teacher must be the same on every process
    run(whole, *steps, processes=2)
    # One of the two dies; torchrun then ends the other.
    run(broken, *steps, "num_workers=0", "--kill-at-item", "1:3", processes=2, code=1)
    assert saved_steps(broken)
    run(broken, *steps, processes=2)
    assert_same_run(whole, broken)


def test_two_processes_equal_one(tmp_path):
    # Without augmentation and dropout, which are drawn per process; SGD shows the gradient itself.
    plain = (
        "--no-augment", "--dropout", "0", "max_steps=6", "log_every=1", "optim.kind=sgd", "optim.head_lr=0.1",
        "average.ema.decay=0.99", "average.ema.warmup=false", "mean_teacher.weight=20", "mean_teacher.ramp=2",
    )  # fmt: skip
    one, two, parts = tmp_path / "one", tmp_path / "two", tmp_path / "parts"
    run(one, *plain)
    run(two, *plain, processes=2)
    run(parts, *plain, "micro_batch_size=1", processes=2)
    for folder in (two, parts):
        for key in ("loss", "frame", "clip", "teacher_frame", "teacher_clip", "grad_norm", "lr/head/top-0", "lwlrap"):
            ours, theirs = ([line[key] for line in metric_lines(f) if key in line] for f in (one, folder))
            assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-7), key
        for name, value in weights(one).items():
            torch.testing.assert_close(value, weights(folder)[name], rtol=1e-5, atol=1e-6)
    # 7 validation recordings over two processes: each once.
    table = pd.read_parquet(two / "oof.parquet")
    assert list(table["recording_id"]) == [f"rec{i}" for i in range(7)]
    boxes = [pd.read_parquet(folder / "oof_boxes.parquet") for folder in (one, two)]
    pd.testing.assert_frame_equal(*boxes, rtol=1e-5)


def test_full_disk_leaves_the_checkpoint_before(tmp_path):
    folder = tmp_path / "run"
    run(folder, *STEPS, "num_workers=0", "--kill-at-item", "1:3", code=-signal.SIGKILL)
    before = saved_steps(folder)

    def full_disk():  # a limit on file size fails as a full disk does: in write(2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (7000, 7000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    errors = run(folder, *STEPS, "num_workers=0", "trackers=[]", code=2, preexec_fn=full_disk)
    assert "error: cannot write" in errors
    assert "earlier checkpoints are intact" in errors
    assert "Traceback" not in errors
    assert saved_steps(folder) == before
    run(folder, *STEPS)


def test_second_process_on_one_folder_is_refused(tmp_path):
    folder = tmp_path / "run"
    first = subprocess.Popen(command(folder, *STEPS, "max_steps=100000"), env=environment(), stderr=subprocess.PIPE)
    try:
        wait_for(folder / "metrics.jsonl")
        errors = run(folder, *STEPS, "max_steps=100000", "lock_timeout_s=0.1", code=2)
        assert f"error: {folder} is in use by another running process" in errors
    finally:
        first.kill()
        first.communicate()


def wait_for(path, timeout_s=90.0):
    deadline = time.monotonic() + timeout_s
    while not (path.exists() and path.stat().st_size):
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.05)


def test_compiled_in_bfloat16_with_every_option(tmp_path):
    folder = tmp_path / "run"
    options = ("compile=true", "precision=bf16", "average.ema.decay=0.9", "average.top_k=2", "optim.sam_radius=0.05")
    options += ("mean_teacher.weight=2",)
    # inductor of torch 2.11 writes C++ for this model in bf16 that AVX2 compilers refuse; the wiring is what is ours
    run(folder, "max_steps=6", "evaluation.every=2", *options, "--compile-backend", "aot_eager")
    losses = [line["loss"] for line in metric_lines(folder) if line["kind"] == "train"]
    assert all(0 < loss < 5 for loss in losses)
    assert all(value.dtype == torch.float32 for value in weights(folder).values())
