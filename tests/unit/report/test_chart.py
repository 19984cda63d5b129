"""Charts put values where their axes say, keep their ends when they are thinned, and escape what they are given."""

import math
import re

import pytest

from rfcx_ssl.report.chart import MOST_POINTS, Axis, Bar, Line, intervals, lines, thinned


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.07, 0.13), (3, 47_000), (0.31, 0.3101), (-5e-6, 2e-6)])
def test_ticks_are_few_round_and_inside(low, high):
    ticks = Axis(low, high).ticks()
    step = ticks[1] - ticks[0]
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert 3 <= len(ticks) <= 6 and all(low - 1e-12 <= tick <= high + 1e-12 for tick in ticks)
    assert min(abs(mantissa - round_one) for round_one in (1, 2, 2.5, 5, 10)) < 1e-6
    assert [tick / step for tick in ticks] == pytest.approx([round(tick / step) for tick in ticks], abs=1e-6)


def test_an_axis_holds_what_is_finite():
    axis = Axis.around([2.0, math.nan, 4.0, math.inf])
    assert axis.low < 2 and axis.high > 4 and axis.high < 5
    flat = Axis.around([3.0, 3.0])
    assert flat.low < 3 < flat.high
    assert Axis.around([]).ticks()


def test_a_line_goes_through_its_points():
    chart = lines("t", [Line("one", [(0.0, 0.0), (1.0, 0.5), (2.0, 1.0)])], Axis(0, 2), Axis(0, 1), "alt")
    (path,) = re.findall(r"<path class='series c0' d='([^']+)'", chart)
    (x0, y0), (x1, y1), (x2, y2) = [
        tuple(map(float, pair.split())) for pair in re.findall(r"[ML]([\d.]+ [\d.]+)", path)
    ]
    assert x1 - x0 == pytest.approx(x2 - x1) and y0 - y1 == pytest.approx(y1 - y2)
    assert x0 < x1 and y0 > y1, "time goes right, values go up"


def test_whiskers_end_at_the_interval():
    bars = [Bar("a", 0.5, 0.25, 0.75), Bar("b", 0.25, system=1)]
    chart = intervals("t", bars, Axis(0, 1), "alt", marks={"chance": 0.25})
    (x1, x2) = map(float, re.search(r"class='whisker c0' x1='([\d.]+)' x2='([\d.]+)'", chart).groups())
    dots = [float(x) for x in re.findall(r"cx='([\d.]+)'", chart)]
    floor = float(re.search(r"class='blind' x1='([\d.]+)'", chart)[1])
    assert dots[0] == pytest.approx((x1 + x2) / 2, abs=0.1) and dots[1] == floor == x1
    assert "whisker c1" not in chart, "no interval, no whisker"
    assert "a: 0.500 [0.250, 0.750]" in chart and "b: 0.250<" in chart


def test_long_lines_are_thinned_but_for_their_ends():
    points = [(float(x), float(x)) for x in range(2 * MOST_POINTS + 7)]
    kept = thinned(points)
    assert len(kept) <= MOST_POINTS + 1 and (kept[0], kept[-1]) == (points[0], points[-1])
    assert thinned(points[:5]) == points[:5] and thinned([]) == []


def test_names_are_escaped():
    name = "<script>'\"&"
    chart = lines(
        name, [Line(name, [(0, 0), (1, 1)], dots=True)], Axis(0, 1), Axis(0, 1), name, levels={name: 0.5}, note=name
    )
    chart += intervals(name, [Bar(name, 0.5)], Axis(0, 1), name, marks={name: 0.1})
    assert "<script" not in chart and "aria-label='&lt;script&gt;&#x27;&quot;&amp;'" in chart
