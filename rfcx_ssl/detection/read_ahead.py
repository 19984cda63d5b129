"""Recordings in order, decoded by other processes before the model needs them, and never more than it soon will."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from rfcx_ssl.detection.read import Header, Samples, Stretch, read_block, read_first
from rfcx_ssl.workers import DEATH, ProcessExecutor, SerialExecutor

AHEAD_PER_READER = 4  # tasks under way, each of one block
Result = TypeVar("Result")
Place = TypeVar("Place")


@dataclass
class Opened:
    """A recording that was opened. ``blocks()`` can be walked once; then ``problem`` says why it was not all of it."""

    stretch: Stretch
    header: Header
    problem: str | None
    _first: list[Samples]
    _more: Callable[[], Iterator[tuple[list[Samples], str | None]]]

    def blocks(self) -> Iterator[Samples]:
        """What can be decoded, block by block."""
        yield from self._first
        if self.problem is not None and self._broken:
            return
        for pieces, problem in self._more():
            yield from pieces
            if problem is not None:
                self.problem = problem
                return

    @property
    def _broken(self) -> bool:
        """Whether decoding ended in the first block; a file that was cut off is heard to its end."""
        return self.problem != self.header.problem


class ReadAhead:
    """Reader processes (0: this process), which :func:`open_readers` starts and ends."""

    def __init__(self, executor: Executor, readers: int) -> None:
        self._executor = executor
        self._ahead = AHEAD_PER_READER * max(readers, 1) if readers else 1

    def open_all(self, places: Iterable[tuple[Place, Stretch]]) -> Iterator[tuple[Place, Opened]]:
        """Open every stretch in order; the next ones are being read while one is being heard."""
        waiting: deque[tuple[Place, Stretch, _Task[Any]]] = deque()
        coming = iter(places)
        while True:
            while len(waiting) < self._ahead and (found := next(coming, None)) is not None:
                waiting.append((*found, self._submit(partial(read_first, found[1]))))
            if not waiting:
                return
            place, stretch, task = waiting.popleft()
            yield place, self._opened(stretch, task)

    def _opened(self, stretch: Stretch, task: "_Task[Any]") -> Opened:
        answer = task.result()
        if answer is None:
            header = Header(problem=f"{stretch.path}: {DEATH}")
            return Opened(stretch, header, header.problem, [], lambda: iter(()))
        header, first, problem = answer
        return Opened(stretch, header, problem or header.problem, first, partial(self._rest, stretch, header))

    def _rest(self, stretch: Stretch, header: Header) -> Iterator[tuple[list[Samples], str | None]]:
        """The blocks after the first, a few ahead of the one that is taken."""
        numbers = iter(range(1, header.num_blocks(stretch)))
        waiting: deque[_Task[Any]] = deque()
        while True:
            while len(waiting) < self._ahead and (number := next(numbers, None)) is not None:
                waiting.append(self._submit(partial(read_block, stretch, header, number)))
            if not waiting:
                return
            answer = waiting.popleft().result()
            yield answer if answer is not None else ([], f"{stretch.path}: {DEATH}")

    def _submit(self, call: Callable[[], Result]) -> "_Task[Result]":
        return _Task(self._executor, call)


class _Task(Generic[Result]):
    """A call under way in a reader. One that kills its process twice, the second time alone, has no result."""

    def __init__(self, executor: Executor, call: Callable[[], Result]) -> None:
        self._executor, self._call = executor, call
        self._submit()

    def result(self) -> Result | None:
        """Wait for the result; None where the process died of it."""
        for last in (False, True):
            try:
                if self._future is not None:
                    return self._future.result()
            except BrokenExecutor:
                pass
            self._revive()
            if not last:
                self._submit()
        return None

    def _submit(self) -> None:
        self._pool = getattr(self._executor, "generation", 0)
        try:
            self._future: Future[Result] | None = self._executor.submit(self._call)
        except BrokenExecutor:
            self._future = None

    def _revive(self) -> None:
        """Start new processes, unless a task before this one has."""
        if isinstance(self._executor, ProcessExecutor) and self._executor.generation == self._pool:
            self._executor.restart()
            self._executor.prove_alive()


@contextmanager
def open_readers(readers: int) -> Iterator[ReadAhead]:
    """``readers`` processes that decode; 0 decodes here, between one window and the next."""
    if readers == 0:
        yield ReadAhead(SerialExecutor(), 0)
        return
    with ProcessExecutor(readers) as executor:
        yield ReadAhead(executor, readers)
