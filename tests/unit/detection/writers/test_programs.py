"""Tables of other programs follow their rules, and our own readers take them back."""

import csv

import pytest

from rfcx_ssl.annotations import read_extra
from rfcx_ssl.annotations.audio_index import AudioIndex
from rfcx_ssl.annotations.convert import Conversion
from rfcx_ssl.annotations.label_map import default_label_map
from rfcx_ssl.annotations.read import tables_of
from rfcx_ssl.detection.writers import open_writers
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.species.table import Call, SpeciesTable

NAMES = ("Piñón, \"el grande\"", "=HYPERLINK(1)", "'-quoted", "+plus", "@at", "-minus", "鳥 🐦", "Rana")  # fmt: skip
SPECIES = SpeciesTable(tuple(Call(s, 1, name, scientific_name=f"Genus {s}") for s, name in enumerate(NAMES)))
RECORDINGS = ("site 1/card=2/a", "=b", "ü/+c", "@d/20210301_050000", "e, f")


def write(folder, kind, results, names=NAMES):
    (writer,) = open_writers([kind], folder, names, 16_000.0, scientific_names=SPECIES.scientific_names)
    with writer:
        for result in results:
            writer.add(result)


@pytest.fixture
def results(result_of, tmp_path):
    made = []
    for place, recording in enumerate(RECORDINGS):
        path = tmp_path / "audio" / f"{recording}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        events = [(name, s + place / 8, s + 1.25 + place / 8, 0.5 + s / 100) for s, name in enumerate(NAMES)]
        made.append(result_of(recording, events, path=str(path)))
    return made


@pytest.mark.parametrize("kind", ["kaleidoscope", "birdnet"])
def test_tables_with_files_find_their_recordings_again(tmp_path, results, kind):
    write(tmp_path, kind, results)
    index = AudioIndex(tmp_path / "audio")
    conversion = Conversion(default_label_map(SPECIES), index.recording_of)
    for table in tables_of(tmp_path / f"{kind}.csv"):
        conversion.add(table)
    read = conversion.annotations()
    assert set(read.recording_ids) == set(RECORDINGS)
    for result in results:
        events = [(NAMES[e.species_id], e.start_s, e.end_s) for e in read.events(result.recording)]
        assert events == [(e.species, e.box.start_s, e.box.end_s) for e in result.events]


@pytest.mark.parametrize("kind", ["csv", "kaleidoscope", "birdnet"])
def test_no_cell_is_a_formula(tmp_path, results, kind):
    write(tmp_path, kind, results)
    (path,) = tmp_path.glob("*.csv")
    with path.open(newline="", encoding="utf-8") as lines:
        cells = [cell for row in csv.reader(lines) for cell in row]
    assert not [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell]
    assert sum("HYPERLINK" in cell for cell in cells) == len(RECORDINGS)


def test_kaleidoscope_names_folder_and_file(tmp_path, results):
    write(tmp_path, "kaleidoscope", results[:1])
    with (tmp_path / "kaleidoscope.csv").open(newline="", encoding="utf-8") as lines:
        row = next(csv.DictReader(lines))
    place = row["INDIR"], row["FOLDER"], row["IN FILE"]
    assert place == (str(tmp_path / "audio"), "site 1/card=2", "a.wav")
    assert (row["OFFSET"], row["DURATION"], row["AUTO ID"], row["MANUAL ID"]) == ("0.000", "1.250", NAMES[0], "")


@pytest.mark.parametrize(
    "path,recording,expected",
    [
        ("/card/a.wav", "a", ["/card", "", "a.wav"]),
        ("a.wav", "a", ["", "", "a.wav"]),
        ("s3://bucket/x/a.flac", "x/a", ["s3://bucket", "x", "a.flac"]),
        ("/card/a.wav", "another", ["/card", "", "a.wav"]),
    ],
)
def test_kaleidoscopes_folders(tmp_path, result_of, path, recording, expected):
    write(tmp_path, "kaleidoscope", [result_of(recording, [("Rana", 1.0, 2.0, 0.5)], path=path)])
    row = (tmp_path / "kaleidoscope.csv").read_text().splitlines()[1]
    assert row.split(",")[:3] == expected


def test_birdnet_names_the_species_twice(tmp_path, results):
    write(tmp_path, "birdnet", results[:1])
    with (tmp_path / "birdnet.csv").open(newline="", encoding="utf-8") as lines:
        row = list(csv.DictReader(lines))[-1]
    assert list(row) == ["Start (s)", "End (s)", "Scientific name", "Common name", "Confidence", "File"]
    assert (row["Scientific name"], row["Common name"], row["Confidence"]) == ("Genus 7", "Rana", "0.5700")


def test_raven_by_its_rules(tmp_path, results):
    """Tabs, no more; numbers count from 1; every selection has a length and a band below Nyquist; views and channels are there."""
    names = [name for name in NAMES if '"' not in name]
    plain = [r for r in results if "=" not in r.recording]
    write(tmp_path, "raven", plain)
    tables = sorted((tmp_path / "raven").rglob("*.selections.txt"))
    assert len(tables) == len(plain)
    for path in tables:
        header, *rows = [line.split("\t") for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n")]
        assert header[:7] == [
            "Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)",
        ]  # fmt: skip
        assert {len(row) for row in rows} == {len(header)}
        assert [int(row[0]) for row in rows] == list(range(1, len(NAMES) + 1))
        for row in rows:
            begin_s, end_s, low_hz, high_hz = map(float, row[3:7])
            assert row[1] == "Spectrogram 1" and int(row[2]) == 1
            assert 0 <= begin_s < end_s and 0 <= low_hz < high_hz <= 16_000
        assert set(names) <= {row[7] for row in rows}


NASTY = (
    "/etc/passwd",
    "../../up",
    "a//b",
    "..",
    "con/nul.x",
    "a:b*?",
    "tab\there",
    "new\nline",
    "%41",
    ".hidden",
    "x.",
)


@pytest.mark.parametrize("kind", ["raven", "audacity"])
def test_files_stay_in_their_folder_and_are_found_again(tmp_path, result_of, kind):
    out = tmp_path / "deep" / "out"
    write(out, kind, [result_of(name, [("Rana", 1.0, 2.0, 0.5)]) for name in NASTY])
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == len(NASTY) and all(out / kind in path.parents for path in files)
    read = read_extra(out / kind, default_label_map(SPECIES))
    assert set(read.recording_ids) == set(NASTY)


def test_a_file_that_would_not_change_is_left_alone(tmp_path, result_of):
    first, second = result_of("a", [("Rana", 1.0, 2.0, 0.5)]), result_of("b")
    write(tmp_path, "raven", [first, second])
    a, b = (tmp_path / "raven" / f"{name}.selections.txt" for name in "ab")
    before = a.stat().st_ino, b.stat().st_ino
    write(tmp_path, "raven", [first, result_of("b", [("Rana", 1.0, 2.0, 0.5)])])
    assert a.stat().st_ino == before[0] and b.stat().st_ino != before[1]
    assert len(b.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "kind,name,message",
    [
        ("kaleidoscope", "NoID", "a kaleidoscope table says so where nothing is found"),
        ("kaleidoscope", "Noise", "a kaleidoscope table"),
        ("raven", "nocall", "a raven table"),
        ("birdnet", "a\nb", "without tabs and line breaks"),
        ("kaleidoscope", " ", "without tabs and line breaks"),
    ],
)
def test_names_that_mean_something_else_are_refused(tmp_path, kind, name, message):
    with pytest.raises(ConfigError, match=message):
        open_writers(["csv", kind], tmp_path, ("Rana", name), 16_000.0)
    assert len(open_writers(["csv", "parquet", "jsonl"], tmp_path, ("Rana", name), 16_000.0)) == 3
