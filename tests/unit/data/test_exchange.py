import dataclasses
import math

import datasets
import numpy as np
import pandas as pd
import pytest

from rfcx_ssl.annotations import COLUMNS, WHOLE, Annotations, Span, read_complete, read_table
from rfcx_ssl.data import load_corpus
from rfcx_ssl.data.exchange import save_dataset, to_dataset, write_folder
from rfcx_ssl.errors import AnnotationError, AudioError

TABLES = (("train_tp.csv", "present"), ("train_fp.csv", "absent"))


@pytest.fixture
def corpus(settings_of, tmp_path):
    (tmp_path / "complete.txt").write_text("rec03\n")
    return load_corpus(settings_of(complete_file=tmp_path / "complete.txt"))


def test_one_row_per_recording_with_events_and_fold(corpus):
    dataset = to_dataset(corpus)
    columns = ["recording_id", "audio", "duration_s", "site", "fold", "complete", "spans", "events"]
    assert dataset.column_names == columns
    assert len(dataset) == 12 and sum(len(row["events"]) for row in dataset) == len(corpus.annotations)
    row = dataset[3]
    assert (row["recording_id"], row["site"], row["complete"], row["duration_s"]) == ("rec03", "site3", True, 4.0)
    assert row["fold"] == corpus.folds.fold_of["rec03"]
    first = row["events"][0]
    assert set(first) == set(COLUMNS) - {"recording_id", "source"} and first["state"] in ("present", "absent")


def test_saved_with_its_audio_and_written_back_it_is_the_same_corpus(corpus, tmp_path):
    save_dataset(to_dataset(corpus), tmp_path / "saved")
    reopened = datasets.load_from_disk(str(tmp_path / "saved"))
    assert all(row["audio"]["bytes"] for row in reopened)
    root = tmp_path / "again"
    write_folder(reopened, root)
    same = load_corpus(
        dataclasses.replace(
            corpus.settings, root=root, folds_file=root / "folds.csv", complete_file=root / "complete.txt", seed=99
        )
    )
    columns = [name for name in COLUMNS if name != "source"]
    assert same.annotations.table[columns].equals(corpus.annotations.table[columns])
    assert same.folds == corpus.folds and same.annotations.complete.keys() == {"rec03"}
    assert [r.site for r in same.recordings(None, "train")] == [r.site for r in corpus.recordings(None, "train")]
    np.testing.assert_array_equal(same.read("rec05"), corpus.read("rec05"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "complete.txt", "saved"]


def test_tags_and_spans_go_along(corpus, tmp_path):
    table = corpus.annotations.table
    table = table.assign(weak=(table["recording_id"] == "rec00") & (table["state"] == "present"))
    spans = {"rec03": [WHOLE], "rec04": [Span(1.5, 3.0), Span(2.0, math.inf, frozenset({23, 2}))]}
    dataset = to_dataset(dataclasses.replace(corpus, annotations=Annotations(table, spans)))
    assert [row["complete"] for row in dataset][3:5] == [True, False]
    names = corpus.space.species_names
    assert dataset[4]["spans"] == [
        {"start_s": 1.5, "end_s": 3.0, "species": None},
        {"start_s": 2.0, "end_s": None, "species": [names[2], names[23]]},
    ]
    assert [event["weak"] for event in dataset[0]["events"]] == [
        event["state"] == "present" for event in dataset[0]["events"]
    ]
    write_folder(dataset, tmp_path / "again")
    same = [name for name in COLUMNS if name != "source"]
    written = [
        read_table(tmp_path / "again" / name, state=state, species=corpus.space.species) for name, state in TABLES
    ]
    pd.testing.assert_frame_equal(Annotations.concat(written).table[same], table[same], check_dtype=False)
    assert (tmp_path / "again" / "complete.txt").read_text() == (
        f"file,start_s,end_s,species\nrec03,,,\nrec04,1.5,3.0,\nrec04,2.0,,{names[2]};{names[23]}\n"
    )
    read = read_complete(tmp_path / "again" / "complete.txt", corpus.space.species)
    assert read == {name: tuple(own) for name, own in spans.items()}


def test_a_data_set_of_an_earlier_version_is_read(corpus, tmp_path):
    rows = [
        {**row, "events": [{k: v for k, v in event.items() if k != "weak"} for event in row["events"]]}
        for row in to_dataset(corpus).remove_columns("spans")
    ]
    write_folder(datasets.Dataset.from_list(rows), tmp_path / "again")
    assert (tmp_path / "again" / "complete.txt").read_text() == "rec03\n"
    boxes = read_table(tmp_path / "again" / "train_tp.csv", state="present", species=corpus.space.species)
    assert len(boxes) == 8 and not boxes.table["weak"].any()


def test_nothing_is_overwritten_and_missing_audio_is_named(corpus, tmp_path):
    with pytest.raises(AnnotationError, match="exists: choose a new folder"):
        save_dataset(to_dataset(corpus), tmp_path)
    with pytest.raises(AnnotationError, match="exists: choose a new folder"):
        write_folder(to_dataset(corpus), tmp_path)
    with pytest.raises(AnnotationError, match="lacks the columns fold"):
        write_folder(to_dataset(corpus).remove_columns("fold"), tmp_path / "new")
    lost = {name: dataclasses.replace(r, path=tmp_path / "lost.flac") for name, r in corpus.recording_of.items()}
    silent = to_dataset(dataclasses.replace(corpus, recording_of=lost))
    with pytest.raises(AudioError, match="rec00: the data set holds neither"):
        write_folder(silent, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["complete.txt"]


def test_events_on_an_mp3_without_exact_time_are_not_written(corpus, bare_mp3, tmp_path):
    late = {**corpus.recording_of, "rec05": dataclasses.replace(corpus.recording_of["rec05"], path=bare_mp3)}
    with pytest.raises(AudioError, match=r"rec05\.mp3: MP3 without a LAME delay tag"):
        write_folder(to_dataset(dataclasses.replace(corpus, recording_of=late)), tmp_path / "new")
    assert not (tmp_path / "new").exists()
