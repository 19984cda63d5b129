"""The picture of a validated recording: labelled species first, labels and probabilities row by row."""

import numpy as np

from rfcx_ssl.pictures.palette import ABSENT, PRESENT, UNKNOWN, rgb
from rfcx_ssl.pictures.validation import draw_scores


def test_labels_and_probabilities_of_the_same_rows(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda self, path, **_: (figures.append(self), path.touch())
    )
    target, known = np.zeros((20, 12), np.float32), np.zeros((20, 12), np.float32)
    target[:10, 11] = known[:10, 11] = known[10:, 11] = 1.0
    scores = np.linspace(0, 1, 240, dtype=np.float32).reshape(20, 12)
    names = [f"s{species}" for species in range(12)]
    draw_scores(
        tmp_path / "rec.png",
        np.zeros(16_000, np.float32),
        8_000,
        target,
        known,
        scores,
        np.arange(12, 0, -1.0),
        0.1,
        names,
    )
    top, middle, bottom, _ = figures[0].axes
    assert top.get_title() == "rec" and top.get_xlim() == (0, 2.0)
    shown = [label.get_text() for label in middle.get_yticklabels()]
    assert shown == [*names[:7], "s11"] == [label.get_text() for label in bottom.get_yticklabels()]
    labels = middle.images[0].get_array()
    np.testing.assert_allclose(labels[7, [0, 19]], [rgb(PRESENT), rgb(ABSENT)], atol=1e-6)
    np.testing.assert_allclose(labels[0, 0], rgb(UNKNOWN), atol=1e-6)
    np.testing.assert_array_equal(bottom.images[0].get_array()[7], scores[:, 11])
    assert figures[0].legends, "the colors are explained"
