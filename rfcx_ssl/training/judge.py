"""What the loop asks of whoever judges a model: :class:`~rfcx_ssl.training.validation.Validation`, or the agreement with a teacher."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

from accelerate import Accelerator
from torch import nn


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
