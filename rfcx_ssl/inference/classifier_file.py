"""A windowed classifier that somebody else trained, as three files: an ONNX graph, its class list, and a YAML that describes them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from rfcx_ssl.config import check_settings
from rfcx_ssl.errors import CheckpointError, ConfigError, did_you_mean, first_line, some_of
from rfcx_ssl.files import iter_csv
from rfcx_ssl.settings import settings
from rfcx_ssl.species.table import SpeciesTable, name_key

Activation = Literal["sigmoid", "softmax", "none"]
DESCRIPTIONS = (".yaml", ".yml")
SHOWN = 5  # names in a message


@settings
class ClassifierSettings:
    """What a graph does not say of itself. Paths are relative to the YAML; None is found in the graph, or is not there."""

    sample_rate_hz: int
    classes: Path | None = (
        None  # .csv: a header, then a row per class; any other file: a line per class; None: embedding only
    )
    model: Path | None = None  # None: the .onnx of the YAML's own name
    window_samples: int | None = None  # None: the graph has one length
    scores: str | None = None  # output (batch, classes); None: the only one as wide as the class list is long
    embedding: str | None = (
        None  # output (batch, features); None: the only other one of two dimensions, if there is one
    )
    activation: Activation = "sigmoid"  # what makes probabilities of scores; none: they are probabilities
    remove_mean: bool = False  # of every window
    peak: float | None = None  # every window is scaled to it
    overlap: float = 0.0  # share of a window that the next one covers again
    species: Mapping[str, str] = field(default_factory=dict)  # our name -> their class, where names differ

    def __post_init__(self) -> None:
        for key in ("sample_rate_hz", "window_samples", "peak"):
            value = getattr(self, key)
            if value is not None and not value > 0:
                raise ValueError(f"{key}={value} must be above 0")
        if not 0 <= self.overlap < 1:
            raise ValueError(f"overlap={self.overlap} must be in [0, 1)")
        if self.species and self.classes is None:
            raise ValueError("species maps names to classes, and classes names no list of them")


class Ends(NamedTuple):
    """Input and outputs of a graph, by name."""

    input: str
    scores: str | None
    embedding: str | None
    window_samples: int
    embedding_dim: int  # 0 where there is none
    fixed_batch: bool  # the graph takes one window at a time


def description_of(source: str) -> Path | None:
    """The YAML of a classifier that is named by it, or by an ONNX file beside it; None where ``source`` is neither."""
    path = Path(source)
    if path.suffix in DESCRIPTIONS:
        return path
    beside = [path.with_suffix(suffix) for suffix in DESCRIPTIONS] if path.suffix == ".onnx" else []
    return next((found for found in beside if found.is_file()), None)


def read_description(path: Path) -> ClassifierSettings:
    """The settings in a YAML, with paths made whole.

    Raises:
        ConfigError: it cannot be read, or a key is unknown or wrong.
        CheckpointError: a file that it names is not there.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read ({first_line(error)})") from None
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path}: must be keys and values")
    read = check_settings(ClassifierSettings, values, str(path))
    model = path.parent / (read.model or path.with_suffix(".onnx").name)
    classes = None if read.classes is None else path.parent / read.classes
    for key, file in (("model", model), ("classes", classes)):
        if file is not None and not file.is_file():
            raise CheckpointError(f"{path}: {key}: there is no file {file}")
    return replace(read, model=model, classes=classes)


def read_classes(path: Path) -> list[tuple[str, ...]]:
    """Every name of each class, in the order of the outputs.

    A cell of a CSV is a name; so are both halves of ``Turdus plumbeus_Red-legged Thrush``.

    Raises:
        AnnotationError: a CSV with a row of another length.
        ConfigError: the file cannot be read, or lists nothing.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as a class list ({error})") from None
    if path.suffix == ".csv":
        delimiter = ";" if lines and ";" in lines[0] else ","
        rows: Iterable[Sequence[str]] = (
            list(cells.values()) for _, cells in iter_csv(path, (), None, delimiter=delimiter)
        )
    else:
        rows = ([line.strip()] for line in lines if line.strip())
    classes = [tuple(name for cell in row for name in _names(cell)) for row in rows]
    if not classes:
        raise ConfigError(f"{path}: lists no classes")
    return classes


def match_classes(
    species: SpeciesTable, classes: Sequence[Sequence[str]], given: Mapping[str, str], where: str
) -> dict[int, int]:
    """Class of every species that the classifier knows, by name, code or scientific name, or as ``given``.

    Raises:
        ConfigError: two classes bear the names of one species, or ``given`` names a species or class that is not there.
    """
    classes_of: dict[str, set[int]] = {}
    for number, names in enumerate(classes):
        for name in names:
            classes_of.setdefault(name_key(name), set()).add(number)
    wanted = {_species_id(species, name, where): label for name, label in given.items()}
    found = {}
    for number, name in enumerate(species.names):
        call = species.calls_of(number)[0]
        words = [wanted[number]] if number in wanted else [name, call.code or "", call.scientific_name or ""]
        matches = sorted(set().union(*(classes_of.get(name_key(word), set()) for word in words if word)))
        if number in wanted and not matches:
            near = did_you_mean(wanted[number], (label for names in classes for label in names))
            raise ConfigError(f"{where}: species.{name}={wanted[number]!r} is no class{near}")
        if len(matches) > 1:
            both = " and ".join(repr(classes[match][0]) for match in matches[:2])
            raise ConfigError(f"{where}: {name!r} may be {both}: say which under species")
        if matches:
            found[number] = matches[0]
    return found


def find_ends(about: ClassifierSettings, session: Any, num_classes: int | None, where: str) -> Ends:  # noqa: ANN401
    """Input and outputs of an onnxruntime session.

    Raises:
        CheckpointError: it takes something else than a batch of windows, or its outputs cannot be told apart.
    """
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 2:
        has = [(node.name, node.type, node.shape) for node in inputs]
        raise CheckpointError(f"{where}: needs one input of floats (batch, samples), has {has}")
    batch, samples = inputs[0].shape
    if isinstance(samples, int) and about.window_samples not in (None, samples):
        raise CheckpointError(f"{where}: window_samples={about.window_samples}, but the graph takes {samples}")
    window = samples if isinstance(samples, int) else about.window_samples
    if window is None:
        raise CheckpointError(f"{where}: the graph takes any length: window_samples must say which")
    if isinstance(batch, int) and batch != 1:
        raise CheckpointError(
            f"{where}: the graph takes {batch} windows at a time; export it for one, or for any number"
        )
    flat = {node.name: node.shape[1] for node in session.get_outputs() if _is_flat(node)}
    scores = None if num_classes is None else _output(flat, about.scores, "scores", num_classes, where)
    embedding = _embedding(flat, about.embedding, scores, where)
    if scores is None and embedding is None:
        raise CheckpointError(f"{where}: has neither classes nor an output that is an embedding")
    return Ends(inputs[0].name, scores, embedding, window, flat[embedding] if embedding else 0, isinstance(batch, int))


def _output(flat: Mapping[str, Any], name: str | None, key: str, width: int, where: str) -> str:
    fitting = [output for output, size in flat.items() if size == width] if name is None else [name]
    if len(fitting) != 1:
        raise CheckpointError(
            f"{where}: {len(fitting)} outputs are {width} wide, as the class list is long: set {key}; "
            f"outputs of two dimensions: {_shown(flat)}"
        )
    if flat.get(fitting[0]) != width:
        raise CheckpointError(
            f"{where}: {key}={fitting[0]!r} is no output of {width} classes, as the class list has; "
            f"outputs of two dimensions: {_shown(flat)}"
        )
    return fitting[0]


def _embedding(flat: Mapping[str, Any], name: str | None, scores: str | None, where: str) -> str | None:
    others = [output for output, size in flat.items() if output != scores and isinstance(size, int)]
    if name is not None and name not in others:
        raise CheckpointError(f"{where}: embedding={name!r} is no other output of two dimensions: {_shown(flat)}")
    return name or (others[0] if len(others) == 1 else None)


def _shown(flat: Mapping[str, Any]) -> str:
    return some_of([f"{name} ({size})" for name, size in flat.items()], SHOWN) or "none"


def _is_flat(node: Any) -> bool:  # noqa: ANN401 - onnxruntime's
    return node.type == "tensor(float)" and len(node.shape) == 2


def _names(cell: str) -> list[str]:
    halves = [half.strip() for half in cell.split("_")]
    return [cell, *halves] if len(halves) == 2 and all(halves) else [cell] if cell else []


def _species_id(species: SpeciesTable, name: str, where: str) -> int:
    number = species.id_of(name)
    if number is None:
        raise ConfigError(f"{where}: species.{name}: no species of this project{did_you_mean(name, species.names)}")
    return number
