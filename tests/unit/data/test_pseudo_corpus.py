import shutil
from functools import partial

import numpy as np
import pytest
import soundfile

from rfcx_ssl.data import CropDataset, load_corpus
from rfcx_ssl.data.settings import PseudoSettings
from rfcx_ssl.errors import AudioError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels.pseudo import write_pseudo_labels

GRID = FrameGrid(16_000, 1600)


@pytest.fixture
def settings_of(settings_of, copied_forest):
    """Of a forest of the test's own, for a recording is added to it."""
    return partial(settings_of, root=copied_forest)


@pytest.fixture
def teachers(tmp_path, copied_forest):
    """Two teachers: one says 0.25 everywhere, one 0.75, on the labelled recordings and a new one."""
    (copied_forest / "more").mkdir()
    soundfile.write(copied_forest / "more" / "new.flac", np.zeros(4 * 48_000, np.int16), 48_000)
    paths = []
    for i, value in enumerate((0.25, 0.75)):
        rows = [(name, np.full((40, 24), value, np.float32), 1.0) for name in ("rec00", "rec01", "new")]
        paths.append(tmp_path / f"t{i}.parquet")
        write_pseudo_labels(paths[-1], rows, output_names=[f"s{k}" for k in range(24)], frame_s=0.1)
    return tuple(paths)


def test_unknown_cells_take_one_teacher_per_crop(settings_of, teachers):
    chosen = settings_of(
        pseudo=PseudoSettings(files=teachers, weight=0.5), audio_folders=("train", "more"),
        present_share=0.0, absent_share=0.0, random_share=1.0,
    )  # fmt: skip
    corpus = load_corpus(chosen)
    dataset = CropDataset(corpus, None, GRID, recording_ids=["new", "rec00"], length=40)
    seen = set()
    for index in range(40):
        item, teacher = dataset[index], dataset.teacher(index)
        soft = item.known == 0.5
        seen.add(teacher)
        assert (item.known > 0).all()
        assert item.target[soft].unique().tolist() == [(0.25, 0.75)[teacher]]
        if dataset.anchor(index).recording_id == "new":
            assert soft.all() and item.clip_known.unique().tolist() == [0.5]
    assert seen == {0, 1}


@pytest.mark.parametrize("edge_tolerance_s", [0.0, 0.1])
def test_a_sliver_of_a_call_leaves_the_crop_unknown_whatever_the_pseudo_labels_say(
    settings_of, teachers, edge_tolerance_s
):
    chosen = settings_of(
        pseudo=PseudoSettings(files=teachers), audio_folders=("train", "more"), edge_tolerance_s=edge_tolerance_s
    )
    corpus = load_corpus(chosen)
    start = round(0.6 * 16_000)  # 0.1 s of the call of species 0 in rec00, which lasts from 0.2 to 0.7 s
    target, known = corpus.frame_labels("rec00", GRID, start, 16_000, teacher=0)
    assert (known > 0).all() and target[0, 0] == (1.0 if edge_tolerance_s == 0 else 0.25)
    clip_target, clip_known = corpus.clip_labels("rec00", start, 16_000, frames=(target, known))
    assert (clip_target[0], clip_known[0]) == (0, 0)
    assert clip_target[1] == 0.25 and clip_known[1] == pytest.approx(0.3)
    clip_target, clip_known = corpus.clip_labels("rec00", 0, 16_000, frames=(target, known))
    assert (clip_target[0], clip_known[0]) == (1, 1)


def test_a_recording_with_pseudo_labels_only_is_always_trained_on_and_changes_no_fold(settings_of, teachers):
    plain, corpus = (
        load_corpus(settings_of()),
        load_corpus(settings_of(pseudo=PseudoSettings(files=teachers), audio_folders=("train", "more"))),
    )
    assert corpus.folds == plain.folds
    for fold in (None, 0, 1, 2):
        assert "new" in [item.recording_id for item in corpus.recordings(fold, "train")]
        assert "new" not in [item.recording_id for item in corpus.recordings(fold, "valid")]
    _, known = corpus.frame_labels("new", GRID)
    assert known.sum() == 0  # validation and pictures see what people said


def test_by_site_a_recording_with_pseudo_labels_only_stays_out_of_the_folds_that_hold_its_site_out(
    settings_of, teachers, copied_forest
):
    table = copied_forest / "recordings.csv"
    table.write_text(table.read_text() + "new,train,site2,4.0\n")
    chosen = settings_of(
        root=copied_forest, pseudo=PseudoSettings(files=teachers), audio_folders=("train", "more"), group_by="site"
    )
    corpus = load_corpus(chosen)
    holding = corpus.folds.fold_of["rec02"]  # of site2
    for fold in (None, 0, 1, 2):
        trained_on = [item.recording_id for item in corpus.recordings(fold, "train")]
        assert ("new" in trained_on) == (fold != holding)


def test_pseudo_labels_fit_an_mp3_without_exact_time(settings_of, teachers, copied_forest, bare_mp3):
    (copied_forest / "more" / "new.flac").unlink()
    shutil.copy(bare_mp3, copied_forest / "more" / "new.mp3")
    chosen = settings_of(root=copied_forest, pseudo=PseudoSettings(files=teachers), audio_folders=("train", "more"))
    assert load_corpus(chosen).recording_of["new"].path.suffix == ".mp3"


def test_a_pseudo_labelled_recording_needs_its_audio(settings_of, teachers):
    with pytest.raises(AudioError, match=r"1 of 13 .*first: new"):
        load_corpus(settings_of(pseudo=PseudoSettings(files=teachers)))


def test_pseudo_labels_do_not_move_crops(settings_of, teachers):
    plain = CropDataset(load_corpus(settings_of()), 0, GRID, length=20, seed=3)
    soft = CropDataset(
        load_corpus(settings_of(pseudo=PseudoSettings(files=teachers[:1]), audio_folders=("train", "more"))),
        0,
        GRID,
        length=20,
        seed=3,
    )
    assert [plain.start_samples(i) for i in range(20)] == [soft.start_samples(i) for i in range(20)]
    assert {plain.teacher(i) for i in range(20)} == {None}
    labelled = [soft.anchor(i).recording_id in ("rec00", "rec01", "new") for i in range(20)]
    assert [soft.teacher(i) == 0 for i in range(20)] == labelled and 0 < sum(labelled) < 20
