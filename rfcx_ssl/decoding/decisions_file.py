"""decisions.json: the decisions that lie in a model folder, written by tuning and used wherever the model listens.

The file may come from a stranger: it is bounded in size, plain JSON, and every key and value is checked.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from rfcx_ssl.decoding.decisions import Decisions, decide
from rfcx_ssl.decoding.score_map import Knots, ScoreMap
from rfcx_ssl.decoding.settings import USED_BY
from rfcx_ssl.errors import CheckpointError, did_you_mean, first_line
from rfcx_ssl.files import write_text
from rfcx_ssl.inference.load import model_folder

DECISIONS_FILE = "decisions.json"
FORMAT = 1
MOST_BYTES = 64 << 20  # thousands of species with isotonic knots stay below a tenth of it


def find_decisions(model: str) -> Path | None:
    """decisions.json of a model folder (``RUN/model``) or hub id, or beside an ONNX file; None where there is none."""
    place = model_folder(model)
    path = (place if place.is_dir() else place.parent) / DECISIONS_FILE
    return path if path.is_file() else None


def model_decisions(model: str) -> Decisions | None:
    """The decisions of a model folder or hub id; None where it has none; raises as :func:`read_decisions`."""
    path = find_decisions(model)
    return None if path is None else read_decisions(path)


def write_decisions(path: Path, decisions: Decisions) -> None:
    """Replace ``path``, atomically and durably."""
    write_text(path, json.dumps(to_plain(decisions), indent=1, allow_nan=False) + "\n", durable=True)


def read_decisions(path: Path) -> Decisions:
    """The decisions of a file, all of which is checked.

    Raises:
        CheckpointError: one line that names the file, the key and the rule.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CheckpointError(f"{path}: larger than {MOST_BYTES >> 20} MiB, no decisions are")
        plain = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read as decisions ({first_line(error)})") from None
    try:
        return from_plain(plain)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


def to_plain(decisions: Decisions) -> dict[str, Any]:
    """Plain values, ready for JSON; :func:`from_plain` gives the same decisions back, to the last bit."""
    plain: dict[str, Any] = {"format": FORMAT, "species": list(decisions.species), "decoder": decisions.decoder}
    plain |= {key: getattr(decisions, key).tolist() for key in USED_BY[decisions.decoder]}
    calibration = decisions.calibration
    if not calibration.is_identity:
        plain["calibration"] = {
            "slope": calibration.slope.tolist(),
            "offset": calibration.offset.tolist(),
            "knots": {
                decisions.species[species]: {
                    "scores": knots.scores.tolist(),
                    "probabilities": knots.probabilities.tolist(),
                }
                for species, knots in sorted(calibration.knots.items())
            },
        }
    return {**plain, "about": dict(decisions.about)}


def from_plain(plain: Any) -> Decisions:  # noqa: ANN401 - any JSON value
    """The decisions of :func:`to_plain`.

    Raises:
        ValueError: naming the key and what is wrong.
    """
    if not isinstance(plain, Mapping) or plain.get("format") != FORMAT:
        raise ValueError(f"format must be {FORMAT}; is it what rfcx-ssl tune wrote?")
    decoder = plain.get("decoder")
    if not isinstance(decoder, str) or decoder not in USED_BY:
        raise ValueError(f"decoder={decoder!r} must be one of {', '.join(map(repr, USED_BY))}")
    used = USED_BY[decoder]  # type: ignore[index] # it is one of them
    _check_keys(plain, ("format", "species", "decoder", "about", *used), ("calibration",), "")
    species = plain["species"]
    if not isinstance(species, list) or not all(isinstance(name, str) for name in species):
        raise ValueError("species must be a list of names")
    if not isinstance(plain["about"], Mapping):
        raise ValueError("about must be a mapping")
    return decide(
        species,
        decoder=decoder,  # type: ignore[arg-type] # as above
        calibration=_calibration(plain["calibration"], species) if "calibration" in plain else None,
        about=dict(plain["about"]),
        **{key: _numbers(plain[key], key) for key in used},
    )


def _calibration(plain: Any, species: list[str]) -> ScoreMap:  # noqa: ANN401 - any JSON value
    _check_keys(plain, ("slope", "offset", "knots"), (), "calibration.")
    slope, offset = (_numbers(plain[key], f"calibration.{key}") for key in ("slope", "offset"))
    if not isinstance(plain["knots"], Mapping):
        raise ValueError("calibration.knots must be a mapping")
    places = {name: place for place, name in enumerate(species)}
    knots: dict[int, Knots] = {}
    for name, own in plain["knots"].items():
        key = f"calibration.knots.{name}"
        if name not in places:
            raise ValueError(f"{key}: not among the species{did_you_mean(name, species)}")
        _check_keys(own, ("scores", "probabilities"), (), f"{key}.")
        lists = [_numbers(own[part], f"{key}.{part}") for part in ("scores", "probabilities")]
        try:
            knots[places[name]] = Knots(*lists)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None
    try:
        return ScoreMap(slope, offset, knots)
    except ValueError as error:
        raise ValueError(f"calibration: {error}") from None


def _numbers(value: Any, key: str) -> np.ndarray[Any, np.dtype[np.float64]]:  # noqa: ANN401 - any JSON value
    """A list of finite numbers (truth values are none)."""
    if not isinstance(value, list) or not all(type(number) in (int, float) for number in value):
        raise ValueError(f"{key} must be a list of numbers")
    try:
        numbers = np.array(value, dtype=np.float64)
    except OverflowError:
        raise ValueError(f"{key}: a number is too large") from None
    if not np.isfinite(numbers).all():
        raise ValueError(f"{key}: a number is not finite")
    return numbers


def _check_keys(plain: Any, required: tuple[str, ...], optional: tuple[str, ...], prefix: str) -> None:  # noqa: ANN401
    if not isinstance(plain, Mapping):
        raise ValueError(f"{prefix.rstrip('.')} must be a mapping")
    known = (*required, *optional)
    for key in plain:
        if key not in known:
            hint = did_you_mean(key, known) or f"; known: {', '.join(known)}"
            raise ValueError(f"{prefix}{key}: unknown key{hint}")
    for key in required:
        if key not in plain:
            raise ValueError(f"{prefix}{key}: missing")


def _refuse(constant: str) -> NoReturn:
    """NaN and Infinity are no JSON."""
    raise ValueError(f"{constant} is no number")
