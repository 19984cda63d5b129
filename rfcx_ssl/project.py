"""Project files: settings of one's own data that every program reads by ``project=FILE``.

A flat YAML mapping whose lines are the words one would type on the command line, written as ``key: value``:

    data: annotations
    data.root: .
    data.crop_s: 3.0

``data.root`` and other paths of the data are relative to the file. Words on the command line win over it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from rfcx_ssl.errors import ConfigError

WORD = "project="
SUFFIXES = (".yaml", ".yml")
#: Keys that hold a path, which is relative to the project file.
PATHS = (
    "data.root",
    "data.species_file",
    "data.extra_tables",
    "data.label_map",
    "data.complete_file",
    "data.folds_file",
    "data.test_file",
)


def expand_project(words: Sequence[str]) -> list[str]:
    """``project=FILE`` among overrides is replaced by what the file says, which every other word wins over."""
    files = [word.removeprefix(WORD) for word in words if word.startswith(WORD)]
    if len(files) > 1:
        raise ConfigError(f"project={files[1]}: only one project file, there is project={files[0]} already")
    others = [word for word in words if not word.startswith(WORD)]
    return [*(read_project(Path(files[0])) if files else []), *others]


def read_project(path: Path) -> list[str]:
    """The overrides a project file stands for.

    Raises:
        ConfigError: it cannot be read, is no flat mapping, or gives a key twice.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_NoDuplicates)
    except (OSError, UnicodeDecodeError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"project={path}: cannot be read ({' '.join(str(error).split())})") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError(f"project={path}: must hold lines of key: value")
    return [f"{key}={_word(_placed(key, value, path.parent))}" for key, value in values.items()]


def data_words(path: Path) -> tuple[str, list[str]]:
    """What a project file says of the data: a file of configs/finetune/data, and overrides without ``data.``."""
    config, words = "annotations", []
    for word in read_project(path):
        key, value = word.split("=", 1)
        if key == "data":
            config = value
        elif key.startswith("data."):
            words.append(word.removeprefix("data."))
    return config, words


class _NoDuplicates(yaml.SafeLoader):
    """Safe loading; a key that is there twice is a mistake and not the last word, and nothing stands for something else:
    a few lines of aliases can mean a billion.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - yaml's nodes
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not understood", None)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: ANN401 - yaml's nodes
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _placed(key: str, value: Any, folder: Path) -> Any:  # noqa: ANN401 - a YAML value
    if key not in PATHS or value is None:
        return value
    return [str(folder / item) for item in value] if isinstance(value, list) else str(folder / str(value))


def _word(value: Any) -> str:  # noqa: ANN401 - a YAML value
    """As Hydra's grammar wants a value: text quoted, everything else as JSON."""
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'" if not value.isidentifier() else value
    return json.dumps(value)
