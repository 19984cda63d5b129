"""Workers of the training loader: whatever happens to them or to the loop, one line, and no process is left."""

import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from rfcx_ssl.errors import RfcxError, RunError
from rfcx_ssl.labels import collate
from rfcx_ssl.training.data import StepStream
from rfcx_ssl.training.sampler import StepSampler

PROGRAM = Path(__file__).parents[1] / "pipeline" / "programs" / "toy_finetune.py"
ENVIRONMENT = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
FAULTS = {
    "audio": "/forest/a.flac: cannot be read",
    "kill": "a data worker was killed by SIGKILL (out of memory?); the same command goes on from the last checkpoint",
    "shm": "a data worker cannot hand over its batch (",
    "files": "",  # where it breaks is up to torch: sharing, sending or receiving
    "stuck": "no data for 1 s: is the disk of the recordings gone? (loader_timeout_s)",
}


@pytest.fixture(scope="module")
def toy():
    spec = importlib.util.spec_from_file_location("toy_finetune_faults", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stream_of(toy, fault, num_workers=2, timeout_s=60):
    data = toy.ToyData(kill_at=(0, 9, fault))
    sampler = StepSampler(num_items=20, batch_size=4, accumulation=1, rank=0, num_processes=1, seed=0)
    return StepStream(
        data, collate, sampler, torch.device("cpu"), start_step=0, num_workers=num_workers, timeout_s=timeout_s
    )  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_worker_is_one_line_and_the_end(toy, fault):
    with pytest.raises(RfcxError) as caught, stream_of(toy, fault, timeout_s=1 if fault == "stuck" else 60) as steps:
        for _ in range(10):
            next(steps)
    assert str(caught.value).startswith(FAULTS[fault])
    assert "\n" not in str(caught.value)
    assert not multiprocessing.active_children()


def test_an_error_of_an_item_is_the_same_without_workers(toy):
    with pytest.raises(RfcxError, match=r"^/forest/a\.flac: cannot be read$"), stream_of(toy, "audio", 0) as steps:
        for _ in range(10):
            next(steps)


def test_workers_that_are_stuck_do_not_keep_the_loop(toy):
    with pytest.raises(ValueError, match="of the loop"), stream_of(toy, "stuck") as steps:
        next(steps)
        raise ValueError("of the loop")
    assert not multiprocessing.active_children()


def test_a_worker_may_die_while_the_loop_ends(toy):
    """torch hears of it by a signal, and raises wherever the loop is: here among the last words over another failure."""
    with pytest.raises(RunError, match="killed by SIGKILL"), stream_of(toy, "stuck") as steps:
        next(steps)
        pid = multiprocessing.active_children()[0].pid
        timer = threading.Timer(0.3, os.kill, (pid, signal.SIGKILL))
        timer.start()
        raise EOFError("half a batch")
    timer.join()
    assert not multiprocessing.active_children()


def test_a_bug_ends_the_program_and_its_workers(tmp_path):
    words = [sys.executable, str(PROGRAM), f"output_dir={tmp_path / 'run'}", "max_steps=14", "num_workers=2"]
    process = subprocess.Popen(
        [*words, "--fault-at-item", "0", "9", "bug"],
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        _, errors = process.communicate(timeout=100)  # the pipes are closed when the last worker is gone
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        pytest.fail("the program never ends")
    assert process.returncode == 1
    assert "ZeroDivisionError: a bug" in errors
