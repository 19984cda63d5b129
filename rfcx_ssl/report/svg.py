"""Bars and heat maps as SVG inside a page: in the page's colors, light or dark; a phone scrolls what does not fit."""

import html
from collections.abc import Sequence

_CELL, _ROW, _LEFT, _TOP = 22, 20, 210, 24  # pixels
_BARS, _BOTTOM = 130, 22
_TICKS = 14  # labels under bars at most


def bars(values: Sequence[float], labels: Sequence[str], tips: Sequence[str], alt: str) -> str:
    """One bar per value (N,); ``tips`` say what each is, the axis ends at the highest."""
    top, width = max(values, default=0.0) or 1.0, max(_CELL * len(values), 240)
    step = -(-len(values) // _TICKS) or 1
    parts = [
        f"<text x='0' y='12'>{_number(top)}</text><line x1='0' x2='{width}' y1='{_TOP + _BARS}' y2='{_TOP + _BARS}'/>"
    ]
    for place, (value, label, tip) in enumerate(zip(values, labels, tips, strict=True)):
        height, x = _BARS * value / top, _CELL * place
        parts.append(
            f"<rect x='{x + 2}' y='{_TOP + _BARS - height:.1f}' width='{_CELL - 4}' height='{height:.1f}'>"
            f"<title>{html.escape(tip)}</title></rect>"
        )
        if place % step == 0:
            parts.append(f"<text x='{x + 2}' y='{_TOP + _BARS + 16}'>{html.escape(label)}</text>")
    return _picture(parts, width + 60, _TOP + _BARS + _BOTTOM, alt)


def heat(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float]],
    tips: Sequence[Sequence[str]],
    alt: str,
) -> str:
    """A cell per value (R, C), the fuller the higher within its row: rows are compared in their shape, not their size."""
    step = -(-len(columns) // _TICKS) or 1
    parts = [
        f"<text x='{_LEFT + _CELL * place}' y='14'>{html.escape(column)}</text>"
        for place, column in enumerate(columns)
        if place % step == 0
    ]
    for number, (row, cells, told) in enumerate(zip(rows, values, tips, strict=True)):
        y, top = _TOP + _ROW * number, max(cells, default=0.0) or 1.0
        shown = row if len(row) <= 30 else f"{row[:29]}…"
        parts.append(
            f"<text x='{_LEFT - 8}' y='{y + 14}' text-anchor='end'>{html.escape(shown)}<title>{html.escape(row)}</title></text>"
        )
        for place, (value, tip) in enumerate(zip(cells, told, strict=True)):
            parts.append(
                f"<rect x='{_LEFT + _CELL * place}' y='{y}' width='{_CELL - 1}' height='{_ROW - 1}' "
                f"fill-opacity='{0.06 + 0.94 * value / top:.2f}'><title>{html.escape(tip)}</title></rect>"
            )
    return _picture(parts, _LEFT + _CELL * len(columns) + 60, _TOP + _ROW * len(rows), alt)


def _picture(parts: Sequence[str], width: float, height: float, alt: str) -> str:
    label = html.escape(alt, quote=True)
    return (
        f"<div class='wide' tabindex='0' role='group' aria-label='Picture'><svg role='img' aria-label='{label}' width='{width:.0f}' height='{height:.0f}' "
        f"viewBox='0 0 {width:.0f} {height:.0f}'>{''.join(parts)}</svg></div>"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
