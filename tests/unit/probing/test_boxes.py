import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from rfcx_ssl.data import load_corpus
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.probing.boxes import box_auc, held_boxes
from rfcx_ssl.probing.features import judged_frames


@pytest.fixture(params=[False, True], ids=["species", "song types"])
def corpus(settings_of, copied_forest, request):
    """The forest with present boxes of what others call absent, so that species have both."""
    table = copied_forest / "train_tp.csv"
    more = [f"rec{i:02d},{3 + i % 2},1,{2.1 + i / 10:.2f},1000,{2.6 + i / 10:.2f},2000" for i in range(12)]
    table.write_text(table.read_text() + "\n".join(more) + "\n")
    return load_corpus(settings_of(root=copied_forest, split_songtypes=request.param))


def test_boxes_are_scored_as_validation_scores_them(corpus):
    """A slow walk: every box of every held-out recording, its frames one by one, scikit-learn per species."""
    grid = FrameGrid(16_000, 1600)
    train, held = corpus.folds.train_ids(0), corpus.folds.valid_ids(0)
    frames = judged_frames(corpus, [*train, *held], grid)
    rows = frames.of(held)
    logits = np.random.default_rng(0).normal(size=(2, len(rows), corpus.space.num_outputs)).astype(np.float32)
    row_of = {(frames.recording_ids[frames.recording[r]], int(frames.place[r])): n for n, r in enumerate(rows)}
    seeds = []
    for one in logits:
        said = {}
        judged = corpus.judged(held, grid)
        for name, boxes in zip(judged.recording_ids, judged.boxes, strict=True):
            for box in boxes:
                outputs = [k for k, s in enumerate(corpus.space.output_species) if s == box.species_id]
                best = max(float(one[row_of[name, int(t)], k]) for t in box.frames for k in outputs)
                said.setdefault(box.species_id, []).append((box.present, best))
        both = [list(zip(*of, strict=True)) for of in said.values() if len({present for present, _ in of}) == 2]
        seeds.append(np.mean([roc_auc_score(*of) for of in both]))
    boxes = held_boxes(corpus, frames, held, rows)
    assert len(both) > 1
    assert box_auc(boxes, logits, corpus.space) == pytest.approx(np.mean(seeds))


def test_the_truth_itself_is_perfect(corpus):
    frames = judged_frames(corpus, corpus.folds.recording_ids, FrameGrid(16_000, 1600))
    rows = np.arange(len(frames.place))
    boxes = held_boxes(corpus, frames, corpus.folds.recording_ids, rows)
    assert box_auc(boxes, (frames.target * (frames.known > 0))[None], corpus.space) == 1.0
    assert len(boxes.rows) == len(corpus.annotations.table)


def test_boxes_of_one_kind_judge_nothing(settings_of):
    corpus = load_corpus(settings_of())  # no species has both
    frames = judged_frames(corpus, corpus.folds.recording_ids, FrameGrid(16_000, 1600))
    rows = np.arange(len(frames.place))
    boxes = held_boxes(corpus, frames, corpus.folds.recording_ids, rows)
    assert math.isnan(box_auc(boxes, np.zeros((1, len(rows), corpus.space.num_outputs)), corpus.space))


def test_tags_are_no_boxes_of_a_probe(settings_of, copied_forest):
    table = copied_forest / "train_tp.csv"
    header, *rows = table.read_text().splitlines()
    tags = [f"rec{i:02d},7,1,0,0,4,100,yes" for i in range(12)]
    table.write_text("\n".join([f"{header},weak", *(f"{row},no" for row in rows), *tags]) + "\n")
    corpus = load_corpus(settings_of(root=copied_forest))
    names = corpus.folds.recording_ids
    frames = judged_frames(corpus, names, FrameGrid(16_000, 1600))
    boxes = held_boxes(corpus, frames, names, np.arange(len(frames.place)))
    assert len(boxes.rows) == 32 and 7 not in boxes.species
    assert sum(box.weak for of_one in corpus.judged(names, frames.grid).boxes for box in of_one) == 12
