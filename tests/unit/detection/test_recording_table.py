"""Which row of a table of recordings means a recording, and what a row may say."""

from datetime import date, datetime, time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rfcx_ssl.detection.recording_table import Place, open_recording_table
from rfcx_ssl.errors import AnnotationError


def write(folder, text, name="where.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "cell",
    ["a/b", "a/b.wav", "a\\b.WAV", "./a/b.flac", "/card/a/b.wav", "card/a/b", "b", "b.wav"],
)
def test_every_way_to_name_a_recording(tmp_path, cell):
    path = write(tmp_path, f"recording,site\n{cell},north\n")
    with open_recording_table(path) as table:
        assert table.check([("a/b", "/card/a/b.wav"), ("a/c", "/card/a/c.wav")]) == 1
        assert table.find("a/b", "/card/a/b.wav") == Place("north", None, None, False, None)
        assert table.find("a/c", "/card/a/c.wav") is None


def test_the_longest_name_wins_and_spelling_of_accents_does_not_matter(tmp_path):
    path = write(tmp_path, "file,site\nb,any\na/b,near\nx/u\u0308,accent\n")
    with open_recording_table(path) as table:
        assert table.find("a/b", "/card/a/b.wav").site == "near"
        assert table.find("c/b", "/card/c/b.wav").site == "any"
        assert table.find("\u00fc", "/card/x/\u00fc.wav").site == "accent"


def test_a_row_for_two_recordings_is_refused_before_anything_is_heard(tmp_path):
    path = write(tmp_path, "recording,site\nb,north\n")
    recordings = [("a/b", "/card/a/b.wav"), ("c/b", "/card/c/b.wav")]
    with open_recording_table(path) as table, pytest.raises(AnnotationError, match="'b' may be 'a/b' or 'c/b'"):
        table.check(recordings)
    with open_recording_table(path) as table, pytest.raises(AnnotationError, match=r"none of the recordings.*'b'"):
        table.check([("x", "/x.wav")])


def test_moments_and_places(tmp_path):
    rows = (
        "recording,site,latitude,longitude,datetime,date,time\n"
        "a,'=north,-18.25,66,2023-04-15 05:30,,\n"
        "b,,,,,2023-04-15,05:30:10.5\n"
        "c,,,,,2023-04-15,\n"
        "20230415_053000,x,,,,,\n"
    )
    with open_recording_table(write(tmp_path, rows)) as table:
        assert table.find("a", "a.wav") == Place("=north", -18.25, 66.0, True, "2023-04-15T05:30:00")
        assert table.find("b", "b.wav") == Place(None, None, None, True, "2023-04-15T05:30:10.500000")
        assert table.find("c", "c.wav") == Place(None, None, None, True, None), "the day alone is no moment"
        named = table.find("20230415_053000", "20230415_053000.wav")
        assert named == Place("x", None, None, False, None), "a name is for the header's reader"


def test_parquet_says_the_same(tmp_path):
    columns = {
        "recording": ["a", "b"], "site": ["north", None], "latitude": [1.5, float("nan")], "longitude": [2, 3],
        "datetime": [datetime(2023, 4, 15, 5, 30), None], "date": [None, date(2023, 4, 15)], "time": [None, time(1, 2)],
    }  # fmt: skip
    pq.write_table(pa.table(columns), tmp_path / "where.parquet")
    with open_recording_table(tmp_path / "where.parquet") as table:
        assert table.find("a", "a.wav") == Place("north", 1.5, 2.0, True, "2023-04-15T05:30:00")
        assert table.find("b", "b.wav") == Place(None, None, 3.0, True, "2023-04-15T01:02:00")


@pytest.mark.parametrize(
    "text,message",
    [
        ("recording,height\na,1\n", r"where\.csv:1: needs a column recording or recording_id or file, and any of site"),
        ("name,site\na,1\n", r"where\.csv:1: needs a column recording"),
        ("recording,lattitude\na,1\n", "did you mean 'latitude'"),
        ("recording,site\n,x\n", r"where\.csv:2: names no recording"),
        ("recording,site\na,x\na.wav,y\n", r"where\.csv:3: recording 'a' is listed twice"),
        ("recording,latitude\na,91\n", r"where\.csv:2: latitude=91 must be from -90 to 90"),
        ("recording,longitude\na,nan\n", r"where\.csv:2: longitude='nan' is not a finite number"),
        ("recording,longitude\na,12°W\n", r"where\.csv:2: longitude='12°W' is not a number"),
        ("recording,datetime\na,15/04/2023\n", r"where\.csv:2: recording a: datetime='15/04/2023' in where\.csv is no date"),
        ("recording,time,site\na,05:30,x\n", r"where\.csv:2: time='05:30' is there without a date"),
        ("recording,site\n", r"where\.csv: has no rows"),
    ],
)  # fmt: skip
def test_wrong_rows_are_named(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=message), open_recording_table(write(tmp_path, text)):
        pass


def test_what_is_no_table_is_named(tmp_path):
    with pytest.raises(AnnotationError, match=r"where\.parquet: cannot be read as a table"):
        with open_recording_table(write(tmp_path, "no", "where.parquet")):
            pass
    with pytest.raises(AnnotationError, match=r"none\.csv: cannot be read as a table"):
        with open_recording_table(tmp_path / "none.csv"):
            pass
