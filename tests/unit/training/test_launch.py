"""Launching runs, with a stand-in for the training program."""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time

import pytest

from rfcx_ssl.errors import RunError
from rfcx_ssl.training.launch import Launch, Launcher, default_launcher
from rfcx_ssl.training.signals import SET_BY_LAUNCHERS

PROGRAM = """
import json, os, pathlib, sys, time
folder = pathlib.Path(sys.argv[-1].removeprefix("output_dir='").removesuffix("'"))
folder.mkdir(parents=True, exist_ok=True)
(folder / "device").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", ""))
(folder / "calls").open("a").write("x")
(folder / "threads").write_text(os.environ.get("OMP_NUM_THREADS", ""))
print("hello from", folder.name)
if "wait" in sys.argv:
    time.sleep(60)
if "fail" in sys.argv:
    sys.exit(2)
(folder / "run.json").write_text(json.dumps({"finished": True}))
"""


@pytest.fixture
def launcher(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    return lambda devices=(): Launcher(program, sys.executable, devices, tmp_path / "logs")


def test_failures_are_returned_and_finished_runs_are_kept(launcher, tmp_path):
    launches = [Launch(tmp_path / "a", ()), Launch(tmp_path / "b", ("fail",)), Launch(tmp_path / "c", ())]
    assert launcher().run_all(launches) == [launches[1]]
    assert launcher().run_all(launches) == [launches[1]]
    assert [(tmp_path / name / "calls").read_text() for name in "abc"] == ["x", "xx", "x"]


def test_one_run_per_device_with_its_own_log(launcher, tmp_path):
    launches = [Launch(tmp_path / "runs" / name, ()) for name in "abcd"]
    assert launcher(["0", "3"]).run_all(launches) == []
    assert {(launch.output_dir / "device").read_text() for launch in launches} == {"0", "3"}
    assert (tmp_path / "logs" / "runs_a.log").read_text() == "hello from a\n"


def test_signal_ends_the_run_at_work_and_starts_no_other(launcher, tmp_path):
    launches = [Launch(tmp_path / "a", ("wait",)), Launch(tmp_path / "b", ())]

    def interrupt():
        while not (tmp_path / "a" / "calls").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(RunError, match="stopped by a signal"):
        launcher().run_all(launches)
    thread.join()
    assert not (tmp_path / "b").exists()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_runs_side_by_side_share_the_threads(launcher, tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("rfcx_ssl.threads.usable_cores", lambda *_: 16)
    monkeypatch.setattr("rfcx_ssl.threads.free_cores", lambda *_: 16)
    launches = [Launch(tmp_path / name, ()) for name in "ab"]
    assert launcher().run_all(launches[:1]) == []
    assert launcher(["0", "1", "2", "3"]).run_all(launches[1:]) == []
    assert [(tmp_path / name / "threads").read_text() for name in "ab"] == ["", "2"]  # alone it chooses by itself


def test_one_process_needs_no_launcher():
    assert shlex.split(default_launcher()) == [sys.executable]


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
@pytest.mark.parametrize(
    ("set_by_launcher", "number"), [({}, 0), ({name: "1" for name in SET_BY_LAUNCHERS[:1]}, signal.SIGTERM)]
)
def test_only_a_training_that_a_launcher_started_ends_with_it(set_by_launcher, number):
    asked = (
        "import ctypes; from rfcx_ssl.training.signals import stop_with_launcher; stop_with_launcher();"
        "number = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(number)); print(number.value)"
    )
    plain = {name: value for name, value in os.environ.items() if name not in SET_BY_LAUNCHERS}
    said = subprocess.run(
        [sys.executable, "-c", asked], env=plain | set_by_launcher, capture_output=True, text=True, check=True
    )
    assert int(said.stdout) == number
