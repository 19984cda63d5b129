"""What all model cards share: metadata that the hub takes, and the parts of the text that every model has."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

import rfcx_ssl
from rfcx_ssl.errors import HubError

LIBRARY = "transformers"
COMMON_TAGS = ("bioacoustics", "audio", "rainforest", "rfcx-ssl")
NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class Choices:
    """What only the person who publishes knows; ``name`` is ``USER/NAME``, or that of a folder."""

    name: str
    license: str = "apache-2.0"
    datasets: Sequence[str] = ()  # hub ids
    base_model: str | None = None  # hub id


@dataclass(frozen=True)
class Section:
    """A heading and the blocks of text below it."""

    heading: str
    blocks: Sequence[str]


def write_card(title: str, lead: str, sections: Iterable[Section], data: ModelCardData) -> str:
    """The text of README.md, checked as far as that goes without the hub.

    Raises:
        HubError: the metadata break a rule of the hub.
    """
    parts = [f"# {title}", lead]
    for section in sections:
        parts += [f"## {section.heading}", *section.blocks]
    text = f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(parts) + "\n"
    check_card(text)
    return text


def metadata(
    choices: Choices, *, pipeline_tag: str, tags: Sequence[str], scores: Sequence[EvalResult] = ()
) -> ModelCardData:
    """The metadata of a card; what is not known is left out."""
    return ModelCardData(
        license=choices.license,
        library_name=LIBRARY,
        pipeline_tag=pipeline_tag,
        tags=[*COMMON_TAGS, *tags],
        datasets=list(choices.datasets) or None,
        base_model=choices.base_model,
        model_name=choices.name.rpartition("/")[2] if scores else None,
        eval_results=list(scores) or None,
    )


def check_card(text: str) -> None:
    """Hold a card against the rules of the hub that need no hub: it checks the rest itself before a push.

    Raises:
        HubError: naming the key and the rule.
    """
    try:
        data: dict[str, Any] = dict(ModelCard(text).data.to_dict())  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise HubError(f"README.md: the metadata cannot be read ({error})") from None
    for key in ("license", "library_name", "pipeline_tag"):
        if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", str(data.get(key))):
            raise HubError(f"README.md: {key}={data.get(key)!r}: need an identifier of the hub in small letters")
    if not all(isinstance(tag, str) and tag for tag in data.get("tags") or [""]):
        raise HubError(f"README.md: tags={data.get('tags')!r}: need words")
    for key in ("datasets", "base_model"):
        named = data.get(key) or []
        for name in [named] if isinstance(named, str) else named:
            check_id(name, key)
    results = [result for entry in data.get("model-index", ()) for result in entry["results"]]
    for metric in [metric for result in results for metric in result["metrics"]]:
        if not isinstance(metric["value"], float | int) or not math.isfinite(metric["value"]):
            raise HubError(f"README.md: model-index: {metric['type']}={metric['value']!r} is no number")


def check_id(name: str, key: str) -> None:
    """Raise :class:`HubError` where ``name`` cannot be ``USER/NAME`` of the hub."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        raise HubError(f"{key}={name!r}: need USER/NAME as on the hub") from None
    if name.count("/") != 1:
        raise HubError(f"{key}={name!r}: need USER/NAME as on the hub")


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; the last columns are numbers or words alike."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def bullets(items: Iterable[str]) -> str:
    """A list in Markdown."""
    return "\n".join(f"- {item}" for item in items)


def code(text: str, language: str = "python") -> str:
    """A fenced block."""
    return f"```{language}\n{text.strip()}\n```"


def duration(seconds: float | None) -> str:
    """Seconds in words: ``2.4 h``, ``35 s``."""
    if seconds is None:
        return NOT_RECORDED
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def cost(train_s: float | None, record: Mapping[str, Any]) -> list[str]:
    """Time as it was measured, on what; energy is never worked out from it."""
    where = [str(record[key]) for key in ("device",) if record.get(key)]
    where += [f"{record['num_processes']} process(es)"] if record.get("num_processes") else []
    return [
        f"Time: {duration(train_s)}" + (f" on {', '.join(where)}" if train_s is not None and where else ""),
        "Energy: not measured",
    ]


def origin(record: Mapping[str, Any]) -> list[str]:
    """Commit and versions of the latest start of a run."""
    session = (record.get("sessions") or [{}])[-1]
    versions = ", ".join(f"{name} {version}" for name, version in (session.get("versions") or {}).items() if version)
    return [
        f"Code: rfcx-ssl {record.get('rfcx_ssl', NOT_RECORDED)}, commit {session.get('git') or NOT_RECORDED}",
        f"Started: {session.get('started', NOT_RECORDED)}; Python {session.get('python', NOT_RECORDED)}; {versions or NOT_RECORDED}",
    ]


def hashes(values: Mapping[str, str]) -> str:
    """Files and their SHA-256, in a table."""
    return table(["file", "SHA-256"], ([name, f"`{value}`"] for name, value in values.items()))


def citation() -> Section:
    """How to cite the software, from CITATION.cff where that is at hand."""
    package = Path(rfcx_ssl.__file__).parent  # a wheel carries the file inside, a repository beside the package
    found = [path for place in (package, package.parent) if (path := place / "CITATION.cff").is_file()]
    known: dict[str, Any] = yaml.safe_load(found[0].read_text(encoding="utf-8")) if found else {}
    title = known.get("title", "rfcx-ssl")
    authors = " and ".join(f"{{{author['name']}}}" for author in known.get("authors", ()) if "name" in author)
    year = str(known.get("date-released", ""))[:4]
    lines = [f"  title   = {{{title}}},", f"  version = {{{known.get('version', rfcx_ssl.__version__)}}},"]
    lines += [f"  author  = {{{authors}}}," if authors else "", f"  year    = {{{year}}}," if year else ""]
    entry = "\n".join(["@software{rfcx_ssl,", *filter(None, lines), "}"])
    return Section("Citation", [code(entry, "bibtex")])
