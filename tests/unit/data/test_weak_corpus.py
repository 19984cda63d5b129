"""A corpus with tags and with recordings that are complete in part: which crops are drawn, and what they teach."""

import dataclasses
import math

import numpy as np
import pytest

from rfcx_ssl.annotations import WHOLE, Annotations, Span
from rfcx_ssl.annotations.spans import fit_to_recordings
from rfcx_ssl.data import CropDataset, load_corpus, recording_truth
from rfcx_ssl.data.budget import strata
from rfcx_ssl.data.truth import RecordingTruth
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.training.rules import has_silence

GRID = FrameGrid(16_000, 320)
HEADER = "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max,weight,weak\n"
SHORT, LONG, ANSWERED = "rec00,7,1,1.2,0,1.8,100,1,yes", "rec01,8,1,0.4,0,3.4,100,0.5,yes", "rec02,2,1,0,0,4,100,1,yes"


@pytest.fixture
def corpus(settings_of, tmp_path):
    """Crops of 1 s; 4 s recordings; a tag shorter than a crop, a longer one, one that a box answers (rec02, species 2)."""
    (tmp_path / "tags.csv").write_text(HEADER + "\n".join([SHORT, LONG, ANSWERED]) + "\n")
    return load_corpus(settings_of(extra_tables=(tmp_path / "tags.csv",), absent_share=0.0))


def with_spans(corpus, complete):
    durations_s = {name: recording.duration_s for name, recording in corpus.recording_of.items()}
    annotations = fit_to_recordings(Annotations(corpus.annotations.table, complete), durations_s)
    return dataclasses.replace(corpus, annotations=annotations)


def crops_around(corpus, name, **settings):
    """Starts in seconds and items of crops around the tag of a recording."""
    corpus = dataclasses.replace(corpus, settings=dataclasses.replace(corpus.settings, **settings))
    dataset = CropDataset(corpus, None, GRID, recording_ids=[name], length=120)
    around = [i for i in range(120) if dataset.anchor(i).event.is_tag]
    return np.array([dataset.start_samples(i) / 16_000 for i in around]), [dataset[i] for i in around]


def test_a_box_answers_a_tag_once_the_data_are_read(corpus):
    tags = {(name, e.species_id) for name in corpus.recording_of for e in corpus.annotations.events(name) if e.is_tag}
    assert tags == {("rec00", 7), ("rec01", 8)}


def test_a_crop_around_a_short_tag_holds_all_of_its_window(corpus):
    starts, items = crops_around(corpus, "rec00")
    assert 0.8 <= starts.min() < 0.85 and 1.15 < starts.max() <= 1.2
    assert {(float(item.clip_target[7]), float(item.clip_known[7])) for item in items} == {(1.0, 1.0)}
    assert not any(item.target[:, 7].any() or item.known[:, 7].any() for item in items), "a tag teaches no frame"
    middle, _ = crops_around(corpus, "rec00", jitter=0.0)
    np.testing.assert_allclose(middle, 1.0, atol=1e-4)


@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_a_crop_around_a_long_tag_lies_anywhere_in_it(corpus, jitter):
    starts, items = crops_around(corpus, "rec01", jitter=jitter)
    assert 0.4 <= starts.min() < 0.6 and 2.2 < starts.max() <= 2.4 and abs(starts.mean() - 1.4) < 0.2
    for item in items:
        assert item.clip_target[8] == 1 and item.clip_known[8] == pytest.approx(0.5 / 3, abs=1e-4)


def test_partial_completeness_reaches_frames_clips_and_whole_recordings(corpus):
    corpus = with_spans(
        corpus, {"rec09": [Span(0, 2)], "rec10": [Span(0, 4, frozenset({3, 6}))], "rec11": [Span(0, 4)]}
    )
    _, known = corpus.frame_labels("rec09", GRID)
    assert known[:100].all() and not known[100:].all(axis=1).any()
    frames = corpus.frame_labels("rec09", GRID, 0, 16_000)
    assert corpus.clip_labels("rec09", 0, 16_000, frames)[1].all()
    assert not corpus.clip_labels("rec09", 24_000, 16_000, frames)[1].all()
    judged = corpus.judged(["rec00", "rec09", "rec10", "rec11"], GRID)
    assert judged.known.sum(axis=1).tolist() == [2, 0, 2, 24] and np.flatnonzero(judged.known[2]).tolist() == [3, 6]
    assert np.flatnonzero(judged.truth[0]).tolist() == [0, 7] and not judged.truth[1:].any()
    assert [(box.species_id, box.weak) for box in judged.boxes[0] if box.present] == [(0, False), (7, True)]


@pytest.mark.parametrize(
    ("complete", "known"),
    [
        ([WHOLE], [1, 1, 1]),
        ([Span(0, 9)], [0, 0, 1]),  # a species that is heard is known anyway
        ([Span(0, 4, frozenset({0})), Span(4, math.inf)], [1, 0, 1]),
        ([Span(3, math.inf, frozenset({1})), Span(0, 3, frozenset({1, 2}))], [0, 1, 1]),
    ],
)
def test_a_species_is_absent_where_spans_for_it_reach_from_end_to_end(complete, known):
    row = {"recording_id": "a", "species_id": 2, "songtype_id": 1, "t_min": 0, "t_max": 9, "f_min": 0, "f_max": 1,
           "state": "present", "weight": 1.0, "source": "t:2", "weak": True}  # fmt: skip
    found = recording_truth(Annotations.from_rows([row], {"a": complete}), ["a"], num_species=3)
    assert isinstance(found, RecordingTruth)
    assert found.known.astype(int).tolist() == [known] and found.truth.tolist() == [[0, 0, 1]]


def test_silence_may_be_known_in_a_part_of_a_recording(corpus):
    every = range(24)
    of_all = {"rec09": [Span(1, 2)]}
    apart = {"rec09": [Span(0, 2, frozenset(every[:12])), Span(2, 4, frozenset(every[12:]))]}
    together = {"rec09": [Span(0, 2, frozenset(every[:12])), Span(1.5, 4, frozenset(every[12:]))]}
    for complete, expected in (({}, False), (of_all, True), (apart, False), (together, True)):
        assert has_silence(with_spans(corpus, complete), None) is expected


def test_a_tag_counts_as_present_in_a_label_budget(corpus):
    found = strata(corpus.annotations, ["rec00", "rec01"])
    assert {(stratum.state, stratum.species_id) for stratum in found.values()} <= {
        ("present", 0), ("present", 1), ("present", 7), ("present", 8),
    }  # fmt: skip
    alone = corpus.annotations.select(["rec00"])
    tags = Annotations(alone.table[alone.table["weak"]])
    assert strata(tags, ["rec00"])["rec00"][:2] == ("present", 7)


def test_what_is_weak_is_yes_or_no(settings_of, tmp_path):
    (tmp_path / "tags.csv").write_text(HEADER + SHORT.replace("yes", "maybe") + "\n")
    with pytest.raises(AnnotationError, match=r"tags\.csv:2: weak='maybe' must be"):
        load_corpus(settings_of(extra_tables=(tmp_path / "tags.csv",)))
