"""What the source says of settings beside their types: comments in classes and YAML files, rules in what is raised."""

import ast
import inspect
import io
import itertools
import re
import textwrap
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml


class Note(NamedTuple):
    """What stands beside a key, and what stands above it as the heading of several."""

    comment: str = ""
    heading: str = ""


def class_notes(cls: type[Any]) -> dict[str, Note]:
    """Notes of the fields that ``cls`` itself declares, in its order."""
    source = textwrap.dedent(inspect.getsource(cls))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token for token in tokens if token.type == tokenize.COMMENT}
    alone = {line for line, token in comments.items() if token.line.strip().startswith("#")}
    notes = {}
    for node in ast.parse(source).body[0].body:  # type: ignore[attr-defined]
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            beside = [line for line in range(node.lineno, (node.end_lineno or node.lineno) + 1) if line in comments]
            above = list(itertools.takewhile(alone.__contains__, range(node.lineno - 1, 0, -1)))[::-1]
            notes[node.target.id] = Note(
                *(" ".join(_text(comments[n].string) for n in part) for part in (beside, above))
            )
    return notes


def yaml_notes(path: Path) -> dict[str, Note]:
    """Notes of the keys of a YAML file, nested ones as ``average.ema``, in its order.

    A comment alone on a line goes on from the comment before where it stands to the right of the keys; else it is the
    heading of what follows. Lines before the first key describe the file.
    """
    notes: dict[str, Note] = {}
    parents: list[tuple[int, str]] = []
    heading: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        key = re.match(r"( *)(\w+):(?:\s|$)", line)
        comment = re.search(r"(?:^|\s)#\s?(.*)$", line)
        if key:
            indent = len(key[1])
            parents = [(depth, name) for depth, name in parents if depth < indent]
            name = ".".join([*(name for _, name in parents), key[2]])
            notes[name] = Note(_text(comment[1]) if comment else "", " ".join(heading))
            parents.append((indent, key[2]))
            heading = []
        elif comment and notes and line.index("#") > parents[-1][0]:
            last = next(reversed(notes))
            notes[last] = notes[last]._replace(comment=f"{notes[last].comment} {_text(comment[1])}".strip())
        elif comment and notes:
            heading.append(_text(comment[1]))
    return {name: note for name, note in notes.items() if name.split(".")[0] != "defaults"}


def yaml_values(path: Path) -> dict[str, Any]:
    """Plain values of a YAML file over those of the files that its ``defaults`` name."""
    own = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    below: dict[str, Any] = {}
    for entry in own.pop("defaults", ()):
        if isinstance(entry, str) and entry != "_self_":
            below |= yaml_values(path.with_name(f"{entry}.yaml"))
        elif isinstance(entry, dict):
            for group, name in entry.items():
                if name and not group.startswith("override"):
                    below[group] = yaml_values(path.parent / group / f"{name}.yaml")
    return below | own


def rules(cls: type[Any]) -> list[str]:
    """What ``cls`` and the settings classes it extends demand: the words of the ``ValueError``s they raise."""
    found: dict[str, None] = {}
    for owner in cls.__mro__[::-1]:
        if owner is not object and "__dataclass_fields__" in vars(owner):
            tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
            found |= dict.fromkeys(_raised(tree, {}, vars(inspect.getmodule(owner))))
    return list(found)


def _raised(node: ast.AST, loops: Mapping[str, Sequence[Any]], names: Mapping[str, Any]) -> Iterator[str]:
    """Messages of the ``ValueError``s below ``node``; those in a loop over constants once for each of them."""
    if isinstance(node, ast.For) and isinstance(node.target, ast.Name) and isinstance(node.iter, ast.Tuple):
        loops = {**loops, node.target.id: [ast.literal_eval(item) for item in node.iter.elts]}
    call = node.exc if isinstance(node, ast.Raise) else None
    if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "ValueError" and call.args:
        used = [name for name in loops if re.search(rf"\b{name}\b", ast.unparse(call))]
        for values in itertools.product(*(loops[name] for name in used)):
            yield _message(call.args[0], {**names, **dict(zip(used, values, strict=True))})
    for child in ast.iter_child_nodes(node):
        yield from _raised(child, loops, names)


def _message(node: ast.expr, names: Mapping[str, Any]) -> str:
    """The words of a message without the values at hand: ``gamma={self.gamma} must be ...`` is ``gamma must be ...``."""
    text = ""
    for part in node.values if isinstance(node, ast.JoinedStr) else [node]:
        text += str(part.value) if isinstance(part, ast.Constant) else _shown(part.value, text, names)  # type: ignore[attr-defined]
    text = re.sub(r",? got [^;:]*", "", text)
    return re.sub(r"(\w)=(?=[\s,:;\])]|$)", r"\1", text).strip()


def _shown(value: ast.expr, before: str, names: Mapping[str, Any]) -> str:
    """What stands in a message for a value: nothing behind ``key=``, else a known constant, else its name."""
    if before.endswith("="):
        return ""
    if isinstance(value, ast.Name) and isinstance(names.get(value.id), str | int | float):
        return str(names[value.id])
    return ast.unparse(value).removeprefix("self.")


def _text(comment: str) -> str:
    return comment.lstrip("# ").strip()
