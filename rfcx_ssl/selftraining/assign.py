"""Who labels which recording: never a model that learned from its labels."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rfcx_ssl.detection.recordings import Recording, is_url
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.selftraining.teachers import Teacher

Rule = Literal["mean", "random"]


@dataclass(frozen=True)
class Assignment:
    """Recordings with the teachers (positions among all) that label them."""

    teachers_of: Mapping[str, tuple[int, ...]]  # by recording
    path_of: Mapping[str, str]
    taught: tuple[str, ...] = ()  # every teacher has learned from their labels: nobody labels them
    test: tuple[str, ...] = ()  # of the test part, which nothing learns from

    @property
    def groups(self) -> dict[tuple[int, ...], dict[str, str]]:
        """Path -> recording, for each set of teachers that label together."""
        found: dict[tuple[int, ...], dict[str, str]] = {}
        for name, teachers in self.teachers_of.items():
            found.setdefault(teachers, {})[self.path_of[name]] = name
        return dict(sorted(found.items()))


class Names:
    """What recordings are called where training looks for them.

    Args:
        known: the audio files of the data set, by recording; a file is called as there, wherever it was found.
    """

    def __init__(self, known: Mapping[str, Path]) -> None:
        self._known = known
        self._name_of = {path.resolve(): name for name, path in known.items()}

    def __call__(self, recording: Recording) -> str:
        """The name of one recording.

        Raises:
            AnnotationError: the data set has another file of its name, so that labels of one would be given to the other.
        """
        if is_url(recording.path):
            return recording.name
        path = Path(recording.path)
        if name := self._name_of.get(path.resolve()):
            return name
        twin = self._known.get(recording.name)
        if twin is not None and twin.stat().st_size != path.stat().st_size:
            raise AnnotationError(f"{path}: is called {recording.name}, as is {twin}, which is another recording")
        return recording.name


def assign(
    recordings: Iterable[Recording],
    names: Names,
    teachers: Sequence[Teacher],
    *,
    labelled: frozenset[str],
    test: frozenset[str],
    rule: Rule,
    seed: int,
) -> Assignment:
    """Give every recording its teachers.

    One with labels (``labelled``) is labelled by the mean of all models that did not learn from them; the others by the mean of all
    models, or by ``rule=random`` by one, which depends on its name and ``seed`` alone.
    """
    teachers_of: dict[str, tuple[int, ...]] = {}
    path_of: dict[str, str] = {}
    left: dict[str, list[str]] = {"taught": [], "test": []}
    for recording in recordings:
        name = names(recording)
        if name in path_of:
            raise AnnotationError(f"{recording.path} and {path_of[name]} are both called {name}")
        path_of[name] = recording.path
        allowed = tuple(number for number, teacher in enumerate(teachers) if name not in teacher.seen)
        if name in test:
            left["test"].append(name)
        elif not allowed:
            left["taught"].append(name)
        elif rule == "random" and name not in labelled:
            teachers_of[name] = (_draw(name, allowed, seed),)
        else:
            teachers_of[name] = allowed
    return Assignment(teachers_of, path_of, tuple(left["taught"]), tuple(left["test"]))


def _draw(name: str, allowed: Sequence[int], seed: int) -> int:
    digest = hashlib.blake2b(f"{seed}\0{name}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return allowed[int.from_bytes(digest) % len(allowed)]
