"""A card full of what field recorders and strangers can put on it: every file has its row, and none ends the run."""

import csv
import json
import os

import numpy as np
import pytest
import soundfile

from rfcx_ssl.cli import main

RATE_HZ = 8_000
FORMATS = ("csv", "parquet", "jsonl", "raven", "audacity", "kaleidoscope", "birdnet")
NAMES = ("rec[/b]", "site$\\frac$", "=1+1", "ü" * 120, "a\nb [red]蛙", "<script>alert(1)<b>")
SAVES = ("windows", "frames", "embeddings", "embeddings_npz", "clips")


def noise(seconds, seed=0):
    return np.random.default_rng(seed).normal(0, 0.05, round(seconds * RATE_HZ)).astype(np.float32)


def with_comment(path, comment):
    """A WAV whose INFO list says what an AudioMoth would not."""
    soundfile.write(path, noise(2), RATE_HZ, subtype="PCM_16")
    data, text = path.read_bytes(), comment.encode() + b"\0" * (len(comment) % 2)
    info = b"INFOICMT" + len(text).to_bytes(4, "little") + text
    whole = data + b"LIST" + len(info).to_bytes(4, "little") + info
    path.write_bytes(whole[:4] + (len(whole) - 8).to_bytes(4, "little") + whole[8:])


@pytest.fixture(scope="module")
def heard(tiny_model, tmp_path_factory):
    """The folder that ``rfcx-ssl detect`` writes of it all."""
    root = tmp_path_factory.mktemp("hostile")
    card = root / "card"
    card.mkdir()
    tiny_model(RATE_HZ, window_s=1.0).save_pretrained(root / "model")
    for number, name in enumerate(NAMES):
        path = card / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, noise(2, number), RATE_HZ)
    with open(os.fsencode(card) + b"/p\xe1jaro.wav", "wb") as file:  # noqa: PTH123 - Latin-1 bytes
        soundfile.write(file, noise(2), RATE_HZ, format="WAV")
    sounds = {
        "silence": np.zeros(20_001), "dc": np.full(20_001, 0.5), "half": np.r_[noise(5), np.zeros(5 * RATE_HZ)],
        "antiphase": np.c_[noise(3), -noise(3)], "one": [0.5], "huge": noise(2) * 1e30, "unscaled": noise(2) * 3e5,
        "nan": np.r_[noise(1), np.nan, noise(1)],
    }  # fmt: skip
    for name, samples in sounds.items():
        soundfile.write(card / f"{name}.wav", samples, RATE_HZ, subtype="FLOAT")
    with_comment(card / "utc.wav", "Recorded at 05:00:00 01/03/2021 (UTC+99) by AudioMoth 24F319055FDF2F5B")
    with_comment(card / "late.wav", "Recorded at 23:59:59 31/12/9999 (UTC) by AudioMoth 24F319055FDF2F5B")
    os.mkfifo(card / "pipe.wav")
    (card / "empty.wav").touch()
    out = root / "out"
    options = [part for name in FORMATS for part in ("--format", name)]
    options += [part for name in SAVES for part in ("--save", name)]
    command = [
        "detect",
        str(card),
        "--model",
        str(root / "model"),
        "--out",
        str(out),
        "--threads",
        "1",
        "--readers",
        "0",
    ]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--picture", "--threshold", "0.3", "--set", "picture_s=1", *options])
    return ended.value.code, out


def rows(path):
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_every_file_has_its_row_and_the_reason_why(heard):
    code, out = heard
    assert code == 3
    problems = {os.path.basename(row["file"]): row["error"] for row in rows(out / "errors.csv")}  # noqa: PTH119
    assert set(problems) == {"huge.wav", "nan.wav", "pipe.wav", "empty.wav"}
    assert "holds samples of" in problems["huge.wav"] and "this is no audio" in problems["huge.wav"]
    assert "NaN or infinite" in problems["nan.wav"] and "not a regular file" in problems["pipe.wav"]
    assert len(rows(out / "scores.csv")) == len(NAMES) + 1 + 10 - 2 + 1
    record = json.loads((out / "detect.json").read_text(encoding="utf-8"))
    assert record["unreadable"] == 4


def test_no_model_answers_for_silence(heard):
    _, out = heard
    scores = {row["recording"]: row for row in rows(out / "scores.csv")}
    for name, silent_s in {"silence": 2.5, "dc": 2.5, "one": 0.0, "half": 5.0, "antiphase": 0.0}.items():
        assert float(scores[name]["silent_s"]) == pytest.approx(silent_s, abs=0.13), name
    species = list(scores["silence"])[5:]
    for name in ("silence", "dc", "one"):
        assert {float(scores[name][word]) for word in species} == {0.0}
    assert max(float(scores["antiphase"][word]) for word in species) > 0.1, "one channel was heard"
    events = rows(out / "events.csv")
    assert {"half", "antiphase"} <= {row["recording"] for row in events}
    assert not {"silence", "dc", "one"} & {row["recording"] for row in events}
    assert max(float(row["end_s"]) for row in events if row["recording"] == "half") <= 5.13
    assert {row["recording"] for row in rows(out / "windows.csv")}.isdisjoint({"silence", "dc"})


def test_what_is_odd_is_said_once_each(heard):
    _, out = heard
    warnings = json.loads((out / "detect.json").read_text(encoding="utf-8"))["warnings"]
    for text in ("without any signal", "times full scale", "channel 1 alone was heard"):
        assert sum(text in line for line in warnings) == 1, (text, warnings)
    assert not any("no picture" in line or "no clip" in line for line in warnings), warnings


def test_tables_and_pages_run_nothing(heard):
    _, out = heard
    for table in out.glob("*.csv"):
        with table.open(encoding="utf-8", newline="") as lines:
            cells = [cell for row in csv.reader(lines) for cell in row]
        assert not [cell for cell in cells if cell[:1] in ("=", "@", "\t", "\r", "-", "+") and not cell[1:2].isdigit()]
    for page in out.rglob("*.html"):
        assert "<script>alert" not in page.read_text(encoding="utf-8")
    assert all(path.is_relative_to(out) for path in out.rglob("*"))
    assert len(list((out / "pictures").rglob("*.png"))) == len(rows(out / "scores.csv"))
