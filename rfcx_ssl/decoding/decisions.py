"""Decisions: how the probabilities of one model (or ensemble) become events, per species; and which ones are in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rfcx_ssl.decoding.score_map import ScoreMap
from rfcx_ssl.decoding.settings import DEFAULT_DECODER, PARAMETERS, USED_BY, DecoderKind, DecodeSettings
from rfcx_ssl.errors import ConfigError, some_of

FloatArray: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Decisions:
    """Arrays (S,), one value per species, of probabilities after ``calibration`` and of seconds; build with :func:`decide`.

    What the decoder does not use (``USED_BY``) keeps its default and is never saved.

    Raises:
        ValueError: naming the species whose value breaks a rule.
    """

    species: tuple[str, ...]
    decoder: DecoderKind
    threshold: FloatArray  # in (0, 1]
    low_threshold: FloatArray  # in (0, threshold]
    median_s: FloatArray
    min_duration_s: FloatArray
    merge_gap_s: FloatArray
    step_filter_s: FloatArray
    merge_absolute: FloatArray
    merge_relative: FloatArray
    calibration: ScoreMap
    about: Mapping[str, Any] = field(default_factory=dict)  # how it was chosen: criterion, data, date; plain values

    def __post_init__(self) -> None:
        if not self.species or len(set(self.species)) < len(self.species):
            raise ValueError("species must be names, each once")
        if self.decoder not in USED_BY:
            raise ValueError(f"decoder={self.decoder!r} must be one of {', '.join(map(repr, USED_BY))}")
        if len(self.calibration.slope) != len(self.species):
            raise ValueError(f"calibration is of {len(self.calibration.slope)} species, not of {len(self.species)}")
        for key, parameter in PARAMETERS.items():
            self._check(key, parameter.allows(getattr(self, key)), parameter.rule)
        low = self.low_threshold <= self.threshold
        self._check("low_threshold", low, "no higher than its threshold" + _first(self.threshold, low))

    def _check(self, key: str, good: NDArray[np.bool_], rule: str) -> None:
        values = getattr(self, key)
        if values.shape != (len(self.species),):
            raise ValueError(
                f"{key} must have one value for each of {len(self.species)} species, got shape {values.shape}"
            )
        if not good.all():
            raise ValueError(f"{key}{_first(values, good)} of {self.species[int(np.argmin(good))]} must be {rule}")


def decide(
    species: Sequence[str],
    *,
    decoder: DecoderKind = DEFAULT_DECODER,
    calibration: ScoreMap | None = None,
    about: Mapping[str, Any] | None = None,
    **values: ArrayLike,
) -> Decisions:
    """Decisions from ``values`` by the names of ``PARAMETERS``, one per species (S,) or one for all; the rest are defaults.

    Raises:
        ValueError: as :class:`Decisions`.
    """
    arrays = {key: _spread(values.pop(key, rule.default), len(species)) for key, rule in _other_parameters()}
    arrays["low_threshold"] = _spread(values.pop("low_threshold", arrays["threshold"] / 2), len(species))
    if values:
        raise TypeError(f"no parameters of decoding: {', '.join(values)}")
    return Decisions(
        species=tuple(species),
        decoder=decoder,
        calibration=calibration or ScoreMap.identity(len(species)),
        about=about or {},
        **arrays,
    )


def decisions_in_force(saved: Decisions | None, settings: DecodeSettings, species: Sequence[str]) -> Decisions:
    """What the user set; where that is None, what was ``saved`` with the model; failing that, the defaults.

    A threshold that the user sets brings its own lower one, half of it, unless that is set, too. What was tuned for one
    decoder says nothing about the other: with the other one, only the calibration stays.

    Raises:
        ConfigError: the decisions are of other species, the decoder in force does not use what is set, or the lower
            threshold that is set is above a species' threshold.
    """
    own = saved if settings.tuned else None
    if own is not None and own.species != tuple(species):
        raise ConfigError(f"the decisions are of other species: {_difference(own.species, species)}")
    decoder = settings.decoder or (own.decoder if own else DEFAULT_DECODER)
    wanted = {key: value for key in PARAMETERS if (value := getattr(settings, key)) is not None}
    if unused := [key for key in wanted if key not in USED_BY[decoder]]:
        raise ConfigError(
            f"{unused[0]}={wanted[unused[0]]}: decoder={decoder} does not use it; it uses {', '.join(USED_BY[decoder])}"
        )
    values: dict[str, ArrayLike] = {}
    if own is not None and own.decoder == decoder:
        values = {key: getattr(own, key) for key in USED_BY[decoder]}
    if "threshold" in wanted:
        values.pop("low_threshold", None)
    about = own.about if own else {}
    try:
        return decide(
            species, decoder=decoder, calibration=own.calibration if own else None, about=about, **{**values, **wanted}
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _other_parameters() -> list[tuple[str, Any]]:
    return [(key, rule) for key, rule in PARAMETERS.items() if key != "low_threshold"]


def _spread(value: ArrayLike, num_species: int) -> FloatArray:
    """One value for all, as (S,); anything else as it is, to be checked."""
    array = np.asarray(value, dtype=np.float64)
    return np.full(num_species, array) if array.ndim == 0 else array


def _first(values: FloatArray, good: NDArray[np.bool_]) -> str:
    """``=value`` of the first species that is not good."""
    return f"={values[int(np.argmin(good))]:g}"


def _difference(own: Sequence[str], species: Sequence[str]) -> str:
    """In what two lists of species differ."""
    foreign, missing = [n for n in own if n not in set(species)], [n for n in species if n not in set(own)]
    if foreign or missing:
        return "; ".join(
            f"{what} {some_of(names, 2)}" for what, names in (("of", foreign), ("not of", missing)) if names
        )
    return "the same ones in another order"
