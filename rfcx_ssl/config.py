"""One strict door for settings: YAML composed by Hydra, checked against frozen dataclasses, every mistake named.

Schemas live beside the component they configure and are declared with :func:`rfcx_ssl.settings.settings`. Unknown keys, wrong types
and broken rules (``ValueError`` raised in ``__post_init__``) are all reported at once with their full key.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, get_args

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError
from yaml import YAMLError

from rfcx_ssl.errors import ConfigError, did_you_mean
from rfcx_ssl.project import expand_project

T = TypeVar("T")


def config_root() -> Path:
    """Folder of the shipped YAML files: package data in a wheel, ``configs/`` in a checkout."""
    packaged = Path(__file__).parent / "configs"
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "configs"


def load_settings(cls: type[T], group: str, name: str, overrides: Sequence[str] = ()) -> T:
    """Compose ``configs/<group>/<name>.yaml`` with Hydra ``overrides`` (``key=value``) and check it against ``cls``.

    ``project=FILE`` among them stands for the lines of that file (:mod:`rfcx_ssl.project`).

    Raises:
        ConfigError: naming every unknown key, wrong type and broken rule with its full key.
    """
    directory = (config_root() / group).resolve()
    if not _is_there(directory / f"{name}.yaml"):
        known = sorted(path.stem for path in directory.glob("*.yaml"))
        raise ConfigError(f"no config {name!r} in {directory}; have {', '.join(known) or 'none'}")
    forced = [_force(override, directory) for override in expand_project(overrides)]
    try:
        with initialize_config_dir(str(directory), version_base="1.3"), _own_groups(directory):
            composed = compose(name, forced)
            missing = OmegaConf.missing_keys(composed)
            values = OmegaConf.to_container(composed, resolve=True, throw_on_missing=False)
    except (
        HydraException,
        OmegaConfBaseException,
        YAMLError,
        ValueError,
    ) as error:  # ValueError: a number of 5,000 digits
        message = " ".join(str(error).split()).partition(" Config search path:")[0]
        raise ConfigError(f"{group}/{name}.yaml {' '.join(overrides)}: {message}") from None
    try:
        return check_settings(cls, values, source=f"{group}/{name}", missing=missing)  # type: ignore[arg-type]
    except ConfigError as error:
        raise ConfigError(f"{error}{_kind_hint(str(error), overrides, directory)}") from None


def check_settings(cls: type[T], values: Mapping[str, Any], source: str, missing: Collection[str] = ()) -> T:
    """Build ``cls`` from a plain mapping; :class:`ConfigError` lists every mistake, with the source named.

    ``missing`` names required keys that nobody set; whatever else is wrong is said beside them.
    """
    lines = [f"{key}: required, not set" for key in sorted(missing)]
    checked: T | None = None
    try:
        checked = TypeAdapter(cls).validate_python(values)
    except ValidationError as error:
        lines += [_explain(cls, item) for item in error.errors() if item["input"] != "???"]
    if lines or checked is None:
        raise ConfigError(f"{source}: " + "; ".join(lines))
    return checked


def settings_dict(config: Any) -> dict[str, Any]:  # noqa: ANN401 - any settings dataclass
    """The plain mapping of a settings object, ready for YAML or JSON."""
    plain: dict[str, Any] = TypeAdapter(type(config)).dump_python(config, mode="json")
    return plain


@contextmanager
def _own_groups(directory: Path) -> Iterator[None]:
    """Hide what other packages stored under the names of our groups: Hydra would check our files against it.

    fairseq registers its own ``model/wav2vec2`` when it is imported.
    """
    stored = ConfigStore.instance().repo
    hidden = {name: stored.pop(name) for name in list(stored) if (directory / name).is_dir()}
    try:
        yield
    finally:
        stored.update(hidden)


def _force(override: str, directory: Path) -> str:
    """Let a plain ``key=value`` reach the schema even if the YAML lacks the key: the schema names all mistakes."""
    key = override.split("=", 1)[0]
    is_group = _is_there(directory / key.split("@", 1)[0].replace(".", "/"))
    return override if is_group or override.startswith(("+", "~")) else f"++{override}"


def _is_there(path: Path) -> bool:
    """Whether a file or folder exists; a name that is too long for one is none."""
    try:
        return path.exists()
    except OSError:
        return False


def _kind_hint(message: str, overrides: Sequence[str], directory: Path) -> str:
    """A kind chosen by its key keeps the keys of the file's own kind: name the file of that kind, if there is one."""
    chosen = [override.split(".kind=", 1) for override in overrides if ".kind=" in override]
    hints = [
        f"; write {group}={kind} instead of {group}.kind={kind}"
        for group, kind in chosen
        if f" {group}." in message and _is_there(directory / group / f"{kind}.yaml")
    ]
    return "".join(hints)


def _explain(cls: type[Any], error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    """One mistake as ``full.key=value: rule``, with a hint for a key that is unknown."""
    place = _locate(cls, [str(part) for part in error["loc"]])
    key, message = ".".join(place.key), str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{key}: required, not set"
    if error["type"] == "unexpected_keyword_argument":
        return f"{key}: {_unknown(place)}"
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        kinds = [_kind(member) for member in _members(place.type)]
        tag = error["ctx"].get("tag")
        given, near = ("", "") if tag is None else (f"={tag!r}", did_you_mean(tag, kinds))
        return f"{'.'.join([*place.key, 'kind'])}{given}: must be one of {', '.join(map(repr, kinds))}{near}"
    shown = "" if isinstance(error["input"], Mapping) else f"={error['input']!r}"
    return f"{key}{shown}: {message}" if key else message


@dataclasses.dataclass
class _Place:
    """Where in a schema a mistake is."""

    key: list[str]  # as the user writes it: without the kinds that pydantic puts between
    type: Any  # the type of the key's value
    owner: type[Any] | None = None  # the settings class that the key belongs to; None inside a list
    others: Sequence[type[Any]] = ()  # where the owner is one kind of several: the other ones


def _locate(cls: Any, location: Sequence[str]) -> _Place:  # noqa: ANN401 - a type or a union of types
    """Follow pydantic's location through nested settings, optional ones and unions told apart by ``kind``."""
    place = _Place([], cls)
    others: Sequence[type[Any]] = ()
    for part in location:
        members = _members(place.type)
        if len(members) > 1:
            place.type = next((member for member in members if _kind(member) == part), None)
            others = [member for member in members if member is not place.type]
        else:
            owner = members[0] if members else None
            fields = {field.name: field.type for field in dataclasses.fields(owner)} if owner else {}
            place, others = _Place([*place.key, part], fields.get(part), owner, others), ()
    return place


def _unknown(place: _Place) -> str:
    """What to say of a key that its settings class does not have."""
    if place.owner is None:
        return "unknown key"
    name, names = place.key[-1], [field.name for field in dataclasses.fields(place.owner)]
    kinds = [_kind(other) for other in place.others if name in {field.name for field in dataclasses.fields(other)}]
    if kinds:
        return f"unknown key, it belongs to kind={', '.join(kinds)}; this is kind={_kind(place.owner)}"
    return "unknown key" + (did_you_mean(name, names) or f"; known: {', '.join(names)}")


def _kind(cls: type[Any]) -> str:
    """What ``kind`` chooses a settings class by."""
    return str(getattr(cls, "kind", ""))


def _members(hint: Any) -> list[type[Any]]:  # noqa: ANN401 - any type
    """The settings classes of ``A``, ``A | None``, ``A | B`` and ``Annotated[A | B, ...]``."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return [hint]
    return [leaf for part in get_args(hint) for leaf in _members(part)]
