"""``rfcx-ssl detect`` as a user runs it: real processes, real files, an untrained model."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rfcx_ssl.cli import main

REAL_RECORDING = Path(__file__).parents[2].parent / "shared/data/rfcx/train/0a4e7e350.flac"
LOW_RATE_HZ = 4_000  # so that an hour of audio is cheap
WHOLE_HOUR_MIB = 3600 * LOW_RATE_HZ * 4 / 2**20  # as float32


@pytest.fixture(scope="module")
def model_dir(tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_model(32_000, window_s=2.0).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def low_rate_model_dir(tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("low")
    tiny_model(LOW_RATE_HZ, window_s=2.0).save_pretrained(folder)
    return folder


RUNS = """
import resource, sys
from rfcx_ssl.cli import main
for line in sys.stdin:
    main(["detect", *line.rstrip("\\n").split("\\t")])
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    print(max(resource.getrusage(one).ru_maxrss for one in who) / 1024)
"""


def detect(*arguments):
    """Run the command in a process of its own; returns exit code and stderr."""
    command = [sys.executable, "-m", "rfcx_ssl", "detect", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, env=environment, text=True, check=False)
    return done.returncode, done.stderr


def read_rows(path):
    with path.open() as lines:
        return list(csv.DictReader(lines))


def write_noise(path, duration_s, rate_hz):
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", rate_hz, 1) as file:
        for _ in range(duration_s // 10):
            file.write(rng.normal(0, 0.05, 10 * rate_hz).astype(np.float32))
    return path


def test_a_folder_with_good_low_rate_and_broken_files(model_dir, tmp_path):
    card = tmp_path / "card"
    card.mkdir()
    write_noise(card / "good.flac", 10, 48_000)
    write_noise(card / "low.wav", 10, 16_000)
    (card / "broken.flac").write_bytes(b"fLaC and nothing else")
    out = tmp_path / "out"
    formats = [part for name in ("csv", "raven", "audacity", "parquet") for part in ("--format", name)]
    code, stderr = detect(card, "--model", model_dir, "--out", out, "--threshold", 0.2, "--picture", *formats)
    assert code == 3, stderr
    assert "low.wav: recorded at 16000 Hz, the model expects 32000" in stderr
    assert "Nesospingus speculiferus" in stderr
    assert "error: 1 of 3 recordings could not be read whole" in stderr
    (error,) = read_rows(out / "errors.csv")
    assert error["file"].endswith("broken.flac") and error["heard_s"] == "0.000"
    events = read_rows(out / "events.csv")
    assert {row["recording"] for row in events} == {"good", "low"}
    columns = ["recording", "start_s", "end_s", "species", "score", "f_min", "f_max", "start_time", "end_time"]
    assert list(events[0]) == columns
    for row in events:
        assert 0 <= float(row["start_s"]) < float(row["end_s"]) <= 10.0
        assert 0.2 <= float(row["score"]) <= 1.0 and float(row["f_min"]) < float(row["f_max"])
    assert [row["recording"] for row in read_rows(out / "scores.csv")] == ["good", "low"]
    written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    written = {path for path in written if not path.startswith("journal/")}
    assert written == {
        "detect.json",
        "errors.csv",
        "events.csv",
        "events.parquet",
        "scores.csv",
        "scores.parquet",
        "index.html",
        *(
            f"{kind}"
            for name in ("good", "low")
            for kind in (f"raven/{name}.selections.txt", f"audacity/{name}.labels.txt")
        ),
        "pictures/good.png",
        "pictures/low.png",
    }
    record = json.loads((out / "detect.json").read_text())
    assert (record["recordings"], record["unreadable"], record["events"]) == (3, 1, len(events))
    assert record["settings"]["threshold"] == 0.2 and len(record["warnings"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no.wav", "--model", "MODEL"), "no.wav: no such file or folder"),
        (("a.wav", "--model", "nothing"), "nothing: cannot be loaded"),
        (("a.wav", "--model", "MODEL", "--set", "treshold=0.1"), "did you mean 'threshold'"),
    ],
)
def test_mistakes_end_with_one_line_and_code_2(model_dir, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_noise(tmp_path / "a.wav", 10, 32_000)
    with pytest.raises(SystemExit) as stop:
        main(["detect", *(str(model_dir) if a == "MODEL" else a for a in arguments), "--out", "out"])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line


def test_memory_does_not_grow_with_the_recording(low_rate_model_dir, tmp_path):
    """One process hears a minute, then an hour: its peak memory, or its reader's, hardly rises."""
    lines, heard = [], {}
    for duration_s in (60, 3600):
        audio = write_noise(tmp_path / f"{duration_s}.wav", duration_s, LOW_RATE_HZ)
        heard[duration_s] = tmp_path / f"out{duration_s}"
        words = [audio, "--model", low_rate_model_dir, "--out", heard[duration_s], "--threshold", 0.9]
        lines.append("\t".join(map(str, words)) + "\n")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", RUNS],
        input="".join(lines),
        capture_output=True,
        env=environment,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for duration_s, out in heard.items():
        assert float(read_rows(out / "scores.csv")[0]["heard_s"]) == duration_s
    minute_mib, hour_mib = map(float, done.stdout.split())
    assert WHOLE_HOUR_MIB > 50 and hour_mib - minute_mib < WHOLE_HOUR_MIB / 3


@pytest.mark.skipif(not REAL_RECORDING.is_file(), reason="the real recording is not beside this checkout")
def test_the_real_recording(model_dir, tmp_path):
    out = tmp_path / "out"
    words = (REAL_RECORDING, "--model", model_dir, "--out", out, "--threshold", 0.3, "--picture")
    main(["detect", *map(str, words)])
    assert not (out / "errors.csv").exists()
    (scores,) = read_rows(out / "scores.csv")
    assert scores["recording"] == "0a4e7e350" and float(scores["heard_s"]) == 60.0
    assert read_rows(out / "events.csv")
    assert (out / "pictures" / "0a4e7e350.png").stat().st_size > 50_000
