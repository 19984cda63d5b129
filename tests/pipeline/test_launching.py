"""Every documented way to start a training: what is seen of a mistake in the settings, and of Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rfcx_ssl.errors import RunError
from rfcx_ssl.training.processes import launch_processes

ROOT = Path(__file__).parents[2]
TOY = ROOT / "tests" / "pipeline" / "programs" / "toy_finetune.py"
TWO = "finetune/launch.py --config_file configs/accelerate/ddp.yaml --num_processes 2 --mixed_precision no"
ONE = "-m accelerate.commands.launch --quiet --cpu --num_processes 1"
WAYS = {"plain": "", "launch.py": TWO, "accelerate launch": ONE}


def start(way, program, *arguments):
    return subprocess.Popen(
        [sys.executable, *WAYS[way].split(), program, *arguments],
        cwd=ROOT,
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_mistake_is_our_one_line(way, tmp_path):
    process = start(
        way, "finetune/train.py", "model=panns_demo", "data.root=x", "max_stepps=1", f"output_dir={tmp_path}"
    )
    printed, errors = process.communicate(timeout=200)
    lines = errors.splitlines()
    assert lines[-1].startswith("error: finetune/train: ")
    assert "max_stepps: unknown key, did you mean 'max_steps'?" in lines[-1]
    assert sum("max_stepps" in line for line in lines) == 1
    assert "Traceback" not in errors + printed
    # accelerate launch knows no code but 1, and says on how many lines which of its options it chose itself
    assert process.returncode == (1 if way == "accelerate launch" else 2)
    if way != "accelerate launch":
        assert len(lines) == 1


def test_ctrl_c_is_our_one_line_and_saves(tmp_path):
    folder = tmp_path / "run"
    process = start(
        "launch.py", str(TOY), f"output_dir={folder}", "max_steps=100000", "save_every=100000", "num_workers=1"
    )
    metrics, deadline = folder / "metrics.jsonl", time.monotonic() + 90
    while not (metrics.exists() and metrics.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: launcher, training and loader get it
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    lines = errors.splitlines()
    assert lines[-1].startswith("error: stopped by a signal at step ")
    assert sum("stopped by a signal" in line for line in lines) == 1
    assert "Traceback" not in errors
    assert "death signal" not in errors
    assert len(list((folder / "checkpoints").iterdir())) == 1


def test_a_launcher_file_that_is_not_there_is_one_line():
    done = subprocess.run(
        [sys.executable, "finetune/launch.py", "--config_file", "none.yaml", "finetune/train.py", "max_steps=1"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "error: accelerate launch --config_file none.yaml" in done.stderr


def test_launching_leaves_the_callers_ctrl_c_as_it_was():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RunError, match=r"accelerate launch .*nowhere\.yaml"):
        launch_processes(["--config_file", "nowhere.yaml", "train.py"])
    assert signal.getsignal(signal.SIGINT) is before
