"""The three states are told apart, by color-blind eyes as well, and every picture of them has a legend."""

import itertools

import numpy as np
import pytest

from rfcx_ssl.pictures.palette import (
    ABSENT,
    PRESENT,
    STATES,
    SYSTEMS,
    SYSTEMS_ON_DARK,
    UNKNOWN,
    add_state_legend,
    label_colors,
    rgb,
)

# Linear-light confusion matrices of Vienot, Brettel and Mollon (1999) for missing red and green cones.
MISSING_CONES = {
    "none": np.eye(3),
    "red": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
    "green": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
}


def test_label_colors_tell_the_three_states_apart():
    colors = label_colors(np.array([[1.0], [0.0], [0.0]]), np.array([[1.0], [1.0], [0.0]]))
    assert colors.shape == (1, 3, 3)
    np.testing.assert_allclose(colors[0], [rgb(PRESENT), rgb(ABSENT), rgb(UNKNOWN)], atol=1e-6)
    half = label_colors(np.array([[1.0]]), np.array([[0.5]]))[0, 0]
    np.testing.assert_allclose(half, (rgb(PRESENT) + rgb(UNKNOWN)) / 2, atol=1e-6)


@pytest.mark.parametrize("cones", MISSING_CONES)
def test_states_differ_to_color_blind_eyes(cones):
    seen = {name: np.asarray(MISSING_CONES[cones]) @ rgb(color) ** 2.2 for name, color in STATES.items()}
    for one, other in itertools.combinations(seen, 2):
        assert np.abs(seen[one] - seen[other]).max() > 0.2, f"{one} and {other} look alike"


def test_colors_are_what_matplotlib_reads():
    from matplotlib.colors import to_rgb

    for color in (*STATES.values(), *SYSTEMS, *SYSTEMS_ON_DARK):
        np.testing.assert_allclose(rgb(color), to_rgb(color), atol=1e-6)


def test_systems_show_on_a_dark_page():
    def luminance(color):  # of WCAG 2
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb(color).tolist()]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    assert len(SYSTEMS_ON_DARK) == len(set(SYSTEMS_ON_DARK)) == len(SYSTEMS)
    for color in SYSTEMS_ON_DARK:
        assert (luminance(color) + 0.05) / (luminance("#151b18") + 0.05) > 4.5, color


def test_the_legend_names_every_state():
    from matplotlib.colors import to_rgb
    from matplotlib.figure import Figure

    figure = Figure()
    add_state_legend(figure)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["present", "absent", "unknown"]
    assert [patch.get_facecolor()[:3] for patch in legend.get_patches()] == [to_rgb(c) for c in STATES.values()]
