"""What the loop asks of whoever judges a model: :class:`~rfcx_ssl.training.validation.Validation`, or the agreement with a teacher."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self, TypeAlias, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, gather_object
from torch import nn

Processes: TypeAlias = Accelerator  # of one launch, for who judges outside of this room
Key = TypeVar("Key")
Found = TypeVar("Found")


class Judge(Protocol):
    """Recordings that nothing is learned from, and how a model is judged on them. Of every metric more is better where it chooses."""

    @property
    def num_recordings(self) -> int:
        """How many there are."""

    def first(self, count: int | None) -> Self:
        """The same with at most ``count`` recordings; None: all."""

    def summary(self) -> str:
        """In a line, what is judged."""

    def select_metric(self, wanted: str) -> str | None:
        """The metric that chooses the best weights; None where nothing can be judged."""

    def score(self, model: nn.Module, accelerator: Accelerator) -> Any:  # noqa: ANN401 - what ``metrics`` takes
        """What ``model`` says of all recordings, the same on every process; all must call this."""

    def metrics(self, scores: Any) -> dict[str, float]:  # noqa: ANN401 - what ``score`` gives
        """Metrics beside their floors; NaN where nothing is judged."""

    def headline(self, metrics: Mapping[str, float | None], selected: str | None) -> str:
        """The metrics that people look at first, in words."""

    def draw(self, folder: Path, step: int, model: nn.Module, count: int) -> list[Path]:
        """Draw at most ``count`` recordings into ``folder/step_N``; returns the files."""

    def write(self, folder: Path, scores: Any, fold: int | None, seed: int) -> None:  # noqa: ANN401 - what ``score`` gives
        """Write what is worth keeping of the final model's scores into the run folder."""


def over_processes(
    model: nn.Module,
    accelerator: Processes,
    keys: Sequence[Key],
    score: Callable[[Sequence[Key]], Iterable[tuple[Key, Found]]],
) -> dict[Key, Found]:
    """What ``score`` says of each key, with ``model`` in evaluation mode; the same on every process, all must call this.

    Each process scores every ``num_processes``-th key; keys travel with what is said of them, so that uneven shares neither repeat
    nor lose one. A sharded model runs on all processes in step, so there each scores all.
    """
    mine = keys
    if accelerator.distributed_type != DistributedType.FSDP:
        mine = keys[accelerator.process_index :: accelerator.num_processes]
    was_training = model.training
    model.eval()
    with torch.inference_mode(), accelerator.autocast():
        scored = list(score(mine))
    model.train(was_training)
    return dict(gather_object(scored))
