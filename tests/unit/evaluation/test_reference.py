"""Which recordings are judged, and what is known of them."""

import numpy as np
import pytest

from rfcx_ssl.audio import write_flac
from rfcx_ssl.data import load_corpus
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.evaluation.groups import read_snr_db
from rfcx_ssl.evaluation.reference import labelled_reference, open_reference
from rfcx_ssl.frames import FrameGrid


def test_annotated_recordings_are_known_as_training_knows_them(settings_of, tmp_path):
    (tmp_path / "complete.txt").write_text("rec09\nrec00\n")
    settings = settings_of(complete_file=tmp_path / "complete.txt", cache=True, cache_dir=tmp_path / "cache")
    found, grid = labelled_reference(settings, None), FrameGrid(16_000, 160)
    corpus = load_corpus(settings_of(complete_file=tmp_path / "complete.txt"))
    judged = corpus.judged(found.recording_ids, grid)
    assert found.what == "all annotated recordings" and list(found.recording_ids) == corpus.folds.recording_ids
    np.testing.assert_array_equal(found.truth, judged.truth)
    np.testing.assert_array_equal(found.known, judged.known)
    assert [len(boxes) for boxes in found.boxes(grid)] == [len(boxes) for boxes in judged.boxes]
    assert {found.recording_ids[row] for row in np.flatnonzero(found.timed)} == {"rec00", "rec09"}
    assert found.sites[:5] == ("site0", "site1", "site2", "site3", "site0")
    assert sum(map(len, found.calls)) == 8, "absent boxes are no calls"
    assert not (tmp_path / "cache").exists(), "a cache is for training"


def test_boxes_are_in_frames_of_the_models_rate(settings_of):
    found = labelled_reference(settings_of(), None)
    (slow, *_), (fast, *_) = found.boxes(FrameGrid(16_000, 160))[0], found.boxes(FrameGrid(48_000, 480))[0]
    np.testing.assert_array_equal(slow.frames, fast.frames)


def test_a_fold_the_test_part_or_everything(settings_of):
    folds = [set(labelled_reference(settings_of(), fold).recording_ids) for fold in range(3)]
    assert set.union(*folds) == {f"rec{i:02d}" for i in range(12)} and sum(map(len, folds)) == 12
    held_out = labelled_reference(settings_of(test_share=0.25), None)
    corpus = load_corpus(settings_of(test_share=0.25))
    assert set(held_out.recording_ids) == corpus.folds.test_ids and "the test part" in held_out.what
    with pytest.raises(AnnotationError, match="fold=3 does not exist"):
        labelled_reference(settings_of(), 3)


def test_complete_truth_where_there_is_some_and_nothing_else_is_asked_for(copied_forest):
    overrides = ["sample_rate_hz=16000", "num_folds=3"]
    assert len(open_reference(copied_forest, None, overrides, None).recording_ids) == 12
    (copied_forest / "test").mkdir()
    for name in ("A_20230415_053000", "B_20230415_180000"):
        write_flac(copied_forest / "test" / f"{name}.flac", np.zeros(32_000, np.float32), 32_000)
    rows = ["A_20230415_053000,3,0.5,100,1.0,200,7.5", "A_20230415_053000,3,1.5,100,1.9,200,", "zz,3,0,1,2,3,4"]
    header = "recording_id,species_id,t_min,f_min,t_max,f_max,snr_db"
    (copied_forest / "truth.csv").write_text("\n".join([header, *rows[:2]]) + "\n")
    (copied_forest / "recordings.csv").unlink()
    found = open_reference(copied_forest, None, [], None)
    assert found.hours == (5, 18) and found.sites == (None, None)
    assert found.known.all() and found.timed.all() and found.truth.sum() == 1 and found.truth[0, 3]
    assert [len(calls) for calls in found.calls] == [2, 0] and found.boxes(FrameGrid(16_000, 160)) == ((), ())
    snr_db = read_snr_db(copied_forest / "truth.csv", found.recording_ids, 24)
    assert snr_db[0, 3] == 7.5 and np.isnan(snr_db).sum() == snr_db.size - 1
    again = open_reference(copied_forest, "rfcx", overrides, None)
    assert len(again.recording_ids) == 12, "settings are those of annotations"
    (copied_forest / "truth.csv").write_text("\n".join([header, rows[0].replace("7.5", "loud")]) + "\n")
    with pytest.raises(AnnotationError, match=r"truth.csv:2: snr_db='loud' is not a number"):
        read_snr_db(copied_forest / "truth.csv", found.recording_ids, 24)
    with pytest.raises(AnnotationError, match="neither a folder nor a project file"):
        open_reference(copied_forest / "nowhere", None, [], None)
