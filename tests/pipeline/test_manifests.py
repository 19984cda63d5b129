"""Stage 1 through its real commands: build, kill, continue, validate; memory; the real recording."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared/data/rfcx/train"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def command(program, *arguments):
    return [sys.executable, f"manifests/{program}.py", *map(str, arguments)]


def run(program, *arguments, **environment):
    env = ENVIRONMENT | environment
    return subprocess.run(command(program, *arguments), cwd=ROOT, capture_output=True, text=True, env=env)


def contents(folder):
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and ".state" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes().replace(bytes(folder), b"OUT") for path in files}


@pytest.fixture
def audio(tmp_path):
    """Thirty recordings of two rates, one of them broken."""
    folder = tmp_path / "audio"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(30):
        rate = (48_000, 44_100)[number % 2]
        samples = rng.normal(0, 0.1, rate * 12).clip(-0.9, 0.9)
        soundfile.write(folder / f"S{number % 5}_20210301_05{number:02d}00.flac", samples, rate)
    (folder / "broken.flac").write_text("not audio")
    return folder


@pytest.mark.slow
def test_a_killed_build_continues_to_what_an_uninterrupted_one_gives(audio, tmp_path):
    whole = run("build", audio, "--out", tmp_path / "whole", "--set", "segment_s=5", "--workers", 1)
    assert whole.returncode == 0, whole.stderr
    out = tmp_path / "killed"
    arguments = command("build", audio, "--out", out, "--set", "segment_s=5", "--workers", 2)
    with subprocess.Popen(arguments, cwd=ROOT, env=ENVIRONMENT, start_new_session=True) as process:
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline and len(list(out.rglob("*.flac"))) < 7:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    assert not (out / "train.tsv").exists()
    assert len(list(out.rglob("*.flac"))) < 90
    again = run("build", audio, "--out", out, "--set", "segment_s=5", "--workers", 2)
    assert again.returncode == 0, again.stderr
    assert contents(out) == contents(tmp_path / "whole")
    assert list(out.rglob("*.tmp")) == []
    checked = run("validate", out, "--workers", 1)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "segments are sound" in checked.stdout


# A stand-in for a recording that crashes the decoder: every process that opens it is gone.
CRASH = """
import os, sys, traceback

def crash(event, args):
    if event == "open" and str(args[0]).endswith("crash.flac"):
        if any(frame.f_code.co_name == os.environ["CRASH_IN"] for frame, _ in traceback.walk_stack(None)):
            os._exit(139)

sys.addaudithook(crash)
"""


@pytest.mark.slow
@pytest.mark.parametrize("crash_in", ["scan_headers", "prepare_recordings"])
def test_a_recording_that_kills_its_worker_is_quarantined_and_the_rest_is_built(audio, tmp_path, crash_in):
    soundfile.write(audio / "crash.flac", np.random.default_rng(1).normal(0, 0.1, 48_000 * 12), 48_000)
    out, hook = tmp_path / "out", tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(CRASH)
    environment = {"PYTHONPATH": str(hook), "CRASH_IN": crash_in}
    done = run("build", audio, "--out", out, "--set", "segment_s=5", "--workers", 2, **environment)
    assert done.returncode == 0, done.stderr
    reasons = dict(line.split(",", 1) for line in (out / "quarantine.csv").read_text().splitlines()[1:])
    assert {name.rpartition("/")[2] for name in reasons} == {"broken.flac", "crash.flac"}
    assert "the process that read it died" in str(reasons)
    (audio / "crash.flac").unlink()
    assert run("build", audio, "--out", tmp_path / "without", "--set", "segment_s=5").returncode == 0
    one, other = contents(out), contents(tmp_path / "without")
    assert {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)} <= {
        "quarantine.csv", "manifest.json"
    }  # fmt: skip


def test_mistakes_are_one_line_and_exit_code_2(audio, tmp_path):
    for arguments, message in (
        ((tmp_path / "nowhere", "--out", tmp_path / "out"), "no such folder or file"),
        ((audio, "--out", tmp_path / "out", "--set", "segment=3"), "did you mean 'segment_s'?"),
        ((audio, "--out", tmp_path / "out", "--set", "split.valid_fraction=2"), "need 0 < valid_fraction < 1"),
    ):
        done = run("build", *arguments)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert message in done.stderr
    assert run("validate", audio).returncode == 2


def peak_memory_mb(*arguments):
    """Largest resident size of one build in one process (ru_maxrss would start from this process's own)."""
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__'); "
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "manifests/build.py", *map(str, arguments), "--workers", "1"],
        cwd=ROOT, capture_output=True, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.slow
def test_memory_does_not_grow_with_the_length_of_a_recording(tmp_path):
    minute = np.random.default_rng(0).integers(-9_000, 9_000, 8_000 * 60, dtype=np.int16)
    used = {}
    for minutes in (2, 240):
        path = tmp_path / f"{minutes}/a.flac"
        path.parent.mkdir()
        with soundfile.SoundFile(path, "w", 8_000, 1, subtype="PCM_16") as file:
            for number in range(minutes):
                file.write(np.roll(minute, number))
        out = tmp_path / f"out{minutes}"
        used[minutes] = peak_memory_mb(path, "--out", out, "--virtual", "--set", "sample_rate_hz=8000")
    assert json.loads((tmp_path / "out240/manifest.json").read_text())["hours"] == 4.0
    assert used[240] < used[2] + 30  # the whole signal would be 460 MB as float32


@pytest.mark.skipif(not REAL.is_dir(), reason="the real recording is not here")
def test_the_real_recording_becomes_four_segments(tmp_path):
    done = run("build", REAL, "--out", tmp_path / "out", "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "valid has 0 segments; fairseq stops with 'dataset is empty' below 8" in done.stderr
    root, *rows = (tmp_path / "out/train.tsv").read_text().splitlines()
    assert len(rows) == 4
    for row in rows:
        relpath, frames = row.split("\t")
        info = soundfile.info(Path(root, relpath))
        assert (info.frames, int(frames), info.samplerate, info.subtype) == (480_000, 480_000, 32_000, "PCM_16")
    checked = run("validate", tmp_path / "out", "--workers", 1)
    assert checked.returncode == 2
    assert "valid_segments='0'" in checked.stdout
