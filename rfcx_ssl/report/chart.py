"""Small charts as SVG inside a page: lines, steps and intervals, in the page's colors; panels flow with its width."""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_WIDTH, _HEIGHT = 280, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 10, 8, 32
_ROW = 37  # of an interval
MOST_POINTS = 300  # of a line


@dataclass(frozen=True)
class Line:
    """One series of points (x, y); ``system`` is its place among the systems, which gives it color and dash."""

    name: str
    points: Sequence[tuple[float, float]]
    system: int = 0
    dots: bool = False
    tips: Sequence[str] = ()  # of the points, where dots are drawn
    line: bool = True


@dataclass(frozen=True)
class Bar:
    """A value with its interval (NaN where there is none), and what is reached without listening."""

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    system: int = 0


@dataclass(frozen=True)
class Axis:
    """From where to where, and what it counts."""

    low: float
    high: float
    label: str = ""

    @classmethod
    def around(cls, values: Sequence[float], label: str = "", *, zero: bool = False) -> "Axis":
        """An axis that holds all finite ``values``, and 0 where that is asked for."""
        found = [value for value in values if math.isfinite(value)] + ([0.0] if zero else [])
        low, high = (min(found), max(found)) if found else (0.0, 1.0)
        room = (high - low) * 0.05 or max(abs(high), 1e-9) * 0.1
        return cls(low - room if low else low, high + room if high else high, label)

    def ticks(self) -> list[float]:
        """Three to six round numbers on the axis: the coarsest that are three."""
        power = 10.0 ** math.floor(math.log10(self.high - self.low))
        for step in (power * factor for factor in (10, 5, 2.5, 2, 1, 0.5, 0.25, 0.2, 0.1)):
            first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
            if last - first >= 2:
                break
        return [place * step for place in range(first, last + 1)]


def panels(figures: Sequence[str]) -> str:
    """Figures side by side, as many as fit."""
    return f"<div class='panels'>{''.join(figures)}</div>"


def lines(
    title: str,
    series: Sequence[Line],
    x: Axis,
    y: Axis,
    alt: str,
    *,
    levels: Mapping[str, float] | None = None,
    note: str = "",
) -> str:
    """A panel of lines over both axes; ``levels`` are dotted horizontal lines with a name."""
    across, up = _scale(x, _LEFT, _WIDTH - _RIGHT), _scale(y, _HEIGHT - _BOTTOM, _TOP)
    parts = [_horizontal(up(tick), _tick(tick, y)) for tick in y.ticks()]
    for tick in x.ticks():
        parts.append(f"<text x='{across(tick):.1f}' y='{_HEIGHT - 18}' text-anchor='middle'>{_tick(tick, x)}</text>")
    for name, level in (levels or {}).items():
        if y.low <= level <= y.high:
            place = up(level)
            parts.append(
                f"<line class='level' x1='{_LEFT}' x2='{_WIDTH - _RIGHT}' y1='{place:.1f}' y2='{place:.1f}'/>"
            )
            parts.append(
                f"<text x='{_WIDTH - _RIGHT - 2}' y='{place - 3:.1f}' text-anchor='end'>{html.escape(name)}</text>"
            )
    for one in series:
        shown = thinned(one.points)
        places = [(across(px), up(py)) for px, py in shown]
        drawn = "".join(f"{'L' if n else 'M'}{px:.1f} {py:.1f}" for n, (px, py) in enumerate(places))
        if one.line and len(places) > 1:
            parts.append(
                f"<path class='series c{one.system % 7}' d='{drawn}'><title>{html.escape(one.name)}</title></path>"
            )
        if one.dots or len(places) == 1:
            tips = one.tips or [f"{one.name}: {px:.3g}, {py:.3g}" for px, py in shown]
            parts += [_dot(*place, one.system, tip) for place, tip in zip(places, tips, strict=False)]
    parts.append(f"<text x='{(_LEFT + _WIDTH - _RIGHT) / 2}' y='{_HEIGHT - 4}' text-anchor='middle'>{x.label}</text>")
    return _figure(title, parts, _WIDTH, _HEIGHT, alt, note)


def intervals(
    title: str, bars: Sequence[Bar], axis: Axis, alt: str, *, marks: Mapping[str, float] | None = None
) -> str:
    """A panel with a row per bar: a dot, its interval as a whisker, its number; ``marks`` are vertical lines with a name."""
    marks = {name: value for name, value in (marks or {}).items() if math.isfinite(value)}
    top = 6 + 13 * len(marks)
    height = top + _ROW * len(bars) + 22
    across = _scale(axis, 8, _WIDTH - 8)
    parts = []
    for place, (name, value) in enumerate(marks.items()):
        x, y = across(value), 12 + 13 * place
        side = "end" if x > _WIDTH / 2 else "start"
        shift = -4 if side == "end" else 4
        kind = "zero" if value == 0 else "blind"
        parts.append(f"<line class='{kind}' x1='{x:.1f}' x2='{x:.1f}' y1='{y - 8}' y2='{height - 20}'/>")
        parts.append(f"<text x='{x + shift:.1f}' y='{y}' text-anchor='{side}'>{html.escape(name)}</text>")
    for place, bar in enumerate(bars):
        y = top + _ROW * place
        parts.append(f"<text class='name' x='8' y='{y + 12}'>{html.escape(_short(bar.name, 30))}</text>")
        parts.append(
            f"<text class='name' x='{_WIDTH - 8}' y='{y + 12}' text-anchor='end'>{_signed(bar.value, axis)}</text>"
        )
        if math.isfinite(bar.low):
            ends = f"x1='{across(bar.low):.1f}' x2='{across(bar.high):.1f}' y1='{y + 20}' y2='{y + 20}'"
            parts.append(f"<line class='whisker c{bar.system % 7}' {ends}/>")
        parts.append(_dot(across(bar.value), y + 20, bar.system, f"{bar.name}: {interval_text(bar)}", 4.5))
    for tick in axis.ticks():
        parts.append(f"<text x='{across(tick):.1f}' y='{height - 5}' text-anchor='middle'>{_tick(tick, axis)}</text>")
    return _figure(title, parts, _WIDTH, height, alt)


def interval_text(bar: Bar) -> str:
    """``0.512 [0.401, 0.620]``."""
    ends = f" [{bar.low:.3f}, {bar.high:.3f}]" if math.isfinite(bar.low) else ""
    return f"{bar.value:.3f}{ends}"


def thinned(points: Sequence[tuple[float, float]], most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """Every k-th point, and the last, so that at most ``most`` and one remain."""
    step = -(-len(points) // most) or 1
    kept = list(points[::step])
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]


def _figure(title: str, parts: Sequence[str], width: float, height: float, alt: str, note: str = "") -> str:
    label = html.escape(alt, quote=True)
    told = f"<p class='note'>{html.escape(note)}</p>" if note else ""
    return (
        f"<figure><figcaption>{html.escape(title)}</figcaption><svg role='img' aria-label='{label}' "
        f"viewBox='0 0 {width:.0f} {height:.0f}'>{''.join(parts)}</svg>{told}</figure>"
    )


class _scale:
    """From an axis to pixels, held inside them."""

    def __init__(self, axis: Axis, start: float, stop: float) -> None:
        self.axis, self.start, self.stop = axis, start, stop

    def __call__(self, value: float) -> float:
        share = (value - self.axis.low) / (self.axis.high - self.axis.low or 1.0)
        return self.start + min(max(share, 0.0), 1.0) * (self.stop - self.start)


def _horizontal(y: float, text: str) -> str:
    line = f"<line class='grid' x1='{_LEFT}' x2='{_WIDTH - _RIGHT}' y1='{y:.1f}' y2='{y:.1f}'/>"
    return f"{line}<text x='{_LEFT - 4}' y='{y + 4:.1f}' text-anchor='end'>{text}</text>"


def _dot(x: float, y: float, system: int, tip: str, radius: float = 3) -> str:
    return f"<circle class='dot c{system % 7}' cx='{x:.1f}' cy='{y:.1f}' r='{radius}'><title>{html.escape(tip)}</title></circle>"


def _tick(value: float, axis: Axis) -> str:
    """As many digits as the axis needs; thousands as k."""
    value = 0.0 if abs(value) < (axis.high - axis.low) * 1e-9 else value
    if max(abs(axis.low), abs(axis.high)) >= 10_000:
        return f"{value / 1000:g}k"
    return f"{value:.4g}"


def _signed(value: float, axis: Axis) -> str:
    return f"{value:+.3f}" if axis.low < 0 else f"{value:.3f}"


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
