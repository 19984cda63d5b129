"""Clock times and places in the tables of events; rows of many recordings in one Parquet group; nothing kept of them."""

import csv
import json
import tracemalloc

import pyarrow.parquet as pq
import pytest

from rfcx_ssl.detection.recording_table import open_recording_table
from rfcx_ssl.detection.settings import FORMATS
from rfcx_ssl.detection.writers import base, open_writers

CALL = ("Rana", 1.25, 3.0, 0.5)


def write(folder, formats, results, table=None):
    for writer in open_writers(formats, folder, ("Rana",), 16_000.0, table=table):
        with writer:
            for result in results:
                writer.add(result)


def rows_of(folder):
    with (folder / "events.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize(
    "recorded_at,start,end",
    [
        ("2023-12-31T23:59:58.500000", "2023-12-31T23:59:59.750", "2024-01-01T00:00:01.500"),
        ("2023-06-01T05:00:00-05:00", "2023-06-01T05:00:01.250-05:00", "2023-06-01T05:00:03.000-05:00"),
        (None, "", ""),
    ],
)
def test_clock_times(tmp_path, result_of, recorded_at, start, end):
    write(tmp_path, ["csv", "parquet", "jsonl"], [result_of("a", [CALL], recorded_at=recorded_at)])
    (row,) = rows_of(tmp_path)
    assert (row["start_time"], row["end_time"]) == (start, end)
    (typed,) = pq.read_table(tmp_path / "events.parquet").to_pylist()
    line = json.loads((tmp_path / "events.jsonl").read_text())
    assert line == {**typed, "f_min": None, "f_max": None}
    assert (typed["start_time"] or "", typed["end_time"] or "") == (start, end)
    assert list(row) == list(line) == list(typed)


def test_the_table_of_recordings_wins_over_the_header(tmp_path, result_of):
    (tmp_path / "where.csv").write_text(
        "recording,site,latitude,longitude,datetime,date\na,'=north,-18.25,66.5,2023-01-01T00:00,\nb,south,,,,\nday,,,,,2023-01-01\n"
    )
    header = "2001-01-01T12:00:00"
    results = [result_of(name, [CALL], recorded_at=header) for name in ("a", "b", "day", "c")]
    with open_recording_table(tmp_path / "where.csv") as table:
        write(tmp_path, ["csv", "parquet"], results, table)
    found = [(row["start_time"], row["site"], row["latitude"], row["longitude"]) for row in rows_of(tmp_path)]
    assert found == [
        ("2023-01-01T00:00:01.250", "'=north", "-18.25", "66.5"),
        ("2001-01-01T12:00:01.250", "south", "", ""),
        ("", "", "", ""),  # the day alone: nobody knows the time of day, and the header is not believed
        ("2001-01-01T12:00:01.250", "", "", ""),
    ]
    typed = pq.read_table(tmp_path / "events.parquet").to_pylist()
    assert [(row["site"], row["latitude"]) for row in typed] == [
        ("=north", -18.25),
        ("south", None),
        (None, None),
        (None, None),
    ]


def test_every_format_has_a_writer_and_every_writer_one_format(tmp_path):
    assert len({type(writer) for writer in open_writers(FORMATS, tmp_path, ("Rana",), 1.0)}) == len(FORMATS)


def test_recordings_share_row_groups(tmp_path, result_of, monkeypatch):
    monkeypatch.setattr(base, "GROUP_BYTES", 10 * 9 * base.CELL_BYTES)
    write(tmp_path, ["parquet"], [result_of(f"r{number}", [CALL]) for number in range(25)])
    file = pq.ParquetFile(tmp_path / "events.parquet")
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [10, 10, 5]
    assert file.read().column("recording").to_pylist() == [f"r{number}" for number in range(25)]


def test_names_that_are_not_unicode_stop_nothing(tmp_path, result_of):
    write(tmp_path, FORMATS, [result_of("caf\udce9", [CALL])])
    assert rows_of(tmp_path)[0]["recording"] == "caf\\udce9"
    assert pq.read_table(tmp_path / "events.parquet").column("recording").to_pylist() == ["caf\\udce9"]
    assert (tmp_path / "raven" / "caf%E9.selections.txt").is_file()


def test_memory_does_not_grow_with_the_recordings(tmp_path, result_of):
    result = result_of("a", [CALL], recorded_at="2023-01-01T00:00:00")
    peaks = []
    for count in (100, 3000):
        tracemalloc.start()
        write(tmp_path, ["csv", "jsonl", "birdnet", "kaleidoscope"], (result for _ in range(count)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000
