"""Which box each crop of an epoch is drawn around: dealt like cards, so that every class and box gets its turn."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.annotations import Annotations, Event
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.species.space import LabelSpace

logger = logging.getLogger(__name__)

IntArray = NDArray[np.int64]
KINDS = ("present", "absent", "random")


class Anchor(NamedTuple):
    """What a crop is drawn around: a box or tag of a recording, or None for a place chosen at random."""

    recording_id: str
    event: Event | None


@dataclass(frozen=True)
class AnchorDeck:
    """Anchors of one kind, grouped by class."""

    anchors: tuple[Anchor, ...]
    classes: tuple[IntArray, ...]  # positions in ``anchors`` of each class that has any

    def deal(self, count: int, rng: np.random.Generator, *, balanced: bool) -> list[Anchor]:
        """``count`` anchors: classes take turns if ``balanced``, and no box comes twice before its class is through."""
        if not balanced:
            return [self.anchors[i] for i in _cycle(np.arange(len(self.anchors)), count, rng)]
        turns = _cycle(np.arange(len(self.classes)), count, rng)
        uses = np.bincount(turns, minlength=len(self.classes))
        hands = [iter(_cycle(members, use, rng)) for members, use in zip(self.classes, uses.tolist(), strict=True)]
        return [self.anchors[next(hands[turn])] for turn in turns]


def _cycle(items: IntArray, count: int, rng: np.random.Generator) -> list[int]:
    """``count`` of the items: every one once in random order, then again in another order, and so on."""
    rounds = [rng.permutation(items) for _ in range(-(-count // len(items)))]
    dealt: list[int] = np.concatenate([*rounds, items[:0]])[:count].tolist()
    return dealt


def make_decks(annotations: Annotations, recording_ids: Sequence[str], space: LabelSpace) -> list[AnchorDeck]:
    """Decks of :data:`KINDS`: present boxes and tags, absent boxes (both by output), and recordings as one class."""
    boxes: tuple[list[Anchor], list[Anchor]] = ([], [])
    for name in recording_ids:
        for event in annotations.events(name):
            boxes[0 if event.present else 1].append(Anchor(name, event))
    decks = [AnchorDeck(tuple(anchors), _by_class(anchors, space)) for anchors in boxes]
    everywhere = tuple(Anchor(name, None) for name in recording_ids)
    return [*decks, AnchorDeck(everywhere, (np.arange(len(everywhere)),))]


def _by_class(anchors: Sequence[Anchor], space: LabelSpace) -> tuple[IntArray, ...]:
    members: dict[int, list[int]] = {}
    for position, anchor in enumerate(anchors):
        if anchor.event is not None:
            output = space.output_of(anchor.event.species_id, anchor.event.songtype_id)
            members.setdefault(output, []).append(position)
    return tuple(np.array(members[output], np.int64) for output in sorted(members))


def usable_shares(decks: Sequence[AnchorDeck], shares: Sequence[float]) -> NDArray[np.float64]:
    """Shares of the kinds that have anchors, summing to 1; a wanted kind without any is reported in the log."""
    usable = np.array([share if deck.anchors else 0.0 for deck, share in zip(decks, shares, strict=True)])
    for kind, share, left in zip(KINDS, shares, usable.tolist(), strict=True):
        if share and not left:
            logger.warning("no %s boxes to draw crops around: data.%s_share=%g is not used", kind, kind, share)
    if usable.sum() <= 0:
        raise AnnotationError(f"no crops to draw: none of the wanted kinds of anchors exists (shares {tuple(shares)})")
    total: NDArray[np.float64] = usable / usable.sum()
    return total


def default_length(decks: Sequence[AnchorDeck], shares: NDArray[np.float64]) -> int:
    """Crops per epoch in which the first wanted kind comes once each: present boxes, where they are wanted."""
    first = int(np.flatnonzero(shares > 0)[0])
    return round(len(decks[first].anchors) / float(shares[first]))


def deal_epoch(
    decks: Sequence[AnchorDeck],
    shares: NDArray[np.float64],
    length: int,
    rng: np.random.Generator,
    *,
    balanced: bool,
) -> list[Anchor]:
    """Shuffled anchors of one epoch; the kinds are met exactly up to rounding (largest remainder)."""
    exact = shares * length
    counts = np.floor(exact).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: length - int(counts.sum())]] += 1
    dealt: list[Anchor] = []
    for deck, count in zip(decks, counts.tolist(), strict=True):
        if count:
            dealt += deck.deal(count, rng, balanced=balanced)
    return [dealt[i] for i in rng.permutation(length)]
