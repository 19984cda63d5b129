"""The configuration reference: every key of every settings class, read from the classes and the YAML files.

Nothing of it is kept in a file: ``make docs`` writes it anew, so that it cannot fall behind the code.
"""

import dataclasses
import functools
import importlib
import re
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from settings_source import Note, class_notes, rules, yaml_notes, yaml_values

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"


class Program(NamedTuple):
    """A program, and the settings class and YAML file of its words."""

    title: str
    command: str
    settings: str
    file: str

    @property
    def cls(self) -> type[Any]:
        """The class that the program's settings are checked against."""
        module, _, name = self.settings.partition(":")
        return typing.cast(type[Any], getattr(importlib.import_module(module), name))


PROGRAMS = (
    Program("Manifests", "python manifests/build.py", "rfcx_ssl.manifest.settings:ManifestSettings", "manifest/build"),
    Program("Fine-tuning", "python finetune/train.py", "rfcx_ssl.training.train:TrainSettings", "finetune/train"),
    Program(
        "Distillation",
        "python finetune/distill.py",
        "rfcx_ssl.selftraining.distillation.settings:DistillSettings",
        "finetune/distill",
    ),
    Program(
        "Pseudo-labels",
        "python finetune/pseudo_label.py",
        "rfcx_ssl.selftraining.settings:PseudoLabelSettings",
        "inference/pseudo_label",
    ),
    Program(
        "Rounds of self-training",
        "python finetune/self_train.py rounds",
        "rfcx_ssl.selftraining.rounds_settings:SelfTrainSettings",
        "self_train/rounds",
    ),
    Program("Detection", "rfcx-ssl detect", "rfcx_ssl.detection.settings:DetectSettings", "inference/detect"),
    Program("Reviewing", "rfcx-ssl review", "rfcx_ssl.review.settings:ReviewSettings", "inference/review"),
    Program("Synthetic data", "rfcx-ssl synth", "rfcx_ssl.synth.settings:SynthSettings", "synth/demo"),
)
OTHERS = "Elsewhere"  # settings classes that no program's file reaches


class Part(NamedTuple):
    """One table: a settings class at a place among the keys of a program."""

    prefix: str  # data, model.head; empty at the top
    cls: type[Any]
    choice: bool = False  # whether its kind is one of several
    files: tuple[Path, ...] = ()  # whose keys it has; the first says what is shown as default
    inside: str = ""  # where its keys are in those files: empty in a file of its own


def settings_classes() -> set[type[Any]]:
    """Every class of the package that ``@settings`` made."""
    found = set()
    for path in sorted((ROOT / "rfcx_ssl").rglob("*.py")):
        if re.search(r"^@settings$", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
            module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            mine = [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
            found |= {value for value in mine if isinstance(value, type) and "__pydantic_config__" in vars(value)}
    return found


def nested(hint: object) -> list[type[Any]]:
    """Settings classes in a type: of ``A``, ``A | None``, ``Annotated[A | B, ...]``."""
    if isinstance(hint, type) and "__pydantic_config__" in vars(hint):
        return [hint]
    return [cls for argument in typing.get_args(hint) for cls in nested(argument)]


def parts(program: Program) -> Iterator[Part]:
    """The tables of a program, each before what is nested in it."""
    yield from _parts(Part("", program.cls, files=(CONFIGS / f"{program.file}.yaml",)), set())


def _parts(part: Part, seen: set[tuple[str, type[Any]]]) -> Iterator[Part]:
    if (part.prefix, part.cls) in seen:
        return
    seen.add((part.prefix, part.cls))
    yield part
    for field in dataclasses.fields(part.cls):
        classes = nested(typing.get_type_hints(part.cls)[field.name])
        for cls in classes:
            prefix = f"{part.prefix}.{field.name}".lstrip(".")
            files, inside = part.files, f"{part.inside}.{field.name}".lstrip(".")
            if own := _group_files(part.files[0].parent / field.name, cls, choice=len(classes) > 1):
                files, inside = (*own,), ""
            yield from _parts(Part(prefix, cls, len(classes) > 1, files, inside), seen)


def _group_files(folder: Path, cls: type[Any], *, choice: bool) -> list[Path]:
    """Files of a group (configs/finetune/model) that have the keys of ``cls``; the program's own choice first."""
    files = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    keys = {field.name for field in dataclasses.fields(cls)}
    files = [path for path in files if yaml_values(path).keys() <= keys]
    if choice:
        files = [path for path in files if yaml_values(path).get("kind") == getattr(cls, "kind", None)]
    program = yaml_values(folder.parent / "train.yaml") if files else {}
    return sorted(files, key=lambda path: yaml_values(path) != program.get(folder.name))


def table(part: Part, places: Mapping[tuple[str, type[Any]], str] = MappingProxyType({})) -> list[str]:
    """A table's lines: key, type, default, what it means and what it must be; ``places`` is where nested keys stand."""
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    values, notes = _values(part), _notes(part)
    hints = typing.get_type_hints(part.cls)
    said = rules(part.cls)
    fields = {field.name: field for field in dataclasses.fields(part.cls)}
    for name, note in notes.items():
        if note.heading:
            lines.append(f"| *{_sentence(note.heading)}* | | | |")
        mine = [rule for rule in said if re.match(rf"(need )?([\d.]+ <=? )?{name}\b", rule)]
        said = [rule for rule in said if rule not in mine]
        meaning = " ".join([_sentence(note.comment), *(_sentence(_must(rule, name)) for rule in mine)]).strip()
        key = f"{part.prefix}.{name}".lstrip(".")
        below = {cls: places[key, cls] for cls in nested(hints[name]) if (key, cls) in places}
        lines.append(f"| `{key}` | {_type(hints[name], below)} | {_default(fields[name], values)} | {meaning} |")
    return [*lines, "", *(f"- {_sentence(rule)}" for rule in said)]


@functools.cache
def reference() -> str:
    """The page, in Markdown. What programs share stands once, with the first of them."""
    lines: list[str] = []
    anchors: dict[Part, str] = {}
    for program in PROGRAMS:
        link = f"[configs/{program.file}.yaml](../configs/{program.file}.yaml)"
        lines += ["", f"## {program.title}", "", f"`{program.command}`; the values that it starts from: {link}."]
        of_program = list(parts(program))
        new = [part for part in of_program if part not in anchors]
        for part in new:
            anchor = _anchor(program, part)
            anchors[part] = f"{anchor}-{part.cls.__name__.lower()}" if anchor in anchors.values() else anchor
        places = {(part.prefix, part.cls): anchors[part] for part in of_program}
        for part in new:
            lines += ["", *_heading(part, anchors[part]), _summary(part.cls), "", *table(part, places)]
    shown = {base for part in anchors for base in part.cls.__mro__}
    others = sorted(settings_classes() - shown, key=lambda cls: (cls.__module__, cls.__name__))
    if others:
        lines += ["", f"## {OTHERS}", "", "Settings that other programs build, or that a file of another kind holds."]
    for cls in others:
        lines += ["", f"### `{cls.__name__}`", "", f"`{cls.__module__}`: {_summary(cls)}", "", *table(Part("", cls))]
    return "\n".join(lines)


def _heading(part: Part, anchor: str) -> list[str]:
    """What stands above a part: its place among the keys, and the files that choose it."""
    if not part.prefix:
        return []
    level = "###" if "." not in part.prefix else "####"
    lines = [f"{level} `{part.prefix}`{f' of kind {part.cls.kind}' if part.choice else ''} {{ #{anchor} }}", ""]
    if part.files and not part.inside:
        links = (f"[{part.prefix}={path.stem}](../{path.relative_to(ROOT)})" for path in part.files)
        lines += [f"Files: {', '.join(links)}.", ""]
    return lines


def _anchor(program: Program, part: Part) -> str:
    """Where a part stands on the page."""
    names = [program.title.lower(), *part.prefix.split("."), *([part.cls.kind] if part.choice else [])]
    return re.sub(r"[^\w-]+", "-", "-".join(names))


def _values(part: Part) -> dict[str, Any]:
    """Values that the first file of a part has for its keys."""
    values: Any = yaml_values(part.files[0]) if part.files else {}
    for name in part.inside.split(".") if part.inside else ():
        values = values.get(name) if isinstance(values, dict) else None
    return values if isinstance(values, dict) else {}


def _notes(part: Part) -> dict[str, Note]:
    """What is said of each field: in a YAML file and in the class. The order is the file's, then the class's."""
    from_yaml: dict[str, Note] = {}
    for path in part.files:
        inside = f"{part.inside}." if part.inside else ""
        for name, note in yaml_notes(path).items():
            key = name.removeprefix(inside)
            if name.startswith(inside) and not from_yaml.get(key, Note()).comment:
                from_yaml[key] = note
    from_class: dict[str, Note] = {}
    for owner in part.cls.__mro__[::-1]:
        if dataclasses.is_dataclass(owner) and "__pydantic_config__" in vars(owner):
            from_class |= class_notes(owner)
    names = [field.name for field in dataclasses.fields(part.cls)]
    order = sorted(names, key=[*from_yaml, *names].index)
    told = {name: (from_yaml.get(name, Note()), from_class.get(name, Note())) for name in order}
    headings = any(note.heading for note, _ in told.values())
    return {
        name: Note(written.comment or own.comment, written.heading if headings or name in from_yaml else own.heading)
        for name, (written, own) in told.items()
    }


def _type(hint: object, below: Mapping[type[Any], str]) -> str:
    """A type as a user would say it; ``below`` says where the keys of settings classes stand."""
    arguments = typing.get_args(hint)
    if classes := nested(hint):
        names = [cls.kind if len(classes) > 1 else "keys" for cls in classes]
        places = (below.get(cls) for cls in classes)
        links = (f"[{name}](#{place})" if place else name for name, place in zip(names, places, strict=True))
        return ", ".join(links) + _or_null(arguments)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        named = [_type(argument, below) for argument in arguments if argument is not type(None)]
        return " or ".join(dict.fromkeys(named)) + _or_null(arguments)
    if typing.get_origin(hint) is typing.Annotated:
        return _type(arguments[0], below)
    if typing.get_origin(hint) is typing.Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if typing.get_origin(hint) is tuple:
        return f"list of {_type(arguments[0], below)}"
    names = {bool: "`true`, `false`", float: "number", int: "whole number", str: "text", Path: "path"}
    return names.get(hint, str(hint))


def _or_null(arguments: tuple[Any, ...]) -> str:
    return " or null" if type(None) in arguments else ""


def _default(field: "dataclasses.Field[Any]", values: dict[str, Any]) -> str:
    """The value that a key has unless somebody sets it."""
    value = values.get(field.name, field.default)
    if field.name not in values and field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    if value is dataclasses.MISSING or value == "???":
        return "required"
    if isinstance(value, dict) or dataclasses.is_dataclass(value):
        return "on"
    if isinstance(value, list | tuple):
        return f"`[{', '.join(map(str, value))}]`"
    if value is None or isinstance(value, bool):
        return "`null`" if value is None else f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if value != "" else '`""`'


def _must(rule: str, name: str) -> str:
    """A rule in the row of its key, which need not be said again."""
    words = rule.removeprefix(f"{name} ")
    return rule if words == rule else f"{words[0].upper()}{words[1:]}"


def _summary(cls: type[Any]) -> str:
    """The first paragraph of a class's docstring, without the markup of Sphinx."""
    text = " ".join((cls.__doc__ or "").split("\n\n")[0].split())
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    return text.replace("``", "`")


def _sentence(text: str) -> str:
    """Text of a comment or a rule as Markdown, also in a cell of a table; a page that it names becomes a link."""
    if not text:
        return ""
    text = text.replace("``", "`").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
    text = re.sub(r"\bNone\b", "null", re.sub(r"docs/([\w-]+)\.md", r"[\1](\1.md)", text))
    return text if text.endswith((".", ":", "?")) else f"{text}."
