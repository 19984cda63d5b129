"""report.html: one self-contained page, figures inlined, nothing fetched."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import platform
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

import rfcx_ssl
from rfcx_ssl.pictures.panels import draw_png
from rfcx_ssl.report.gates import Gate
from rfcx_ssl.report.markup import Section
from rfcx_ssl.report.style import STYLE
from rfcx_ssl.report.table import HEADERS, Row, gate_text, leaders, shown_cells

if TYPE_CHECKING:
    from matplotlib.figure import Figure

READING = """
<p><b>LWLRAP</b>: for every species that calls in a recording, the share of true species among those the model ranks at
or above it; the mean over all of them. 1 is perfect. <b>raw</b> uses the model's probabilities as they are.
<b>+ prior</b> multiplies each species' odds by a factor that makes up for how common the species is (docs/prior.md): known
prevalences are the knowledge the <i>class prior</i> floor has, which ranks every recording alike without listening.
<b>segment F1</b>: seconds in which a species calls,
at each species' best threshold on these recordings (an upper bound). <b>PSDS</b>: recall of whole calls (70 % covered) over
all thresholds up to 100 false detections an hour. <b>mAP</b>: average precision over recordings, mean over species;
a rescaling of a whole species cannot change it. Intervals: recordings drawn with replacement, {resamples} times; the gates
compare both systems on the same draws. The highest value of each column is marked: no column alone says which model is
best, and "+ prior" holds knowledge that did not come from the audio. <b>labels</b>: labelled recordings a model learned
from. A gate over the prior judges "+ prior", all others the raw LWLRAP; a "best model" is picked on these same recordings,
which flatters its margin a little.</p>
"""


def render_page(
    title: str,
    lead: str,
    rows: Sequence[Row],
    gates: Sequence[Gate],
    sections: Mapping[str, Sequence[str]],
    facts: Mapping[str, str],
    resamples: int,
) -> str:
    """The whole page. ``sections`` are parts (HTML) below a heading; ``facts`` go into the footer."""
    parts = [
        f"<p class='lead'>{html.escape(lead)}</p>",
        _table(rows),
        "<h2>Gates</h2>" if gates else "",
        *[_gate(gate) for gate in gates],
        *[Section(heading, own).to_html() for heading, own in sections.items()],
    ]
    return frame_page(title, [part for part in parts if part], READING.replace("{resamples}", str(resamples)), facts)


def frame_page(
    title: str,
    parts: Sequence[str],
    reading: str,
    facts: Mapping[str, str],
    *,
    script: str = "",
    files_beside: bool = False,
) -> str:
    """A page of these ``parts`` (HTML): title above, how to read it (HTML) and the facts below.

    A browser is told to load nothing and to run ``script`` alone, but where players are of ``files_beside`` the page.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none';img-src data:;style-src 'unsafe-inline';script-src 'sha256-{digest}';media-src data:"
    return "\n".join(
        [
            "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
            "" if files_beside else f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            "<meta name='viewport' content='width=device-width,initial-scale=1'><link rel='icon' href='data:,'>",
            f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>",
            f"<a class='skip' href='#main'>Skip to the content</a><main id='main'><h1>{html.escape(title)}</h1>",
            *parts,
            f"<h2>How to read this</h2>{reading}</main><footer>",
            "<br>".join(f"{html.escape(key)}: <code>{html.escape(value)}</code>" for key, value in facts.items()),
            f"</footer>{f'<script>{script}</script>' if script else ''}</body></html>\n",
        ]
    )


def made_by(command: str) -> dict[str, str]:
    """The facts of every page: when, by which command and versions it was made."""
    return {
        "made": time.strftime("%Y-%m-%d %H:%M %Z"),
        "command": command,
        "rfcx-ssl": f"{rfcx_ssl.__version__}, torch {torch.__version__}, Python {platform.python_version()}",
    }


def inline_png(figure: Figure, alt: str) -> str:
    """An ``img`` element that carries the figure."""
    buffer = io.BytesIO()
    draw_png(figure, buffer)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"<img alt='{html.escape(alt, quote=True)}' src='data:image/png;base64,{data}'>"


def _table(rows: Sequence[Row]) -> str:
    head = "".join(f"<th scope='col'>{html.escape(header)}</th>" for header in HEADERS)
    best, body = leaders(rows), []
    for row in rows:
        cells = zip(HEADERS, shown_cells(row), strict=True)
        marked = "".join(_cell(text, is_best=best.get(header) is row) for header, text in cells)
        body.append(f"<tr{'' if row.parameters is not None else ' class=floor'}>{marked}</tr>")
    return f"<div class='wide' tabindex='0' role='group' aria-label='Table: the comparison'><table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"


def _cell(text: str, *, is_best: bool) -> str:
    return f"<td{' class=best' if is_best else ''}>{html.escape(text)}</td>"


def _gate(gate: Gate) -> str:
    kind, verdict = ("holds", "holds") if gate.holds else ("fails", "does NOT hold")
    return f"<div class='gate {kind}'><b>{verdict}</b>: {html.escape(gate_text(gate))}</div>"
