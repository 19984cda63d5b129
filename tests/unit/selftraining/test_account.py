"""Agreement with judged boxes, against scikit-learn."""

import numpy as np
from sklearn.metrics import average_precision_score

from rfcx_ssl.labels.judged import JudgedBox
from rfcx_ssl.labels.pseudo import SoftScores
from rfcx_ssl.selftraining.account import Account
from rfcx_ssl.selftraining.settings import PseudoLabelSettings


def test_a_box_scores_as_its_best_frame():
    rng = np.random.default_rng(0)
    account = Account(("a", "b", "c"), 0.5, PseudoLabelSettings(max_positive_share=1.0))
    truth, best = [], []
    for _ in range(20):
        scores = rng.random((30, 3)).astype(np.float32) * np.float32([1, 1, 0.4])
        boxes = []
        for number in range(4):
            frames = np.arange(start := int(rng.integers(0, 25)), start + 3)
            boxes.append(JudgedBox(number, 0, 0.0, 1.0, bool(rng.random() < 0.4), frames))
            truth.append(boxes[-1].present)
            best.append(max(scores[frame, 0] for frame in frames))
        boxes.append(JudgedBox(9, 0, 0.0, 1.0, True, np.array([30, 31])))  # behind what could be heard
        boxes.append(JudgedBox(5, 1, 0.0, 1.0, True, np.array([0])))
        account.add(SoftScores(scores, 1.0), boxes)
    first, second, third = account.rows()
    np.testing.assert_allclose(first.average_precision, average_precision_score(truth, best))
    assert (first.present_boxes, first.absent_boxes) == (sum(truth), len(truth) - sum(truth))
    assert first.chance == np.mean(truth)
    assert second.present_boxes == 20 and np.isnan(second.average_precision) and not second.warning
    assert third.warning == "nothing reaches positive=0.5" and account.hours == 20 * 30 * 0.5 / 3600


def test_labels_that_turn_things_round_are_named():
    account = Account(("a",), 1.0, PseudoLabelSettings())
    scores = np.array([[0.1], [0.9], [0.2], [0.3]], np.float32)
    account.add(SoftScores(scores, 1.0), [JudgedBox(k, 0, 0, 1, k == 0, np.array([k])) for k in range(4)])
    (row,) = account.rows()
    assert row.average_precision == row.chance == 0.25 and not row.warning  # the worst there is with one call
    account.add(SoftScores(scores, 1.0), [JudgedBox(k, 0, 0, 1, k in (0, 2), np.array([k])) for k in range(4)])
    assert account.rows()[0].warning == "agrees less with the labels than chance"
