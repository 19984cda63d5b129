"""One strict door for settings: YAML composed by Hydra, checked against frozen dataclasses, every mistake named.

Schemas live beside the component they configure and are declared with :func:`rfcx_ssl.settings.settings`. Unknown keys, wrong types
and broken rules (``ValueError`` raised in ``__post_init__``) are all reported at once with their full key.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError

from rfcx_ssl.errors import ConfigError, did_you_mean

T = TypeVar("T")


def config_root() -> Path:
    """Folder of the shipped YAML files: package data in a wheel, ``configs/`` in a checkout."""
    packaged = Path(__file__).parent / "configs"
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "configs"


def load_settings(cls: type[T], group: str, name: str, overrides: Sequence[str] = ()) -> T:
    """Compose ``configs/<group>/<name>.yaml`` with Hydra ``overrides`` (``key=value``) and check it against ``cls``.

    Raises:
        ConfigError: naming every unknown key, wrong type and broken rule with its full key.
    """
    directory = (config_root() / group).resolve()
    if not (directory / f"{name}.yaml").is_file():
        known = sorted(path.stem for path in directory.glob("*.yaml"))
        raise ConfigError(f"no config {name!r} in {directory}; have {', '.join(known) or 'none'}")
    forced = [_force(override, directory) for override in overrides]
    try:
        with initialize_config_dir(str(directory), version_base="1.3"):
            composed = compose(name, forced)
            missing = OmegaConf.missing_keys(composed)
            values = OmegaConf.to_container(composed, resolve=True, throw_on_missing=False)
    except (HydraException, OmegaConfBaseException) as error:
        message = str(error).strip().splitlines()
        raise ConfigError(f"{group}/{name}.yaml {' '.join(overrides)}: {' '.join(message)}") from None
    return check_settings(cls, values, source=f"{group}/{name}", missing=missing)  # type: ignore[arg-type]


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


def _force(override: str, directory: Path) -> str:
    """Let a plain ``key=value`` reach the schema even if the YAML lacks the key: the schema names all mistakes."""
    key = override.split("=", 1)[0]
    is_group = (directory / key.split("@", 1)[0].replace(".", "/")).is_dir()
    return override if is_group or override.startswith(("+", "~")) else f"++{override}"


def _explain(cls: type[Any], error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    """One mistake as ``full.key=value: rule``, with the nearest known key for a typo."""
    location = [str(part) for part in error["loc"]]
    key = ".".join(location)
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "unexpected_keyword_argument":
        owner = _owner(cls, location[:-1])
        names = [field.name for field in dataclasses.fields(owner)] if owner else []
        return f"{key}: unknown key" + (did_you_mean(location[-1], names) or f"; known: {', '.join(names)}")
    if error["type"] == "union_tag_invalid":
        tag, expected = error["ctx"]["tag"], error["ctx"]["expected_tags"]
        name = ".".join([*location, error["ctx"]["discriminator"].strip("'")])
        near = did_you_mean(tag, [kind.strip("'") for kind in expected.split(", ")])
        return f"{name}={tag!r}: must be one of {expected}{near}"
    shown = "" if isinstance(error["input"], Mapping) else f"={error['input']!r}"
    return f"{key}{shown}: {message}" if key else message


def _owner(cls: Any, path: Sequence[str]) -> type[Any] | None:  # noqa: ANN401 - a type or a union of types
    """The settings class that holds a nested key, through unions told apart by ``kind``; None inside a list."""
    for part in path:
        if dataclasses.is_dataclass(cls):
            cls = {field.name: field.type for field in dataclasses.fields(cls)}.get(part)
        else:
            cls = next((member for member in _members(cls) if getattr(member, "kind", None) == part), None)
    return cls if isinstance(cls, type) and dataclasses.is_dataclass(cls) else None


def _members(union: Any) -> list[Any]:  # noqa: ANN401 - a union, plain or annotated
    """The types of ``A | B``, ``Annotated[A | B, ...]`` or a nesting of them."""
    return [leaf for part in get_args(union) for leaf in (_members(part) or [part])]
