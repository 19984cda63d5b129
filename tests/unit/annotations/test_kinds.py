"""Every kind of label table, from made-up files with the columns that its program documents."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.annotations.kinds import KINDS, LabelTable, kind_of
from rfcx_ssl.errors import AnnotationError

RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)"
BIRDNET_RAVEN = f"{RAVEN}\tCommon Name\tSpecies Code\tConfidence\tBegin Path\tFile Offset (s)"
TABLES = {
    "Raven selection table": ("x.Table.1.selections.txt", f"{RAVEN}\tSpecies\n1\tSpectrogram 1\t1\t1\t2\t3\t4\tRana\n"),
    "Audacity label track": ("x.txt", "1.5\t2.5\tRana\n\\\t100\t200\n"),
    "plain table": ("x.csv", "file;label;start_s;end_s\nx;Rana;1;2\n"),
    "BirdNET table": ("x.csv", "Start (s),End (s),Scientific name,Common name,Confidence,File\n0.0,3.0,A b,C,0.8,x.wav\n"),
    "Kaleidoscope table": ("id.csv", "INDIR,FOLDER,IN FILE,CHANNEL,OFFSET,DURATION,AUTO ID*,MANUAL ID*\nC:\\in,p,x.wav,0,1,2,A,B\n"),
    "events of rfcx-ssl detect": ("e.csv", "recording,start_s,end_s,species,score,f_min,f_max\nx,1,2,Rana,0.9,,\n"),
    "events of rfcx-ssl detect as JSON lines": ("e.jsonl", '{"recording": "x", "start_s": 1, "end_s": 2, "species": "Rana", "f_min": null}\n'),
    "table in RFCX's columns": ("t.csv", "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\nx,1,1,0,1,2,3\n"),
}  # fmt: skip


def rows_of(folder, name, text, encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    table = LabelTable.read(path)
    return list(kind_of(table).read(table))


def test_every_kind_has_an_example():
    assert {kind.name for kind in KINDS} == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_the_kind_is_seen_from_the_head_and_no_other_fits(tmp_path, name):
    path = tmp_path / TABLES[name][0]
    path.write_text(TABLES[name][1])
    table = LabelTable.read(path)
    assert [kind.name for kind in KINDS if kind.matches(table)] == [name]
    assert len(list(kind_of(table).read(table))) == 1


@pytest.mark.parametrize(
    "text", ["Device ID : 24\n", "a,b\n1,2\n", "recording_id,fold,group\nx,1,x\n", "one\ttwo\tthree\n"]
)
def test_other_files_are_of_no_kind(tmp_path, text):
    (tmp_path / "x.csv").write_text(text)
    assert kind_of(LabelTable.read(tmp_path / "x.csv")) is None


def test_birdnet_names_the_species_twice_and_scores(tmp_path):
    (row,) = rows_of(tmp_path, *TABLES["BirdNET table"])
    assert (row.label, row.label_too, row.score, row.file) == ("C", "A b", "0.8", "x.wav")
    text = "filepath,start,end,scientific_name,common_name,confidence,lat,lon,week\n/d/x.wav,0,3,A b,C,0.8,-1,-1,-1\n"
    assert rows_of(tmp_path, "r.csv", text)[0]._replace(file="x.wav") == row._replace(start="0", end="3")
    text = "Start (s),End (s),Scientific name,Common name,Confidence\n0,3,A b,C,0.8\n"
    assert rows_of(tmp_path, "x.BirdNET.results.csv", text)[0].file == ""


def test_birdnet_for_raven_and_audacity(tmp_path):
    lines = "1\tSpectrogram 1\t1\t0\t3\t0\t15000\tC\tcod1\t0.81\t/d/x.wav\t60\n2\tSpectrogram 1\t1\t3\t6\t0\t15000\tnocall\tnocall\t1.0\t/d/y.wav\t0\n"
    (row,) = rows_of(tmp_path, "x.BirdNET.selection.table.txt", f"{BIRDNET_RAVEN}\n{lines}")
    assert (row.label, row.score, row.file, row.offset) == ("C", "0.81", "/d/x.wav", "60")
    rows = rows_of(tmp_path, "x.BirdNET.results.txt", "0.0\t3.0\tA b, C d\t0.81\n3.0\t6.0\tA b_C d\t0.5\n")
    assert [(row.label, row.label_too, row.score) for row in rows] == [("C d", "A b", "0.81"), ("C d", "A b", "0.5")]
    assert LabelTable.read(tmp_path / "x.BirdNET.results.txt").recording == "x"


@pytest.mark.parametrize(
    "cells,expected",
    [
        ("D:\\in,p\\q,x.wav,0,1.5,2,PIPPIP,MYODAU,ann", ("MYODAU", "", "ann")),
        ("D:\\in,p\\q,x.wav,0,1.5,2,PIPPIP,,ann", ("PIPPIP", "0", "")),
        ("D:\\in,p\\q,x.wav,0,1.5,2,NoID,,ann", None),
        ("D:\\in,p\\q,x.wav,0,1.5,2,,,ann", None),
    ],
)
def test_a_manual_identification_is_a_persons(tmp_path, cells, expected):
    head = "INDIR,FOLDER,IN FILE,CHANNEL,OFFSET,DURATION,AUTO ID,MANUAL ID,USERID"
    rows = rows_of(tmp_path, "id.csv", f"{head}\n{cells}\n")
    assert [(row.label, row.score, row.annotator) for row in rows] == ([expected] if expected else [])
    if rows:
        assert (rows[0].file, rows[0].start, rows[0].offset, rows[0].end) == ("D:\\in/p\\q/x.wav", "0", "1.5", "2")


def test_ravens_view_of_the_spectrogram_counts_once(tmp_path):
    lines = "1\tWaveform 1\t1\t1\t2\t0\t24000\tRana\n1\tSpectrogram 1\t1\t1\t2\t900\t2000\tRana\n"
    (row,) = rows_of(tmp_path, "x.txt", f"{RAVEN}\tSpecies\n{lines}")
    assert (row.low, row.high, row.line) == ("900", "2000", 3)


def test_encodings_of_windows_are_read(tmp_path, caplog):
    text = "file,label,start_s,end_s\nx,Pi\u00f1a,1,2\n"
    for encoding in ("utf-8-sig", "utf-16", "cp1252"):
        assert rows_of(tmp_path, f"{encoding}.csv", text, encoding)[0].label == "Pi\u00f1a"
    assert "cp1252.csv: is not UTF-8" in caplog.text and caplog.text.count("is not UTF-8") == 1
    with pytest.raises(AnnotationError, match="cannot be read as a label table"):
        rows_of(tmp_path, "x.csv", "\x00\u00f1", "latin-1")


@pytest.mark.parametrize(
    "text,message",
    [
        ("file,label,start_s,end_s\nx,Rana,1,\n", r"x\.csv:2: start_s='1', end_s='': give both or none"),
        ("file,label,weak\nx,Rana,perhaps\n", r"x\.csv:2: weak='perhaps' must be yes or no"),
        ("file,label,start,end_s\nx,Rana,1,2\n", r"x\.csv:1: unknown column 'start', did you mean 'start_s'\?"),
        ("file,label\nx,Rana,1\n", r"x\.csv:2: 3 cells, the header has 2"),
    ],
)
def test_what_is_wrong_in_a_plain_table_is_named(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=message):
        rows_of(tmp_path, "x.csv", text)


names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(
    lambda t: t == t.strip()
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(names, st.integers(0, 10**6), st.integers(1, 10**4), st.integers(0, 9999)), max_size=5))
def test_a_raven_table_is_read_as_it_was_written(tmp_path_factory, boxes):
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow([*RAVEN.split("\t"), "Annotation"])
    expected = []
    for number, (label, start_ms, length_ms, low_hz) in enumerate(boxes, 1):
        times = (f"{start_ms / 1000:.3f}", f"{(start_ms + length_ms) / 1000:.3f}")
        writer.writerow((number, "Spectrogram 1", 1, *times, low_hz, low_hz + 100, label))
        expected.append((label, *times, str(low_hz), str(low_hz + 100)))
    rows = rows_of(tmp_path_factory.mktemp("raven"), "x.selections.txt", text.getvalue())
    assert [(row.label, row.start, row.end, row.low, row.high) for row in rows] == expected


def test_parquet_is_read_as_the_same_table_in_csv(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"file": ["x", "'=y"], "label": ["=Rana", "b"], "start_s": [1.5, None], "end_s": [2.0, None]}
    pq.write_table(pa.table(columns), tmp_path / "labels.parquet")
    table = LabelTable.read(tmp_path / "labels.parquet")
    first, second = kind_of(table).read(table)
    assert (first.file, first.label, first.start, first.end) == ("x", "=Rana", "1.5", "2.0")
    assert (second.file, second.label, second.start) == ("'=y", "b", "")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(AnnotationError, match=r"broken\.parquet: cannot be read as a label table"):
        LabelTable.read(tmp_path / "broken.parquet")


@pytest.mark.parametrize(
    "line,message",
    [
        ('{"recording": "x"', "e.jsonl:2: no JSON object"),
        ("7", "e.jsonl:2: no JSON object"),
        ('{"recording": "x"}', "e.jsonl:2: missing key start_s, end_s, species"),
    ],
)
def test_a_broken_line_of_json_is_named(tmp_path, line, message):
    good = TABLES["events of rfcx-ssl detect as JSON lines"][1]
    with pytest.raises(AnnotationError, match=message):
        rows_of(tmp_path, "e.jsonl", good + line)
