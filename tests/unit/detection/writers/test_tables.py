"""Scores, windows and errors: one row each, in columns that do not depend on what was found."""

import csv

import numpy as np
import pyarrow.parquet as pq
import pytest

from rfcx_ssl.detection.writers import open_tables
from rfcx_ssl.errors import ConfigError

SPECIES = ("=Rana", "Bufo")
WINDOWS = {"windows_s": np.array([10.0, 12.5]), "window_scores": np.array([[0.5, 0.25], [1.0, 0.0]], np.float32)}


def write(folder, results, formats=("csv",), **options):
    for writer in open_tables(folder, SPECIES, formats=formats, window_s=5.0, frame_s=0.01, **options):
        with writer:
            for result in results:
                writer.add(result)


def read(path):
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.reader(lines))


@pytest.fixture
def results(result_of):
    return [
        result_of("a", start_s=10.0, heard_s=6.0, silent_s=1.5, recorded_at="2023-01-01T00:00:00", arrays=WINDOWS),
        result_of("b", clip=None, heard_s=0.0, problem="b.wav: broken"),
        result_of("c", heard_s=3.5, problem="=c.wav: truncated"),
    ]


def test_scores_and_errors(tmp_path, results):
    write(tmp_path, results)
    times = ["2023-01-01T00:00:10.000", "2023-01-01T00:00:16.000"]
    assert read(tmp_path / "scores.csv") == [
        ["recording", "heard_s", "silent_s", "start_time", "end_time", "'=Rana", "Bufo"],
        ["a", "6.000", "1.500", *times, "0.90000", "0.25000"],
        ["c", "3.500", "0.000", "", "", "0.90000", "0.25000"],
    ]
    assert read(tmp_path / "errors.csv") == [
        ["file", "heard_s", "error"],
        ["/card/b.wav", "0.000", "b.wav: broken"],
        ["/card/c.wav", "3.500", "'=c.wav: truncated"],
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"scores.csv", "errors.csv"}
    write(tmp_path, results[:1])
    assert not (tmp_path / "errors.csv").exists(), "what went well says nothing, also where there were errors before"


def test_windows_end_where_hearing_ends(tmp_path, results):
    write(tmp_path, results, saves=("windows",))
    assert read(tmp_path / "windows.csv") == [
        ["recording", "start_s", "end_s", "'=Rana", "Bufo"],
        ["a", "10.000", "15.000", "0.50000", "0.25000"],
        ["a", "12.500", "16.000", "1.00000", "0.00000"],
    ]


@pytest.mark.parametrize(
    "formats,expected",
    [
        (("raven",), {"windows.csv"}),
        (("csv", "parquet"), {"windows.csv", "windows.parquet", "scores.parquet"}),
        (("parquet",), {"windows.parquet", "scores.parquet"}),
    ],
)
def test_parquet_holds_the_same_as_csv(tmp_path, results, formats, expected):
    write(tmp_path, results, formats, saves=("windows",))
    assert {path.name for path in tmp_path.iterdir()} == {"scores.csv", "errors.csv", *expected}
    for name in ("scores", "windows"):
        if f"{name}.parquet" in expected and (tmp_path / f"{name}.csv").exists():
            typed = pq.read_table(tmp_path / f"{name}.parquet")
            header, *rows = read(tmp_path / f"{name}.csv")
            assert typed.column_names == [cell.lstrip("'") for cell in header]
            for row, values in zip(rows, zip(*typed.to_pydict().values(), strict=True), strict=True):
                assert row == ["" if v is None else v if isinstance(v, str) else row[i] for i, v in enumerate(values)]
                numbers = [(float(t), v) for t, v in zip(row, values, strict=True) if isinstance(v, float)]
                np.testing.assert_allclose(*zip(*numbers, strict=True), atol=1e-5)


def test_a_species_called_as_a_column_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="species name 'heard_s': tables of scores have a column of that name"):
        open_tables(tmp_path, ("Rana", "heard_s"), formats=(), window_s=5.0, frame_s=0.01)
