"""Data sets of recordings with events, ours and others', as folders of one's own."""

import dataclasses
import math

import datasets
import numpy as np
import pytest

from rfcx_ssl.annotations import WHOLE, Annotations, Span
from rfcx_ssl.data import load_corpus
from rfcx_ssl.data.exchange import save_dataset, to_dataset
from rfcx_ssl.data.first_look import look
from rfcx_ssl.data.from_dataset import write_recordings
from rfcx_ssl.data.settings import load_data_settings
from rfcx_ssl.errors import AnnotationError, AudioError
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
    rows = to_dataset(corpus)
    (tmp_path / "repository").mkdir()
    rows.to_parquet(str(tmp_path / "repository" / "train.parquet"))
    save_dataset(rows, tmp_path / "saved")
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
        ([[{"start_s": 0.5, "end_s": 1.0, "label": ""}]], {}, "row 0: an event has neither label nor species"),
        ([[{"start_s": 0.5, "end_s": 1.0, "label": 7}]], {}, "row 0: label=7 of an event is not a text"),
        ([[], []], {"recording_id": ["a", "a"]}, "row 1: recording 'a' is there already"),
        ([[]], {"recording_id": ["../../x"]}, "row 0: recording_id='../../x' leads out of the folder"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(forest, tmp_path, events, columns, message):
    foreign(forest, events, **columns).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(AnnotationError, match=message.replace("[", r"\[")):
        write_recordings(HubSource(path=str(tmp_path / "saved")), tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_events_on_an_mp3_without_exact_time_are_not_written(corpus, bare_mp3, tmp_path):
    late = {**corpus.recording_of, "rec05": dataclasses.replace(corpus.recording_of["rec05"], path=bare_mp3)}
    save_dataset(to_dataset(dataclasses.replace(corpus, recording_of=late)), tmp_path / "saved")
    with pytest.raises(AudioError, match=r"rec05\.mp3: MP3 without a LAME delay tag"):
        write_recordings(HubSource(path=str(tmp_path / "saved")), tmp_path / "new")
    with pytest.raises(AnnotationError, match="exists: choose a new folder"):
        write_recordings(HubSource(path=str(tmp_path / "saved")), tmp_path / "saved")
