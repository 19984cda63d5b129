"""Where things are drawn, and in which colors."""

import numpy as np

from rfcx_ssl.annotations import Event
from rfcx_ssl.pictures.palette import SPECIES
from rfcx_ssl.pictures.panels import save_figure
from rfcx_ssl.pictures.recording import draw_recording


def test_boxes_and_rows_are_where_they_belong(tmp_path):
    boxes = [Event(4, 1, 11.0, 12.0, 1000, 2000, True, 1.0), Event(9, 1, 12.5, 12.6, 3000, 9000, True, 1.0)]
    figure = draw_recording(
        np.zeros(32_000, dtype=np.float32),
        8_000,
        np.linspace(0, 1, 80).reshape(40, 2),
        0.1,
        {4: "a", 2: "b"},
        boxes,
        title="T",
        start_s=10.0,
    )
    upper, lower, _ = figure.axes
    assert upper.get_xlim() == (10.0, 14.0) and upper.get_ylim() == (0, 4.0)
    corners = [(p.get_x(), p.get_y(), p.get_width(), p.get_height()) for p in upper.patches]
    assert corners == [(11.0, 1.0, 1.0, 1.0), (12.5, 3.0, np.float64(12.6) - 12.5, 1.0)]  # cut at 4 kHz, half the rate
    assert len(lower.patches) == 1  # only a row of its own is outlined
    np.testing.assert_array_equal(lower.images[0].get_array()[0], np.linspace(0, 1, 80).reshape(40, 2)[:, 0])
    assert [label.get_text() for label in lower.get_yticklabels()] == ["a", "b"]
    behind = [label.get_bbox_patch().get_facecolor() for label in lower.get_yticklabels()]
    assert upper.patches[0].get_edgecolor() == behind[0] != behind[1], "box and name share the species' color"
    assert len(set(SPECIES)) == len(SPECIES)
    save_figure(figure, tmp_path / "new" / "p.png")
    assert (tmp_path / "new" / "p.png").read_bytes().startswith(b"\x89PNG")
