"""Data sets of recordings with events, ours and others', as folders of one's own."""

import dataclasses
import math

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from rfcx_ssl.annotations import WHOLE, Annotations, Span
from rfcx_ssl.data import load_corpus
from rfcx_ssl.data.exchange import save_dataset, to_dataset
from rfcx_ssl.data.first_look import look
from rfcx_ssl.data.from_dataset import write_recordings
from rfcx_ssl.data.settings import load_data_settings
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.manifest.hub_source import HubSource


@pytest.fixture
def corpus(settings_of, tmp_path):
    """RFCX's forest with a tag, a complete recording and one that is complete in part."""
    corpus = load_corpus(settings_of())
    table = corpus.annotations.table
    table = table.assign(weak=(table["recording_id"] == "rec00") & (table["state"] == "present"))
    spans = {"rec03": [WHOLE], "rec04": [Span(1.5, 3.0), Span(2.0, math.inf, frozenset({5, 1}))]}
    return dataclasses.replace(corpus, annotations=Annotations(table, spans))


def said(corpus):
    """Everything that is said of each recording, by the species' names."""
    names = corpus.space.species_names
    return {
        name: (
            [(names[e.species_id], e.songtype_id, *e[2:]) for e in corpus.annotations.events(name)],
            {(s.start_s, s.end_s, s.species and frozenset(names[i] for i in s.species))
             for s in corpus.annotations.spans(name)},
        )
        for name in corpus.annotations.recording_ids
    }  # fmt: skip


def test_saved_and_written_back_it_says_the_same(corpus, tmp_path):
    save_dataset(to_dataset(corpus), tmp_path / "saved")
    root = tmp_path / "again"
    assert write_recordings(HubSource(path=str(tmp_path / "saved")), root) == 12
    look(root, "listed")  # writes species.csv
    words = ["sample_rate_hz=16000", "crop_s=1", "num_folds=3", f"complete_file={root / 'complete.csv'}"]
    same = load_corpus(load_data_settings(root, "annotations", words))
    assert said(same) == said(corpus)
    assert [r.site for r in same.recordings(None, "train")] == [r.site for r in corpus.recordings(None, "train")]
    np.testing.assert_array_equal(same.read("rec05"), corpus.read("rec05"))


def test_files_of_a_hub_repository_stream_as_what_was_saved(corpus, tmp_path):
    """``datasets.load_dataset`` by name: here of a folder with the Parquet files that a repository holds."""
    save_dataset(to_dataset(corpus), tmp_path / "saved")
    (tmp_path / "repository").mkdir()
    embedded = datasets.load_from_disk(str(tmp_path / "saved"))  # as push_to_hub writes it
    embedded.to_parquet(str(tmp_path / "repository" / "train.parquet"))
    for name in ("repository", "saved"):
        assert write_recordings(HubSource(path=str(tmp_path / name)), tmp_path / f"{name} out") == 12
    one, other = tmp_path / "repository out", tmp_path / "saved out"
    for table in ("labels.csv", "recordings.csv", "complete.csv"):
        assert (one / table).read_text() == (other / table).read_text()
    assert len(list(one.rglob("*.flac"))) == 12


def foreign(forest, events, **columns):
    audio = [{"path": str(forest / "train" / f"rec{i:02d}.flac"), "bytes": None} for i in range(len(events))]
    rows = datasets.Dataset.from_dict({"sound": audio, "events": events, **columns})
    return rows.cast_column("sound", datasets.Audio(decode=False))


def test_somebody_elses_names_of_columns(forest, tmp_path):
    events = [[{"start_s": 0.5, "end_s": 1.0, "label": "Käuzchen"}], [{"start_s": 0.1, "end_s": 0.4, "label": "蛙"}]]
    foreign(forest, events).save_to_disk(str(tmp_path / "saved"))
    write_recordings(HubSource(path=str(tmp_path / "saved")), tmp_path / "new")
    found = look(tmp_path / "new", "all")
    assert found.species.names == ("Käuzchen", "蛙") and found.num_audio == 2 and found.annotations.has_negatives
    assert found.annotations.events("rec01")[0][2:6] == (0.1, 0.4, 0.0, 1e9)


@pytest.mark.parametrize(
    ("events", "columns", "message"),
    [
        (
            [[{"start_s": 0.5, "end_s": 1.0, "label": ""}], []],
            {},
            "0,rec00.flac,an event has neither label nor species",
        ),
        ([[], []], {"recording_id": ["a", "a"]}, "1,a.flac,recording 'a' is there already"),
    ],
)
def test_a_bad_row_is_quarantined_and_the_others_are_written(forest, tmp_path, caplog, events, columns, message):
    foreign(forest, events, **columns).save_to_disk(str(tmp_path / "saved"))
    assert write_recordings(HubSource(path=str(tmp_path / "saved")), tmp_path / "new") == 1
    assert message in (tmp_path / "new/quarantine.csv").read_text()
    assert "1 rows left out, first row" in caplog.text and str(tmp_path / "new/quarantine.csv") in caplog.text


HOSTILE = ("../../x", "/etc/cron.d/x", "a/../../b", "nul\0", "line\nbreak", "x" * 300, "🐸/蛙", "CON", "-rf", "=1+1", ".hidden", "a/" * 900)  # fmt: skip


def test_no_name_leads_out_of_the_folder_and_labels_find_their_audio(forest, tmp_path):
    events = [[{"start_s": 0.5, "end_s": 1.0, "label": f"species {i}"}] for i in range(len(HOSTILE))]
    audio = (forest / "train/rec00.flac").read_bytes()
    rows = [
        {"audio": {"bytes": audio, "path": f"../x{i}.sh"}, "recording_id": name, "events": events[i]}
        for i, name in enumerate(HOSTILE)
    ]
    (tmp_path / "data").mkdir()
    data = datasets.Dataset.from_list(rows).cast_column("audio", datasets.Audio(decode=False))
    data.to_parquet(str(tmp_path / "data" / "train.parquet"))
    before = {path for path in tmp_path.parent.rglob("*") if path.is_file()}
    root = tmp_path / "deep" / "new"
    root.parent.mkdir()
    assert write_recordings(HubSource(path=str(tmp_path / "data")), root) == len(HOSTILE)
    new = {path for path in tmp_path.parent.rglob("*") if path.is_file()} - before
    audio_files = list(root.rglob("*.flac"))
    assert len(audio_files) == len(HOSTILE)
    assert {
        path for path in new if root not in path.parents and path.suffix not in (".arrow", ".json", ".lock")
    } == set()
    assert {path.suffix for path in root.rglob("*") if path.is_file()} == {".flac", ".csv"}
    found = look(root, "all")
    assert found.num_audio == len(HOSTILE)
    assert sorted(found.species.names) == sorted(f"species {i}" for i in range(len(HOSTILE)))
    assert "\n=" not in (root / "labels.csv").read_text() and "\n-" not in (root / "recordings.csv").read_text()


@pytest.mark.parametrize(
    "address", ["{secret}", "file://{secret}", "zip://a::{secret}", "http://127.0.0.1/x", "memory://x"]
)
def test_a_row_does_not_choose_among_the_files_of_this_machine(forest, tmp_path, address):
    secret = tmp_path / "secret.flac"
    secret.write_bytes((forest / "train/rec01.flac").read_bytes())
    good = (forest / "train/rec00.flac").read_bytes()
    audio = [{"bytes": good, "path": "a.flac"}, {"bytes": None, "path": address.format(secret=secret)}]
    rows = [{"audio": item, "events": [{"start_s": 0.5, "end_s": 1.0, "label": "frog"}]} for item in audio]
    (tmp_path / "data").mkdir()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "data" / "train.parquet")
    assert write_recordings(HubSource(path=str(tmp_path / "data"), column="audio"), tmp_path / "new") == 1
    assert "neither in the data set nor at an address" in (tmp_path / "new/quarantine.csv").read_text()


def test_events_on_an_mp3_without_exact_time_are_not_written(corpus, bare_mp3, tmp_path):
    late = {**corpus.recording_of, "rec05": dataclasses.replace(corpus.recording_of["rec05"], path=bare_mp3)}
    save_dataset(to_dataset(dataclasses.replace(corpus, recording_of=late)), tmp_path / "saved")
    assert write_recordings(HubSource(path=str(tmp_path / "saved")), tmp_path / "new") == 11
    assert "rec05.mp3: MP3 without a LAME delay tag" in (tmp_path / "new/quarantine.csv").read_text()
    with pytest.raises(AnnotationError, match="exists: choose a new folder"):
        write_recordings(HubSource(path=str(tmp_path / "saved")), tmp_path / "saved")
