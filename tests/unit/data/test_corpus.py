import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile

from rfcx_ssl.data import DataSettings, load_corpus
from rfcx_ssl.data.corpus import load_tables
from rfcx_ssl.errors import AnnotationError, AudioError
from rfcx_ssl.frames import FrameGrid

GRID = FrameGrid(16_000, 320)
HEADER = "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\n"
REAL = Path(__file__).parents[3].parent / "shared" / "data" / "rfcx"


def extra(tmp_path, row):
    path = tmp_path / "extra.csv"
    path.write_text(f"{HEADER}{row}\n")
    return path


def test_a_corpus_knows_its_recordings_by_fold(settings_of):
    corpus = load_corpus(settings_of())
    assert len(corpus.recording_of) == 12 and corpus.space.num_outputs == 24
    for fold in range(3):
        train, valid = corpus.recordings(fold, "train"), corpus.recordings(fold, "valid")
        assert len(train) + len(valid) == 12 and not set(train) & set(valid)
    assert len(corpus.recordings(None, "train")) == 12 and corpus.recordings(None, "valid") == []


def test_labels_of_a_whole_recording(settings_of):
    corpus = load_corpus(settings_of(edge_tolerance_s=0.0))
    target, known = corpus.frame_labels("rec00", GRID)
    assert target.shape == known.shape == (200, 24)
    assert np.flatnonzero(target[:, 0]).tolist() == list(range(10, 35))  # 0.2 to 0.7 s in frames of 20 ms
    assert known[:, 3].sum() == 51  # 1.25 to 2.25 s: half of the first and last frame counts
    assert known[:, 1].sum() == 0


def test_an_absent_box_says_nothing_about_its_recording(settings_of, tmp_path):
    complete = tmp_path / "complete.txt"
    complete.write_text("rec08\n")
    corpus = load_corpus(settings_of(complete_file=complete))
    judged = corpus.judged(["rec00", "rec08"], GRID)
    assert np.flatnonzero(judged.truth[0]).tolist() == [0] and np.flatnonzero(judged.known[0]).tolist() == [0]
    assert not judged.truth[1].any() and judged.known[1].all()


def test_boxes_are_judged_in_the_frames_that_training_learns(settings_of):
    corpus = load_corpus(settings_of(edge_tolerance_s=0.1))
    (boxes,) = corpus.judged(["rec00"], GRID).boxes
    assert [(box.box, box.species_id, box.present) for box in boxes] == [(0, 0, True), (1, 3, False), (2, 5, False)]
    target, known = corpus.frame_labels("rec00", GRID)
    for box in boxes:
        assert known[box.frames, box.species_id].min() == 1
        assert set(target[box.frames, box.species_id]) == {float(box.present)}
    assert boxes[0].frames.tolist() == list(range(15, 30))  # 0.2 to 0.7 s less 0.1 s at each edge, frames of 20 ms


def test_cached_and_decoded_audio_agree(settings_of, tmp_path):
    direct, cached = load_corpus(settings_of()), load_corpus(settings_of(cache=True, cache_dir=tmp_path))
    for start, length in ((0, None), (100, 5000), (63_000, 2000)):
        one, other = direct.read("rec05", start, length), cached.read("rec05", start, length)
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=0.75 / 32768)


@pytest.mark.parametrize(
    "row,error,message",
    [
        (
            "rec00,1,1,3.9,100,4.2,200",
            AnnotationError,
            r"extra\.csv:2: t_max=4.2 lies outside the recording rec00 \(4 s\)",
        ),
        ("nope,1,1,0,100,1,200", AudioError, r"1 of 13 labelled recordings have no audio file .*first: nope"),
    ],
)
def test_tables_are_checked_against_the_audio(settings_of, tmp_path, row, error, message):
    with pytest.raises(error, match=message):
        load_corpus(settings_of(extra_tables=(extra(tmp_path, row),)))


def test_a_song_type_without_an_output_names_its_row(settings_of, tmp_path):
    path = extra(tmp_path, "rec00,17,3,0,100,1,200")
    load_corpus(settings_of(extra_tables=(path,)))
    with pytest.raises(AnnotationError, match=r"extra\.csv:2: species 17 songtype 3"):
        load_corpus(settings_of(extra_tables=(path,), split_songtypes=True))


def test_inaudible_species_are_reported(settings_of, tmp_path, caplog):
    load_corpus(settings_of(extra_tables=(extra(tmp_path, "rec00,22,1,0,10688,1,13688"),)))
    assert "species 22 lies above 8 kHz (its lowest box starts at 10688 Hz): inaudible at 16 kHz" in caplog.text


def test_contradicting_boxes_are_reported(settings_of, tmp_path, caplog):
    load_corpus(settings_of())
    assert "contradict" not in caplog.text
    load_corpus(settings_of(extra_tables=(extra(tmp_path, "rec00,3,1,1.3,100,1.4,200"),)))
    assert "1 absent boxes contradict a present box of their species: the present one counts" in caplog.text


def test_folds_are_written_once_and_then_read(settings_of, tmp_path):
    path = tmp_path / "folds.csv"
    first = load_corpus(settings_of(folds_file=path, seed=1)).folds
    assert load_corpus(settings_of(folds_file=path, seed=2)).folds == first
    with pytest.raises(AnnotationError, match=r"folds\.csv: has 3 folds, data\.num_folds=4"):
        load_corpus(settings_of(folds_file=path, num_folds=4))
    path.write_text("recording_id,fold,group\nrec00,2,rec00\n")
    with pytest.raises(AnnotationError, match="11 recordings have no fold"):
        load_corpus(settings_of(folds_file=path))


def test_folds_by_site(settings_of, tmp_path):
    folds = load_corpus(settings_of(group_by="site")).folds
    assert set(folds.group_of.values()) == {"site0", "site1", "site2", "site3"}
    with pytest.raises(AnnotationError, match="num_folds=5 must be at least 2 and at most the 4 groups"):
        load_corpus(settings_of(group_by="site", num_folds=5))


def test_folds_of_recordings_are_no_folds_by_site(settings_of, tmp_path):
    path = tmp_path / "folds.csv"
    by_recording = load_corpus(settings_of(folds_file=path)).folds
    site_of = {f"rec{i:02d}": f"site{i % 4}" for i in range(12)}
    assert len({(site_of[name], fold) for name, fold in by_recording.fold_of.items()}) > 4  # the hazard is real
    message = r"folds\.csv: not folds by site \(data\.group_by=site\): leak: group site\d has rec\d\d in fold"
    with pytest.raises(AnnotationError, match=message):
        load_corpus(settings_of(folds_file=path, group_by="site"))
    path.unlink()
    by_site = load_corpus(settings_of(folds_file=path, group_by="site")).folds
    assert load_corpus(settings_of(folds_file=path, group_by="site")).folds == by_site
    assert load_corpus(settings_of(folds_file=path)).folds == by_site  # wider than asked for


def test_the_sites_of_the_data_decide_not_those_of_the_file(settings_of, tmp_path):
    path = tmp_path / "folds.csv"
    rows = [f"rec{i:02d},{i % 4 % 3},rec{i:02d}" for i in range(12)]  # no site in two folds, but groups are recordings
    path.write_text("recording_id,fold,group\n" + "\n".join(rows) + "\n")
    folds = load_corpus(settings_of(folds_file=path, group_by="site")).folds
    assert folds.group_of["rec07"] == "site3" and folds.fold_of["rec07"] == 0
    rows[0] = "rec00,1,made-up"
    path.write_text("recording_id,fold,group\n" + "\n".join(rows) + "\n")
    with pytest.raises(AnnotationError, match="leak: group site0 has rec00 in fold 1 and rec04 in fold 0"):
        load_corpus(settings_of(folds_file=path, group_by="site"))


def test_by_site_every_recording_of_the_folds_file_needs_one(settings_of, copied_forest, tmp_path):
    path = tmp_path / "folds.csv"
    load_corpus(settings_of(root=copied_forest, folds_file=path, group_by="site"))
    table = copied_forest / "recordings.csv"
    table.write_text(table.read_text().replace("rec05,train,site1", "rec05,train,"))
    with pytest.raises(AnnotationError, match=r"1 recordings have no site in .*recordings\.csv \(first: rec05\)"):
        load_corpus(settings_of(root=copied_forest, folds_file=path, group_by="site"))


@pytest.mark.parametrize("changes", [{}, {"group_by": "site"}, {"max_recordings": 7, "num_folds": 2}])
def test_the_tables_alone_give_the_same_labels_and_folds(settings_of, tmp_path, changes):
    (tmp_path / "complete.txt").write_text("rec11\n")
    chosen = settings_of(complete_file=tmp_path / "complete.txt", **changes)
    corpus, (annotations, folds, *_) = load_corpus(chosen), load_tables(chosen)
    assert folds == corpus.folds
    assert annotations.table.equals(corpus.annotations.table) and annotations.complete == corpus.annotations.complete


def test_labels_on_an_mp3_without_exact_time_are_refused(settings_of, copied_forest, bare_mp3):
    (copied_forest / "train" / "rec03.flac").unlink()
    shutil.copy(bare_mp3, copied_forest / "train" / "rec03.mp3")
    with pytest.raises(AudioError, match=r"rec03\.mp3: MP3 without a LAME delay tag starts an unknown time late"):
        load_corpus(settings_of(root=copied_forest))


def test_an_mp3_without_boxes_needs_no_exact_time(settings_of, copied_forest, bare_mp3, tmp_path):
    shutil.copy(bare_mp3, copied_forest / "train" / "quiet.mp3")
    (tmp_path / "complete.txt").write_text("quiet\n")
    corpus = load_corpus(settings_of(root=copied_forest, complete_file=tmp_path / "complete.txt"))
    assert corpus.annotations.is_complete("quiet") and corpus.read("quiet").shape[0] > 60_000


def test_a_labelled_recording_that_was_cut_off_is_named(settings_of, copied_forest):
    samples, rate = soundfile.read(copied_forest / "train" / "rec02.flac", dtype="int16")
    (copied_forest / "train" / "rec02.flac").unlink()
    path = copied_forest / "train" / "rec02.wav"
    soundfile.write(path, samples, rate)
    load_corpus(settings_of(root=copied_forest))
    path.write_bytes(path.read_bytes()[:-100_000])
    with pytest.raises(AudioError, match=r"rec02\.wav: truncated: its header states 384000 bytes .* holds 284000"):
        load_corpus(settings_of(root=copied_forest))


def test_labels_on_opus_are_read_and_lie_where_they_belong(settings_of, copied_forest):
    path = copied_forest / "train" / "rec05.flac"
    samples, rate = soundfile.read(path)
    path.unlink()
    opus = copied_forest / "train" / "deeper" / "rec05.opus"
    opus.parent.mkdir()
    soundfile.write(opus, samples, rate, format="OGG", subtype="OPUS")
    corpus, plain = load_corpus(settings_of(root=copied_forest)), load_corpus(settings_of())
    assert corpus.recording_of["rec05"].path == opus
    assert corpus.recording_of["rec05"].num_samples == plain.recording_of["rec05"].num_samples
    lag = scipy.signal.correlate(corpus.read("rec05"), plain.read("rec05"), "same", method="fft").argmax() - 32_000
    assert lag == 0


def test_a_random_part_is_the_same_part_every_time(settings_of):
    part = load_corpus(settings_of(max_recordings=6))
    assert len(part.recording_of) == 6 and set(part.annotations.recording_ids) <= set(part.recording_of)
    assert list(load_corpus(settings_of(max_recordings=6)).recording_of) == list(part.recording_of)


@pytest.mark.skipif(not (REAL / "train_tp.csv").is_file(), reason="the real tables are not here")
def test_the_real_tables_without_their_audio_say_how_much_is_missing():
    with pytest.raises(AudioError, match="of 4727 labelled recordings have no audio file"):
        load_corpus(DataSettings(root=REAL))


def test_nothing_is_known_after_the_end_even_of_a_complete_recording(settings_of, tmp_path):
    complete = tmp_path / "complete.txt"
    complete.write_text("rec08\n")
    _, known = load_corpus(settings_of(complete_file=complete)).frame_labels("rec08", GRID, 63_000, 3200)
    assert known[:4].all() and not known[4:].any()  # 1000 samples are left: 4 frames of 320
