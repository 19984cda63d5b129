"""Gates of a comparison: promises about margins between models, or over the class prior, judged."""

from dataclasses import dataclass

from rfcx_ssl.evaluation.judge import Scored
from rfcx_ssl.metrics import Interval

BEST, PRIOR = "best", "prior"  # names in a gate that no run may have


@dataclass(frozen=True)
class Promise:
    """``better`` (a run, or ``best``) is at least ``required`` LWLRAP above ``worse`` (a run, or ``prior``)."""

    better: str
    worse: str
    required: float


@dataclass(frozen=True)
class Gate:
    """A promise, judged: ``margin`` of the score named ``score``; ``precision`` is the margin in macro AP beside it."""

    name: str
    score: str
    margin: Interval
    required: float
    precision: Interval | None

    @property
    def holds(self) -> bool:
        """Whether the measured margin reaches the required one."""
        return self.margin.value >= self.required


def judge_promise(promise: Promise, raw: dict[str, Scored], scaled: dict[str, Scored], prior: Scored) -> Gate:
    """Judge a promise: between models on their own probabilities, against the prior with the prior's knowledge.

    ``best`` is the run with the highest such score, picked on the recordings it is judged on.
    """
    scores = scaled if promise.worse == PRIOR else raw
    better = best_system(scores) if promise.better == BEST else promise.better
    shown = f"best model ({better})" if promise.better == BEST else better
    if promise.worse == PRIOR:
        margin = scores[better].over(prior, "lwlrap")
        return Gate(f"{shown} over the class prior", "LWLRAP with prior", margin, promise.required, None)
    ours, theirs = scores[better], scores[promise.worse]
    margin, precision = ours.over(theirs, "lwlrap"), ours.over(theirs, "map")
    return Gate(f"{shown} over {promise.worse}", "LWLRAP", margin, promise.required, precision)


def best_system(scored: dict[str, Scored]) -> str:
    """The system with the highest LWLRAP (the first of equals)."""
    return max(scored, key=lambda name: scored[name].ranking.overall)
