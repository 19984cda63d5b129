"""What a run knows about itself apart from tensors; it is saved in every checkpoint."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rfcx_ssl.errors import RunError
from rfcx_ssl.training.update import StepReport


@dataclass
class Candidate:
    """An evaluated set of weights that is kept in ``best/``; a higher ``score`` is better."""

    step: int
    score: float


@dataclass
class TrainState:
    """Counters of a run. Everything random is a function of (seed, step, rank), so no generator state is here."""

    step: int = 0  # optimizer steps done
    train_s: float = 0.0  # wall clock spent in steps, without evaluation and start-up, over all sessions
    evaluated_step: int = 0  # step of the last evaluation
    candidates: list[Candidate] = field(default_factory=list)  # the best first
    reference: float | None = None  # score at the last gain of evaluation.early_stop.min_gain
    evaluations_without_gain: int = 0  # since then
    bad_steps: int = 0  # steps skipped for a NaN/Inf loss or gradient
    bad_steps_in_row: int = 0
    sums: dict[str, float] = field(default_factory=dict)  # of loss terms and gradient norm since the last train line
    sum_steps: int = 0

    @property
    def best(self) -> Candidate | None:
        """The best evaluation so far."""
        return self.candidates[0] if self.candidates else None

    def count(self, report: StepReport, max_bad_steps: int) -> None:
        """Take note of one optimizer step.

        Raises:
            RunError: more than ``max_bad_steps`` steps in a row had a NaN/Inf loss or gradient.
        """
        self.step += 1
        if not report.finite:
            self.bad_steps += 1
            self.bad_steps_in_row += 1
            if self.bad_steps_in_row > max_bad_steps:
                raise RunError(
                    f"NaN or Inf in the loss or its gradient in {self.bad_steps_in_row} steps in a row, the last step "
                    f"{self.step} (loss {report.terms['loss']}, gradient norm {report.grad_norm}; "
                    f"max_bad_steps={max_bad_steps}); lower the learning rate or precision=fp32"
                )
            return
        self.bad_steps_in_row = 0
        self.sum_steps += 1
        for name, value in {**report.terms, "grad_norm": report.grad_norm}.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def take_means(self) -> dict[str, float]:
        """Means since the last call; empty where every step was skipped."""
        means = {name: value / self.sum_steps for name, value in self.sums.items()} if self.sum_steps else {}
        self.sums, self.sum_steps = {}, 0
        return means

    def add_candidate(self, score: float, top_k: int, min_gain: float) -> bool:
        """Take note of the current step's score; True where it is among the ``top_k`` best.

        A gain is measured from the score at the last gain, not from the best one: small steps up add up to one.
        """
        if self.reference is None or score > self.reference + min_gain:
            self.reference, self.evaluations_without_gain = score, 0
        else:
            self.evaluations_without_gain += 1
        new = Candidate(self.step, score)
        # sorted() is stable: of equal scores the earlier evaluation stays ahead.
        self.candidates = sorted([*self.candidates, new], key=lambda c: -c.score)[:top_k]
        return new in self.candidates

    def to_dict(self) -> dict[str, Any]:
        """A plain mapping, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainState":
        """The inverse of :meth:`to_dict`."""
        candidates = [Candidate(**candidate) for candidate in values["candidates"]]
        return cls(**{**values, "candidates": candidates})
