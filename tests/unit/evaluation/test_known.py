"""Sentences about what can be judged, and about what a model has learned from."""

import dataclasses
import json

import pandas as pd
import pytest

from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.evaluation.known import few_sites, what_is_known, what_it_learned_from
from rfcx_ssl.evaluation.reference import labelled_reference
from rfcx_ssl.evaluation.runs import RunFacts, read_run
from rfcx_ssl.training.train import hash_names


def test_complete_truth_needs_one_sentence_and_species_without_a_call_are_named(make_reference):
    first, *others = what_is_known(make_reference())
    assert first.startswith("60 recordings (made-up recordings), all 4 species known in each;")
    assert "1 species have no present and absent cells to be told apart: Never heard." in others
    assert not any(note.startswith("No ") for note in others)


def test_partial_truth_says_what_is_known_and_what_is_missing(settings_of, tmp_path, make_reference):
    (tmp_path / "complete.txt").write_text("rec09\nrec00\n")
    first, *others = what_is_known(labelled_reference(settings_of(complete_file=tmp_path / "complete.txt"), None))
    assert "2 known for all 24 species and 3 for none" in first and "8 present and 47 absent" in first
    assert "8 present and 24 absent boxes; 0 species have both." in others
    assert any(note.startswith("No scores of boxes, which need absent boxes") for note in others)
    assert "Events are judged in 2 of them, whose every call is marked." in others
    none_timed = what_is_known(make_reference(0.3, timed_rate=0.0))
    assert any(note.startswith("No events") for note in none_timed)


def test_where_nothing_can_be_judged_that_is_an_error(settings_of):
    with pytest.raises(
        AnnotationError, match=r"nothing can be judged in 12 recordings .*data\.complete_file.*train_fp"
    ):
        what_is_known(labelled_reference(settings_of(), None))


def test_few_sites_are_a_warning(make_reference):
    assert "6 sites" in few_sites(make_reference())
    sites = tuple(f"site {row}" for row in range(60))
    assert few_sites(dataclasses.replace(make_reference(), sites=sites)) is None


@pytest.fixture
def run(settings_of, tmp_path):
    """``run(settings, data, valid)``: a run folder as training leaves it behind."""

    def make(data=None, valid=(), sides=None):
        settings = {"root": str(settings_of().root), "audio_folders": ["train"], "max_recordings": None}
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "config.json").write_text("{}")
        record = {"config": {"data": settings | (data or {})}, "data": {"recordings_sha256": sides or {}}}
        (tmp_path / "run.json").write_text(json.dumps(record))
        if valid:
            pd.DataFrame({"recording_id": valid, "score_0": 0.5}).to_parquet(tmp_path / "oof.parquet")
        return read_run(tmp_path)

    return make


def test_a_model_that_validated_on_these_recordings_has_not_learned_from_them(settings_of, run):
    fold = labelled_reference(settings_of(), 1)
    facts = run(valid=list(fold.recording_ids))
    assert what_it_learned_from("m", facts, fold) == "m: it has learned from none of these recordings."
    everything, total = labelled_reference(settings_of(), None), 12 - len(fold.recording_ids)
    warning = f"WARNING: m has learned from {total} of the 12 recordings judged here, which flatters it."
    assert what_it_learned_from("m", facts, everything) == warning


def test_the_test_part_is_known_by_its_hash(settings_of, run):
    held_out = labelled_reference(settings_of(test_share=0.25), None)
    facts = run(sides={"test": hash_names(sorted(held_out.recording_ids))})
    assert "none of these recordings" in what_it_learned_from("m", facts, held_out)
    assert "has learned from 12 of the 12" in what_it_learned_from("m", facts, labelled_reference(settings_of(), None))


def test_a_label_budget_and_other_data_are_taken_into_account(settings_of, run, make_reference, tmp_path):
    everything = labelled_reference(settings_of(), None)
    facts = run(data={"max_recordings": 9})
    assert "may have learned from 12" in what_it_learned_from("m", facts, everything)
    (tmp_path / "labels.csv").write_text("recording_id,state\nrec00,present\nrec00,absent\nrec03,present\n")
    assert "may have learned from 2 of the 12" in what_it_learned_from("m", facts, everything)
    assert "none of these recordings" in what_it_learned_from("m", facts, make_reference())
    bare = RunFacts(tmp_path, None, None, None, [])
    assert what_it_learned_from("m", bare, everything) == "m: no run folder tells what it learned from."
