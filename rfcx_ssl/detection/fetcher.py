"""Copies of recordings on other machines, made ahead of the readers and removed when they were heard."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from rfcx_ssl.detection.fetch import UnreachableError, local_copy
from rfcx_ssl.detection.read import Stretch
from rfcx_ssl.detection.recordings import Recording, is_url
from rfcx_ssl.errors import AudioError

AHEAD = 4  # copies under way or waiting to be read
Place = tuple[int, Recording]
Copy = tuple[Path, ExitStack]


class Fetcher:
    """A few threads that copy into ``folder``; a context manager. Without recordings elsewhere they do nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = ThreadPoolExecutor(AHEAD)
        self._copies: dict[Path, ExitStack] = {}  # not released yet

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)
        self.release(list(self._copies))

    def all_local(
        self, places: Iterable[Place], stretch_of: Callable[[Recording, Path], Stretch]
    ) -> Iterator[tuple[Place, Stretch]]:
        """Every recording in order, as a stretch of a local file; one that cannot be had says so in its ``problem``."""
        waiting: deque[tuple[Place, Future[Copy] | None]] = deque()
        coming = iter(places)
        while True:
            while len(waiting) < AHEAD and (place := next(coming, None)) is not None:
                waiting.append((place, self._threads.submit(self._fetch, place[1]) if is_url(place[1].path) else None))
            if not waiting:
                return
            place, copy = waiting.popleft()
            yield place, self._stretch(place[1], copy, stretch_of)

    def release(self, paths: Iterable[Path]) -> None:
        """These were heard: their copies go."""
        for path in paths:
            self._copies.pop(path, ExitStack()).close()

    def _stretch(
        self, recording: Recording, copy: "Future[Copy] | None", stretch_of: Callable[[Recording, Path], Stretch]
    ) -> Stretch:
        if copy is None:
            return stretch_of(recording, Path(recording.path))
        try:
            path, stack = copy.result()
        except AudioError as error:
            lost = isinstance(error, UnreachableError)
            return replace(stretch_of(recording, Path(recording.path)), problem=str(error), unreachable=lost)
        self._copies[path] = stack
        return stretch_of(recording, path)

    def _fetch(self, recording: Recording) -> Copy:
        stack = ExitStack()
        return stack.enter_context(local_copy(recording.path, self._folder)), stack
