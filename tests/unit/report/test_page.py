"""The page escapes what it is given and says which gates hold."""

import pytest

from rfcx_ssl.metrics import Interval
from rfcx_ssl.report.gates import Gate
from rfcx_ssl.report.page import inline_png, render_page
from rfcx_ssl.report.table import Row

ROWS = [
    Row("floor", 0.25, None, None, None, 0.1, None),
    Row("<b>", 0.5, 0.6, 0.5, 0.7, 0.6, 0.6, parameters=10),
    Row("best", 0.4, 0.8, 0.7, 0.9, 0.6, 0.6, parameters=10),
]


@pytest.fixture
def figure():
    from matplotlib.figure import Figure

    return Figure()


def test_page(figure):
    gates = [
        Gate("holding", "LWLRAP", Interval(0.1, 0.0, 0.2), 0.05, Interval(0.2, 0.1, 0.3)),
        Gate("failing", "LWLRAP with prior", Interval(0.01, 0.0, 0.2), 0.05, None),
    ]
    page = render_page(
        "Title & more", "lead", ROWS, gates, {"A figure": [inline_png(figure, "seen")]}, {"command": "a < b"}, 500
    )
    assert "Title &amp; more" in page and "&lt;b&gt;" in page and "a &lt; b" in page and "<b>" in page
    assert "<tr class=floor><td>floor</td>" in page
    assert page.count("class=best") == 3, "one mark for each measured column, ties to the first"
    assert "<td class=best>0.800</td>" in page and "<td class=best>0.500</td>" in page  # of two different models
    assert "holds</b>: holding" in page and "does NOT hold</b>: failing" in page
    assert "<h2 id='a-figure'>A figure</h2><img alt='seen'" in page
    assert "500 times" in page and "{resamples}" not in page


def test_inline_png_is_self_contained(figure):
    assert inline_png(figure, 'a "b"').startswith("<img alt='a &quot;b&quot;' src='data:image/png;base64,iVBOR")
