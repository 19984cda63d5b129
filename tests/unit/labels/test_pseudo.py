import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.annotations import WHOLE, Event
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels.clips import clip_labels, heard_outputs
from rfcx_ssl.labels.frame_wise import frame_labels
from rfcx_ssl.labels.pseudo import (
    PseudoLabels,
    SoftScores,
    add_pseudo_labels,
    fill_clip_labels,
    scaled_to,
    write_pseudo_labels,
)
from rfcx_ssl.species import LabelSpace, SpeciesTable

SPACE = LabelSpace(SpeciesTable.of_names(("a", "b")), ("s0", "s1"), (0, 1), (None, None))
GRID = FrameGrid(1000, 100)


def pseudo(scores, frame_s=0.1, weight=1.0, names=("s0", "s1")):
    return PseudoLabels(names, frame_s, {"aaa": SoftScores(np.array(scores, np.float32), weight)})


def test_what_is_written_is_read_back(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(f"r{i:03d}", rng.random((i % 4 + 1, 2)).astype(np.float32), 1 / (i + 1)) for i in range(150)]
    path = tmp_path / "new" / "teacher.parquet"
    assert write_pseudo_labels(path, iter(rows), output_names=["s0", "s1"], frame_s=0.5) == 150
    loaded = PseudoLabels.load(path)
    assert (loaded.output_names, loaded.frame_s, len(loaded.by_recording)) == (("s0", "s1"), 0.5, 150)
    for name, scores, weight in rows:
        np.testing.assert_array_equal(loaded.by_recording[name].scores, scores)
        assert loaded.by_recording[name].weight == weight
    assert [p.name for p in path.parent.iterdir()] == ["teacher.parquet"]


@pytest.mark.parametrize(
    "scores,weight,message",
    [
        ([[0.5, 1.1]], 1.0, "aaa has scores outside"),
        ([[0.5, np.nan]], 1.0, "aaa has scores outside"),
        ([[0.5, 0.5]], 0.0, "aaa has weight=0.0, must be above 0"),
        ([[0.1, 0.2, 0.3]], 1.0, "aaa has 3 scores, not a multiple of 2 outputs"),
    ],
)
def test_values_that_are_no_probabilities_are_never_written(tmp_path, scores, weight, message):
    rows = [("aaa", np.array(scores, np.float32), weight)]
    with pytest.raises(AnnotationError, match=message):
        write_pseudo_labels(tmp_path / "x.parquet", rows, output_names=["s0", "s1"], frame_s=0.1)
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "x.parquet"
    with pytest.raises(AnnotationError, match=r"x\.parquet: not a pseudo-label file"):
        PseudoLabels.load(path)
    path.write_bytes(b"junk")
    with pytest.raises(AnnotationError, match=r"x\.parquet: not a pseudo-label file"):
        PseudoLabels.load(path)
    pq.write_table(pa.table({"recording_id": ["a"]}), path)
    with pytest.raises(AnnotationError, match=r"x\.parquet: not a pseudo-label file"):
        PseudoLabels.load(path)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 60), st.integers(1, 12), st.integers(0, 99))
def test_moving_scores_to_another_grid_equals_a_loop(length, step, start, num_frames, seed):
    """Score frames of ``step`` and model frames of 10 samples, both counted in whole samples from ``start`` on."""
    scores = np.random.default_rng(seed).random((length, 1)).astype(np.float32)
    soft = pseudo(scores, frame_s=step / 100, names=("s0",))
    moved = soft.frame_scores("aaa", FrameGrid(100, 10), start / 100, num_frames)
    for k in range(num_frames):
        left, right = start + 10 * k, start + 10 * (k + 1)
        owners = [j for j in range(length + 20) if left <= j * step + step / 2 < right] or [
            (left + right) // 2 // step
        ]
        values = [scores[j, 0] for j in owners if j < length]
        np.testing.assert_equal(moved[k, 0], np.float32(max(values)) if values else np.float32(np.nan))


def test_only_unknown_cells_are_filled():
    target = np.array([[1, 0], [0, 0], [0, 0]], np.float32)
    known = np.array([[1, 0], [1, 0], [0, 0.5]], np.float32)
    soft = pseudo([[0.9, 0.2], [0.8, 0.6], [0.7, 0.4]], weight=0.5)
    add_pseudo_labels(target, known, soft, "aaa", GRID, SPACE, start_s=0.0, weight=0.5)
    np.testing.assert_allclose(target, [[1, 0.2], [0, 0.6], [0.7, 0]])
    np.testing.assert_allclose(known, [[1, 0.25], [1, 0.25], [0.25, 0.5]])


def test_doubtful_cells_later_frames_and_foreign_recordings_stay_unknown():
    target, known = np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32)
    soft = pseudo([[0.9, 0.2]], names=("s0", "other"))
    add_pseudo_labels(target, known, soft, "bbb", GRID, SPACE, start_s=0.0)
    assert known.sum() == 0
    add_pseudo_labels(target, known, soft, "aaa", GRID, SPACE, start_s=0.0, min_probability=0.95)
    assert known.sum() == 0
    add_pseudo_labels(target, known, soft, "aaa", GRID, SPACE, start_s=0.0, min_probability=0.5)
    np.testing.assert_allclose(target, [[0.9, 0], [0, 0]])
    np.testing.assert_allclose(known, [[1, 0], [0, 0]])


def test_a_clip_is_filled_where_all_its_frames_are_known():
    target = np.array([[0.2, 0.9, 0.5], [0.7, 0.0, 0.5]], np.float32)
    known = np.array([[0.3, 0.3, 0.3], [0.3, 0.0, 0.3]], np.float32)
    clip_target, clip_known = np.array([0, 0, 1], np.float32), np.array([0, 0, 1], np.float32)
    fill_clip_labels(clip_target, clip_known, target, known, np.zeros(3, np.bool_))
    np.testing.assert_allclose(clip_target, [0.7, 0, 1])
    np.testing.assert_allclose(clip_known, [0.3, 0, 1])


BOXES = st.tuples(st.integers(0, 1), st.integers(-30, 60), st.integers(1, 40), st.booleans())


@settings(deadline=None, max_examples=200)
@given(st.lists(BOXES, max_size=4), st.booleans(), st.sampled_from((0.0, 0.1, 0.3)), st.integers(0, 99))
def test_pseudo_labels_fill_what_nobody_judged_and_never_a_sliver(boxes, complete, tolerance_s, seed):
    """A crop of 3 s; boxes in tenths of a second from its start, the crop itself starting at 5 s."""
    events = [Event(k, 1, 5 + at / 10, 5 + (at + length) / 10, 100, 200, on, 1.0) for k, at, length, on in boxes]
    scores = np.random.default_rng(seed).random((80, 2)).astype(np.float32)
    target, known = frame_labels(
        events, GRID, SPACE, start_s=5.0, num_frames=30, edge_tolerance_s=tolerance_s, complete=[WHOLE] * complete
    )
    add_pseudo_labels(target, known, pseudo(scores), "aaa", GRID, SPACE, start_s=5.0, weight=0.3)
    by_rule = clip_labels(events, SPACE, start_s=5.0, end_s=8.0, complete=[WHOLE] * complete, absent="box")
    clip_target, clip_known = (values.copy() for values in by_rule)
    heard = heard_outputs(events, SPACE, start_s=5.0, end_s=8.0)
    fill_clip_labels(clip_target, clip_known, target, known, heard)
    for k in range(2):
        inside = [on for output, at, length, on in boxes if output == k and at < 30 and at + length > 0]
        if by_rule[1][k] > 0:
            expected = by_rule[0][k], by_rule[1][k]
        elif any(inside):  # a present box reaches in, yet is not present by the rule: a sliver
            expected = 0.0, 0.0
        else:
            expected = max(target[t][k] for t in range(30)), min(known[t][k] for t in range(30))
        assert (clip_target[k], clip_known[k]) == pytest.approx(expected)


def test_the_files_of_a_folder_are_one_set(tmp_path):
    def write(name, recording, **changes):
        rows = [(recording, np.full((3, 2), 0.5, np.float32), 1.0)]
        write_pseudo_labels(tmp_path / name, rows, **{"output_names": ["s0", "s1"], "frame_s": 0.1} | changes)

    with pytest.raises(AnnotationError, match="a folder without pseudo-label files"):
        PseudoLabels.load(tmp_path)
    write("0.parquet", "aaa")
    write("1.parquet", "bbb", prevalence="table")
    assert list(PseudoLabels.load(tmp_path).by_recording) == ["aaa", "bbb"]
    assert scaled_to(tmp_path) == "table" and scaled_to(tmp_path / "0.parquet") is None
    write("1.parquet", "aaa")
    with pytest.raises(AnnotationError, match="aaa is in two of its files"):
        PseudoLabels.load(tmp_path)
    write("1.parquet", "bbb", frame_s=0.2)
    with pytest.raises(AnnotationError, match="its files differ in their outputs or frames"):
        PseudoLabels.load(tmp_path)
    (tmp_path / "1.parquet").write_text("no table")
    with pytest.raises(AnnotationError, match=r"1\.parquet: not a pseudo-label file"):
        scaled_to(tmp_path)
