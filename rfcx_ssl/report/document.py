"""A report as parts that are written twice: as Markdown with pictures beside it, and as one self-contained page."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from rfcx_ssl.report.markup import heading, paragraph, table, warning
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
        lead, reading = paragraph(self.lead, "lead"), "".join(map(paragraph, self.reading))
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
            return heading(text)
        case Text(text, warns):
            return warning(text) if warns else paragraph(text)
        case Picture(_, alt, figure):
            return inline_png(figure, alt)
        case Grid(headers, rows, floors):
            return table(headers, rows, floors)
