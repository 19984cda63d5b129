"""Groups of recordings for cross-validation: what was chosen without a group is judged on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rfcx_ssl.tuning.tally import IntArray

MOST_GROUPS = 10
FEWEST_SITES = 5  # with fewer, leaving out a site leaves out too much


@dataclass(frozen=True)
class Groups:
    """R recordings in G groups."""

    of_recording: IntArray  # (R,)
    count: int
    what: str  # in words: what is never in two groups


def make_groups(recording_ids: Sequence[str], sites: Sequence[str | None]) -> Groups:
    """At most ten groups of about the same number of recordings; a site is never in two groups, where sites are known.

    That is where every recording has a site and there are five sites or more; else recordings are dealt one by one.
    The largest sites are dealt first, each to the smallest group; what is equal goes by name, so nothing is random.
    """
    by_site = None not in sites and len(set(sites)) >= FEWEST_SITES
    units = list(map(str, sites)) if by_site else list(recording_ids)
    names, unit_of, sizes = np.unique(np.array(units), return_inverse=True, return_counts=True)
    count = min(MOST_GROUPS, len(names))
    group_of, load = np.zeros(len(names), np.int64), np.zeros(count, np.int64)
    for unit in np.argsort(-sizes, kind="stable"):
        group_of[unit] = load.argmin()
        load[group_of[unit]] += sizes[unit]
    return Groups(group_of[unit_of], count, "sites" if by_site else "recordings")
