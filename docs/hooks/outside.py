"""Files of the repository that pages link to (``../configs/slurm/pretrain.sbatch``) become pages of the site.

On a git host such a link opens the file; the site has no repository beside it, so it shows the file as a page of its own
below ``files/``. READMEs keep their form, and what they link to follows; anything else is shown as it is.
"""

import posixpath
import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINK = re.compile(
    r"(?<=\]\()(?!\w+:|#)([^)\s#]+)(?=[)#])"
)  # the target in [text](target#anchor), unless it is an address
LANGUAGES = {".sbatch": "bash", ".py": "python", ".yaml": "yaml", ".toml": "toml", ".cff": "yaml", ".sh": "bash"}


def linked(text: str, page: str) -> list[str]:
    """Files outside docs/ that the text of a page links to, as paths in the repository; ``page`` is one, too."""
    targets = (_target(match[1], page) for match in LINK.finditer(_without_code(text)))
    return [target for target in dict.fromkeys(targets) if not target.startswith("docs/")]


def relinked(text: str, page: str) -> str:
    """The text with its links as they are on the site, where docs/ is the root."""
    here = posixpath.dirname(site_path(page))

    def link(match: re.Match[str]) -> str:
        return posixpath.relpath(site_path(_target(match[1], page)), here or ".")

    return "".join(part if code else LINK.sub(link, part) for part, code in _parts(text))


def site_path(path: str) -> str:
    """Where a file of the repository is on the site."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"files/{path}" if path.endswith(".md") else f"files/{path}.md"


def as_page(path: str) -> str:
    """The Markdown that shows a file of the repository."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return relinked(text, path)
    return f"# `{path}`\n\n~~~~{LANGUAGES.get(Path(path).suffix, 'text')}\n{text.rstrip()}\n~~~~\n"


def every_file(pages: Iterable[tuple[str, str]]) -> set[str]:
    """Files outside docs/ that are reached from the pages (path, text), READMEs on the way included."""
    found: set[str] = set()
    waiting = [target for page, text in pages for target in linked(text, page)]
    while waiting:
        path = waiting.pop()
        if path not in found and (ROOT / path).is_file():
            found.add(path)
            waiting += linked((ROOT / path).read_text(encoding="utf-8"), path) if path.endswith(".md") else []
    return found


def _target(link: str, page: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def _parts(text: str) -> list[tuple[str, bool]]:
    """The text in pieces, and whether each is code."""
    pieces = re.split(r"(^```.*?^```|^~~~~.*?^~~~~|`[^`\n]+`)", text, flags=re.MULTILINE | re.DOTALL)
    return [(piece, index % 2 == 1) for index, piece in enumerate(pieces)]


def _without_code(text: str) -> str:
    return "".join(piece for piece, code in _parts(text) if not code)
