"""Every format holds the same events; an interrupted table leaves nothing behind."""

import csv

import numpy as np
import pyarrow.parquet as pq
import pytest

from rfcx_ssl.annotations import UNKNOWN_BAND_HZ, Event
from rfcx_ssl.annotations.exchange import DETECTION_COLUMNS
from rfcx_ssl.decoding.detections import Detection
from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.settings import FORMATS
from rfcx_ssl.detection.writers import open_writers
from rfcx_ssl.errors import ConfigError

SPECIES = ("Eleutherodactylus coqui", "unheard of")
EVENTS = [
    Detection("site/a", "Eleutherodactylus coqui", 0.91234, Event(3, 1, 0.5, 1.25, 1031.0, 2812.0, True, 1.0)),
    Detection("site/a", "unheard of", 0.5, Event(1, 1, 2.0, 3.0, *UNKNOWN_BAND_HZ, True, 1.0)),
]


@pytest.fixture
def written(tmp_path):
    writers = open_writers([*FORMATS, "csv"], tmp_path, SPECIES, 16_000.0)
    assert len(writers) == len(FORMATS)
    for writer in writers:
        with writer:
            writer.add(result_of("site/a", EVENTS))
            writer.add(result_of("b"))
            writer.add(result_of("unheard", clip=None, heard_s=0.0, problem="broken"))
    return tmp_path


def result_of(recording, events=(), **changes):
    clip = np.array([0.9, 0.25], np.float32)
    values = {
        "index": 0, "recording": recording, "path": f"/card/{recording}.wav", "start_s": 0.0, "heard_s": 60.0,
        "sample_rate_hz": 48_000, "recorded_at": None, "problem": None, "warnings": (), "clip": clip,
        "events": list(events),
    }  # fmt: skip
    return Result(**{**values, **changes})


def test_csv(written):
    with (written / "events.csv").open() as lines:
        rows = list(csv.reader(lines))
    assert rows == [
        [*DETECTION_COLUMNS, "start_time", "end_time"],
        ["site/a", "0.500", "1.250", "Eleutherodactylus coqui", "0.9123", "1031", "2812", "", ""],
        ["site/a", "2.000", "3.000", "unheard of", "0.5000", "", "", "", ""],
    ]


def test_parquet(written):
    table = pq.read_table(written / "events.parquet")
    assert table.column_names == [*DETECTION_COLUMNS, "start_time", "end_time"]
    assert table.column("start_s").to_pylist() == [0.5, 2.0]
    assert table.column("f_max").to_pylist() == [2812.0, None]


def test_raven(written):
    header, first, second = (written / "raven" / "site" / "a.selections.txt").read_text().splitlines()
    assert header.split("\t")[:5] == ["Selection", "View", "Channel", "Begin Time (s)", "End Time (s)"]
    cells = dict(zip(header.split("\t"), first.split("\t"), strict=True))
    assert (cells["Begin Time (s)"], cells["Low Freq (Hz)"], cells["Species"]) == (
        "0.500",
        "1031",
        "Eleutherodactylus coqui",
    )
    assert second.split("\t")[5:7] == ["0", "16000"]  # an unknown band is the whole spectrum
    assert (written / "raven" / "b.selections.txt").read_text() == header + "\n"


def test_audacity(written):
    assert (written / "audacity" / "site" / "a.labels.txt").read_text().splitlines() == [
        "0.500000\t1.250000\tEleutherodactylus coqui 0.91",
        "\\\t1031.0\t2812.0",
        "2.000000\t3.000000\tunheard of 0.50",
        "\\\t0.0\t16000.0",
    ]
    assert (written / "audacity" / "b.labels.txt").read_text() == ""


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_an_interrupted_table_leaves_nothing(tmp_path, name):
    (writer,) = open_writers([name], tmp_path, SPECIES, 16_000.0)
    with pytest.raises(KeyboardInterrupt), writer:
        writer.add(result_of("site/a", EVENTS))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a\tb", "without tabs and line breaks"),
        ("a\nb", "without tabs and line breaks"),
        ("", "without tabs and line breaks"),
        ("frog 0.50", "ends like a score"),
    ],
)
def test_names_that_cannot_be_read_back_are_refused_before_anything_is_heard(tmp_path, name, message):
    for kind in ("raven", "audacity"):
        with pytest.raises(ConfigError, match=message):
            open_writers([kind], tmp_path, ("fine", name), 16_000.0)
    assert len(open_writers(["csv", "parquet"], tmp_path, ("fine", name), 16_000.0)) == 2
    assert list(tmp_path.iterdir()) == []
