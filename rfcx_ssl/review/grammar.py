"""What a person may write as a label while reviewing, and what it says. This is the only place that knows.

==========================  ==========================================================================
label                       says
==========================  ==========================================================================
the name as it was written  the species is heard in the box
``yes``, ``y``              the same
``no``, ``n``, ``-``        the species that was asked about is not in the box
``-NAME``                   this species is not in the box
another species' name       that species is heard in the box; the one that was asked about is not
``?``, ``NAME?``, nothing   unsure: nothing is said
``#`` and any text          a note, as if it were not there (the numbers of the clips are such)
==========================  ==========================================================================

Names are read without regard to case. A clip may hold several labels: each says its own, and the species that was asked about
is absent only where another species is named and none of the labels of the clip is about it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from rfcx_ssl.annotations import LabelMap
from rfcx_ssl.errors import ConfigError

YES, NO = ("yes", "y"), ("no", "n", "-")
NOT, UNSURE, NOTE = "-", "?", "#"

GRAMMAR = """\
  leave it        NAME is there
  no  (or -NAME)  NAME is not there
  ?               you are not sure: nothing is learnt from this one
  OTHER NAME      that species is there, and NAME is not
"""


class Said(NamedTuple):
    """What one label says of its box."""

    species_id: int
    songtype_id: int
    present: bool | None  # None: unsure


def is_note(text: str) -> bool:
    """Whether a label is for people only."""
    return text.strip().startswith(NOTE)


def read_label(text: str, asked: str, names: LabelMap) -> Said:
    """What a label says where the species ``asked`` was proposed; ``ValueError`` names an unknown species."""
    label = text.strip()
    word = label.lower()
    if not label or word.endswith(UNSURE) or word in (*YES, *NO):
        species, song, _ = _meaning(asked, names)
        return Said(species, song, None if word not in (*YES, *NO) else word in YES)
    if label.startswith(NOT):
        species, song, _ = _meaning(label.removeprefix(NOT), names)
        return Said(species, song, False)
    species, song, state = _meaning(label, names)
    return Said(species, song, state == "present")


def is_ruled_out(labels: Sequence[Said], asked: int) -> bool:
    """Whether the labels of a clip say that the species ``asked`` is absent without a label about it."""
    return all(said.species_id != asked for said in labels) and any(said.present for said in labels)


def check_names(names: Sequence[str]) -> None:
    """Refuse species' names that would be read as an answer.

    Raises:
        ConfigError: naming the first such species.
    """
    for name in names:
        word = name.strip().lower()
        if word in (*YES, *NO) or word.startswith((NOT, NOTE)) or word.endswith(UNSURE):
            raise ConfigError(
                f"species name {name!r}: reads as an answer in a review (yes, no, -NAME, NAME?, #); give it another name"
            )


def _meaning(name: str, names: LabelMap) -> tuple[int, int, str]:
    meaning = names[name]
    if meaning is None:
        raise ValueError(f"label {name!r} has no species")
    return meaning
