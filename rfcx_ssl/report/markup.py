"""The pieces of a page: headings, paragraphs, tables, legends. Whatever is text here is escaped here."""

import html
import re
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple


class Section(NamedTuple):
    """A part of a page with a place in its contents; ``parts`` are HTML."""

    title: str
    parts: Sequence[str]

    @property
    def anchor(self) -> str:
        """The heading's id."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    def to_html(self) -> str:
        """Heading and parts."""
        label = f"<h2 id='{self.anchor}'>{html.escape(self.title)}</h2>"
        return f"<section aria-labelledby='{self.anchor}'>{label}{''.join(self.parts)}</section>"


def contents(sections: Sequence[Section]) -> str:
    """Links to the sections."""
    links = "".join(f"<li><a href='#{one.anchor}'>{html.escape(one.title)}</a></li>" for one in sections)
    return f"<nav aria-label='Contents'><ul>{links}</ul></nav>"


def heading(text: str, level: int = 2) -> str:
    """A heading without an id."""
    return f"<h{level}>{html.escape(text)}</h{level}>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph; ``kind`` is a class such as ``note`` or ``lead``."""
    return f"<p{f' class={kind}' if kind else ''}>{html.escape(text)}</p>"


def warning(text: str) -> str:
    """A paragraph that is set off from the others."""
    return f"<div class='gate fails'>{html.escape(text)}</div>"


def details(summary: str, *parts: str, printed: bool = True) -> str:
    """Parts (HTML) that a reader opens; on paper they are open, or left out where they are too wide for it."""
    kind = "" if printed else " class='screen'"
    return f"<details{kind}><summary>{html.escape(summary)}</summary>{''.join(parts)}</details>"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], floors: Collection[int] = ()) -> str:
    """A table of text cells that scrolls where it is wider than the page; ``floors`` are rows that nobody listened for."""
    head = "".join(f"<th scope='col'>{html.escape(header)}</th>" for header in headers)
    body = "".join(
        f"<tr{' class=floor' if place in floors else ''}>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>"
        for place, row in enumerate(rows)
    )
    label = html.escape(f"Table: {', '.join(headers[:3])}", quote=True)
    return f"<div class='wide' tabindex='0' role='group' aria-label='{label}'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def scrolled(picture: str) -> str:
    """A picture (HTML) that keeps a size at which it can be read, and scrolls where the page is narrower."""
    return f"<div class='wide' tabindex='0' role='group' aria-label='Picture'>{picture}</div>"


def key(names: Sequence[str], *, dots: bool = False) -> str:
    """Which system has which color and dash."""
    shape = "<circle class='dot' cx='14' cy='7' r='4'/>" if dots else "<path class='series' d='M1 7H27'/>"
    items = "".join(
        f"<li><svg class='c{place % 7}' viewBox='0 0 28 14' aria-hidden='true'>{shape}</svg> {html.escape(name)}</li>"
        for place, name in enumerate(names)
    )
    return f"<ul class='key'>{items}</ul>"
