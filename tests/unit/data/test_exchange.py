import dataclasses
import math

import pytest

from rfcx_ssl.annotations import COLUMNS, WHOLE, Annotations, Span
from rfcx_ssl.data import load_corpus
from rfcx_ssl.data.exchange import save_dataset, to_dataset
from rfcx_ssl.errors import AnnotationError

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
    assert set(first) == {"species", *COLUMNS} - {"recording_id", "source"} and first["state"] in ("present", "absent")


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


def test_nothing_is_overwritten(corpus, tmp_path):
    with pytest.raises(AnnotationError, match="exists: choose a new folder"):
        save_dataset(to_dataset(corpus), tmp_path)
