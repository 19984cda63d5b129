"""One candidate for each species, what it is worth, and what it is worth on recordings that did not choose it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.metrics.arrays import mean_or_nan
from rfcx_ssl.tuning.criterion import Choice, Criterion
from rfcx_ssl.tuning.tally import Counts, Tally

Columns: TypeAlias = NDArray[np.intp]  # of a tally: some of the candidates
Choose: TypeAlias = Callable[[NDArray[np.bool_]], int]  # of groups (G,) to a candidate


class Worth(NamedTuple):
    """What one candidate is worth; NaN where that cannot be said."""

    precision: float
    recall: float
    f1: float
    false_per_hour: float


class Decided(NamedTuple):
    """What was chosen for one species."""

    candidate: int
    reached: bool
    here: Worth  # on the recordings that chose it: too good
    crossed: Worth  # chosen without a group and judged on it, group by group


def worth(counts: Counts, candidate: int = 0) -> Worth:
    """Of one of the candidates."""
    values = (counts.precision, counts.recall, counts.f(1.0), counts.false_per_hour)
    return Worth(*(float(value[candidate]) for value in values))


def mean_worth(of_species: Sequence[Worth]) -> Worth:
    """Mean over species, value by value, of those for which it is defined."""
    return Worth(*(mean_or_nan(np.array(values)) for values in zip(*of_species, strict=True)))


def choose_own(tally: Tally, criterion: Criterion, smoothings: int) -> Decided:
    """The best candidate for a species by its own counts.

    Candidates are ``smoothings`` equal blocks of thresholds, the default smoothing first. Another smoothing is taken only
    where that is worth more on recordings that did not choose it: by F-beta, for a rate or a precision says nothing of it.
    """
    size = tally.hits.shape[1] // smoothings
    plain, all_columns = np.arange(size), np.arange(tally.hits.shape[1])
    by_f = Criterion("f", criterion.beta)

    def among(columns: Columns, rule: Criterion) -> Callable[[NDArray[np.bool_]], Choice]:
        part = tally.only(columns)

        def choose(groups: NDArray[np.bool_]) -> Choice:
            found = rule.choose([part.on(groups)])
            return Choice(int(columns[found.candidate]), found.reached)

        return choose

    def smooth_first(groups: NDArray[np.bool_]) -> Choice:
        block = among(all_columns, by_f)(groups).candidate // size
        return among(block * size + plain, criterion)(groups)

    def crossed_f(choose: Callable[[NDArray[np.bool_]], Choice]) -> float:
        value = cross_validate(tally, lambda groups: choose(groups).candidate).f(criterion.beta)[0]
        return float(np.nan_to_num(value, nan=-1.0))

    helps = smoothings > 1 and crossed_f(among(all_columns, by_f)) > crossed_f(among(plain, by_f))
    choose = smooth_first if helps else among(plain, criterion)
    found = choose(np.ones(len(tally.there), np.bool_))
    crossed = worth(cross_validate(tally, lambda groups: choose(groups).candidate))
    return Decided(*found, worth(tally.on(), found.candidate), crossed)


class Shared:
    """The candidate that is best for several species on average, and those that are best without a group."""

    def __init__(self, tallies: Sequence[Tally], criterion: Criterion) -> None:
        groups = np.arange(len(tallies[0].there))
        self.choice = criterion.choose([tally.on() for tally in tallies])
        self._without = [
            criterion.choose([tally.on(groups != group) for tally in tallies]).candidate for group in groups
        ]

    def decide(self, tally: Tally) -> Decided:
        """What it is worth for one species."""
        crossed = worth(cross_validate(tally, lambda groups: self._without[int(np.argmin(groups))]))
        return Decided(*self.choice, worth(tally.on(), self.choice.candidate), crossed)


def cross_validate(tally: Tally, choose: Choose) -> Counts:
    """Counts (1,) of what is chosen on all groups but one and judged on that one, added up."""
    groups = np.arange(len(tally.there))
    chosen = [choose(groups != group) for group in groups]
    hits, false = (part[groups, chosen].sum(keepdims=True) for part in (tally.hits, tally.false))
    return Counts(hits, false, int(tally.there.sum()), float(tally.hours.sum()))
