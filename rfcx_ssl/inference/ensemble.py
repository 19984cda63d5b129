"""Several models, each at several speeds, as one: a common frame grid, one score per species, a file read once.

A model at another speed is the same network hearing audio that was read at another rate: read at 1/1.1 of its own rate a
recording plays a tenth faster and higher. Its frames then last that much longer in the recording, and nothing is
stretched. Test-time augmentation is an ensemble of speeds.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rfcx_ssl.errors import ConfigError, some_of
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.batches import Batches, OneWindow, RecordingStream, ScoredFrames
from rfcx_ssl.inference.regrid import Regrid
from rfcx_ssl.inference.scorer import Scorer
from rfcx_ssl.inference.settings import Combine, EnsembleSettings

EVEN_MEAN = EnsembleSettings()
SHOWN = 3  # species in a message
CERTAIN = 1e-7  # probabilities are kept so far from 0 and 1 where logits are taken; about the step of float32 at 1


class Member(NamedTuple):
    """A model at a speed."""

    batches: Batches
    rate_hz: int  # at which audio is read
    weight: float  # all of them sum to 1
    columns: Tensor | None  # (S,) the species of the ensemble among the model's; None where they are the same

    @property
    def grid(self) -> FrameGrid:
        """Its frames in the recording."""
        return FrameGrid(self.rate_hz, self.batches.scorer.grid.hop_samples)


class Ensemble:
    """Models, by their batches, as one; frames and species are the first model's.

    Args:
        batches: of each model; what its windows wait in, at all speeds and of all recordings.
        settings: speeds, and how scores are combined.

    Raises:
        ConfigError: models know different species, or there is not one weight per model.
    """

    def __init__(self, batches: Sequence[Batches], settings: EnsembleSettings = EVEN_MEAN) -> None:
        self.batches, self.combine = tuple(batches), settings.combine
        first = self.batches[0].scorer
        self.grid, self.species = first.grid, first.species
        weights = (1.0,) * len(batches) if settings.weights is None else settings.weights
        if len(weights) != len(batches):
            raise ConfigError(f"weights={list(weights)}: need one for each of {len(batches)} models")
        speeds = sorted(settings.speeds, key=lambda speed: speed != 1)  # the ensemble's frames are those at speed 1
        self.members = tuple(
            Member(
                of_model,
                round(of_model.scorer.grid.sample_rate_hz / speed),
                weight / sum(weights) / len(speeds),
                species_columns(first, of_model.scorer),
            )
            for of_model, weight in zip(batches, weights, strict=True)
            for speed in speeds
        )
        self.rates_hz = tuple(sorted({member.rate_hz for member in self.members}))

    def open(
        self, watch: Callable[[int, OneWindow], None] = lambda *_: None, name: str = "a recording"
    ) -> "EnsembleStream":
        """A stream for one recording; ``watch`` is told every window of the first model at speed 1."""
        return EnsembleStream(self, watch, name)

    def flush(self) -> None:
        """Score the windows that are waiting, of all recordings."""
        for batches in self.batches:
            batches.flush()


class EnsembleStream:
    """One recording on its way through all members; the contract is that of :class:`RecordingStream`.

    Audio comes at every rate of ``rates_hz``, in blocks of any length. Of one model at one speed frames are exactly those
    of a :class:`RecordingStream`.
    """

    def __init__(self, ensemble: Ensemble, watch: Callable[[int, OneWindow], None], name: str) -> None:
        self._members, self._combine = ensemble.members, ensemble.combine
        self.rates_hz = ensemble.rates_hz
        first, *others = ensemble.members
        self._streams = [
            RecordingStream(first.batches, watch, name),
            *(RecordingStream(member.batches, name=name) for member in others),
        ]
        self._regrids = [Regrid(member.grid, ensemble.grid) for member in ensemble.members]
        self._clips: dict[int, Tensor] = {}  # of the members that have said something
        self._first_frame = 0

    def push(self, blocks: Mapping[int, Tensor]) -> None:
        """Take the next samples (n,) of the recording at some or all of ``rates_hz``."""
        for member, stream in zip(self._members, self._streams, strict=True):
            if member.rate_hz in blocks:
                stream.push(blocks[member.rate_hz])

    def end(self) -> None:
        """There are no more samples, at any rate."""
        for stream in self._streams:
            stream.end()

    @property
    def complete(self) -> bool:
        """Whether the next :meth:`ready` is the last."""
        return all(stream.complete for stream in self._streams)

    def ready(self) -> ScoredFrames | None:
        """Frames that are final for all members and were not taken yet; None where there are none.

        Raises:
            ScoreError: a member's score is not finite.
        """
        for place, (stream, regrid) in enumerate(zip(self._streams, self._regrids, strict=True)):
            self._collect(place, stream, regrid)
        finals = [regrid.num_final for regrid in self._regrids]
        stop = min([self._regrids[0].num_rows, *(final for final in finals if final is not None)])
        first, self._first_frame = self._first_frame, max(stop, self._first_frame)
        if stop <= first:
            return None
        heard = [place for place, regrid in enumerate(self._regrids) if regrid.num_rows]
        weights = [self._members[place].weight for place in heard]
        frame = combined([self._regrids[place].take(stop) for place in heard], weights, self._combine)
        clip = combined([self._clips[place] for place in heard], weights, self._combine)
        return ScoredFrames(first, frame, clip)

    def _collect(self, place: int, stream: RecordingStream, regrid: Regrid) -> None:
        """What is ready of one member. One that hears nothing of a recording of few samples at its rate has no say."""
        piece = stream.ready()
        if piece is not None:
            columns = self._members[place].columns
            regrid.push(piece.frame if columns is None else piece.frame[:, columns])
            self._clips[place] = piece.clip if columns is None else piece.clip[columns]
        regrid.ended = stream.complete


def combined(scores: Sequence[Tensor], weights: Sequence[float], how: Combine) -> Tensor:
    """One probability from several of one shape.

    ``mean`` is the linear opinion pool ``sum w p`` and ``geometric`` the logarithmic one for two outcomes: odds are the
    weighted geometric mean of odds, ``logit p = sum w logit p_i`` (Genest and Zidek 1986, Combining probability
    distributions, Statistical Science 1(1)). Weights are made to sum to 1. Computed in float64.
    """
    if len(scores) == 1:
        return scores[0]
    shares = torch.tensor(weights, dtype=torch.float64)
    shares = (shares / shares.sum()).reshape(-1, *(1,) * scores[0].ndim)
    stacked = torch.stack(list(scores)).double()
    if how == "mean":
        return (shares * stacked).sum(dim=0).to(scores[0].dtype)
    logits = (shares * stacked.clamp(CERTAIN, 1 - CERTAIN).logit()).sum(dim=0)
    return logits.sigmoid().to(scores[0].dtype)


def species_columns(first: Scorer, other: Scorer) -> Tensor | None:
    """Where the species of ``first`` are among those of ``other``, by name; None where they are in the same order.

    Raises:
        ConfigError: one of them knows a species that the other does not.
    """
    wanted, known = first.species.names, other.species.names
    for one, names, of_other in ((first, wanted, known), (other, known, wanted)):
        if alone := [name for name in names if name not in of_other]:
            raise ConfigError(
                f"models {first.name} and {other.name} do not know the same species, as an ensemble must: "
                f"only {one.name} knows {some_of(alone, SHOWN)}"
            )
    return None if wanted == known else torch.tensor([known.index(name) for name in wanted])
