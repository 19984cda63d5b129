"""A report as parts that are written twice: as Markdown with pictures beside it, and as one self-contained page."""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from rfcx_ssl.report.page import frame_page, inline_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Part: TypeAlias = "Heading | Text | Grid | Picture"


@dataclass(frozen=True)
class Heading:
    """What the parts after it are about."""

    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph; ``warns`` sets it off from the others."""

    text: str
    warns: bool = False


@dataclass(frozen=True)
class Grid:
    """A table of text cells; ``floors`` are rows of what is reached without listening."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    floors: Collection[int] = ()


@dataclass(frozen=True)
class Picture:
    """A figure, the name of its file and what it shows."""

    file: str
    alt: str
    figure: Figure


@dataclass(frozen=True)
class Document:
    """A title, the most important sentence, and the parts in order; ``facts`` are how it was made."""

    title: str
    lead: str
    parts: Sequence[Part]
    reading: Sequence[str]  # paragraphs on how to read it
    facts: Mapping[str, str]

    def to_markdown(self) -> str:
        """The document as Markdown; pictures are files beside it."""
        blocks = [f"# {self.title}", self.lead, *(_markdown(part) for part in self.parts), "## How to read this"]
        blocks += [*self.reading, "\n".join(f"- {key}: `{value}`" for key, value in self.facts.items())]
        return "\n\n".join(blocks) + "\n"

    def to_html(self) -> str:
        """The document as one page that fetches nothing."""
        lead = f"<p class='lead'>{html.escape(self.lead)}</p>"
        reading = "".join(f"<p>{html.escape(text)}</p>" for text in self.reading)
        return frame_page(self.title, [lead, *(_html(part) for part in self.parts)], reading, self.facts)


def _markdown(part: Part) -> str:
    match part:
        case Heading(text):
            return f"## {text}"
        case Text(text, warns):
            return f"**{text}**" if warns else text
        case Picture(file, alt):
            return f"![{alt}]({file})"
        case Grid(headers, rows):
            lines = [headers, ["---", *["--:"] * (len(headers) - 1)], *rows]
            return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _html(part: Part) -> str:
    match part:
        case Heading(text):
            return f"<h2>{html.escape(text)}</h2>"
        case Text(text, warns):
            return f"<div class='gate fails'>{html.escape(text)}</div>" if warns else f"<p>{html.escape(text)}</p>"
        case Picture(_, alt, figure):
            return inline_png(figure, alt)
        case Grid(headers, rows, floors):
            head = "".join(f"<th>{html.escape(header)}</th>" for header in headers)
            body = "".join(
                f"<tr{' class=floor' if place in floors else ''}>{''.join(f'<td>{html.escape(c)}</td>' for c in row)}</tr>"
                for place, row in enumerate(rows)
            )
            return f"<div class='wide'><table><tr>{head}</tr>{body}</table></div>"
