"""Run many tasks on any ``concurrent.futures.Executor``: in this process, in processes, or on a Dask cluster."""

import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from rfcx_ssl.errors import ManifestError, require_extra

CONNECT_TIMEOUT_S = 10
DEATH = "the process that read it died (a crash of the decoder, or out of memory)"
Item = TypeVar("Item")
Result = TypeVar("Result")


class SerialExecutor(Executor):
    """Runs each task at once in the calling process."""

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> "Future[Result]":  # noqa: ANN401
        """Run ``fn`` now and return its finished future."""
        future: Future[Result] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - handed to the caller by Future.result, as an executor must
            future.set_exception(error)
        return future


class ProcessExecutor(Executor):
    """A process pool that can be replaced after one of its processes died."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.restart()

    def restart(self) -> None:
        """Start new processes; those of a broken pool are gone already."""
        # spawn: forking a process that holds SQLite, Arrow threads and open files is not safe
        self._pool = ProcessPoolExecutor(self.workers, mp_context=multiprocessing.get_context("spawn"))

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> "Future[Result]":  # noqa: ANN401
        """Run ``fn`` in a process."""
        return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the processes end."""
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)


@contextmanager
def open_executor(workers: int, dask: str | None = None) -> Iterator[Executor]:
    """``workers`` processes (1: this process), or the Dask cluster whose scheduler listens at ``dask``.

    Raises:
        MissingExtraError: Dask is not installed.
        ManifestError: no scheduler answers.
    """
    if dask:
        distributed = require_extra("distributed", "cluster")
        try:
            client = distributed.Client(dask, timeout=CONNECT_TIMEOUT_S)
        except (OSError, ValueError) as error:
            raise ManifestError(f"--dask {dask}: no scheduler answers ({error})") from None
        with client, client.get_executor(pure=False) as executor:
            yield executor
    elif workers == 1:
        yield SerialExecutor()
    else:
        with ProcessExecutor(workers) as executor:
            yield executor


def run_unordered(
    executor: Executor,
    function: Callable[[list[Item]], list[Result]],
    batches: Iterable[list[Item]],
    in_flight: int,
    blame: Callable[[Item], Result],
) -> Iterator[list[Result]]:
    """Yield the results of batches as they finish, holding at most ``in_flight`` batches, however many there are.

    Where a worker process dies, what it and its neighbours held is run again, each alone; an item that kills its
    process again gets the result ``blame(item)``.

    Raises:
        ManifestError: no process can be started at all.
    """
    waiting = iter(batches)
    run = _Run(executor, function)
    run.hand_out(itertools.islice(waiting, in_flight))
    try:
        while run.pending or run.suspects:
            for results in run.finished():
                yield results  # taken (and saved) before new work is handed out
                if not run.suspects:
                    run.hand_out(itertools.islice(waiting, 1))
            if run.suspects and not run.pending:
                yield from _run_alone(function, run.suspects, blame)
                run.recover()
                run.hand_out(itertools.islice(waiting, in_flight))
    finally:
        for future in run.pending:
            future.cancel()


class _Run(Generic[Item, Result]):
    """Batches under way, and those whose worker died: one of them may have killed it."""

    def __init__(self, executor: Executor, function: Callable[[list[Item]], list[Result]]) -> None:
        self.executor = executor
        self.function = function
        self.pending: dict[Future[list[Result]], list[Item]] = {}
        self.suspects: list[list[Item]] = []

    def hand_out(self, batches: Iterable[list[Item]]) -> None:
        for batch in batches:
            try:
                self.pending[self.executor.submit(self.function, batch)] = batch
            except BrokenExecutor:
                self.suspects.append(batch)

    def finished(self) -> Iterator[list[Result]]:
        """Wait for at least one batch."""
        for future in wait(self.pending, return_when=FIRST_COMPLETED).done:
            batch = self.pending.pop(future)
            try:
                results = future.result()
            except Exception as error:
                if not _is_death(error):
                    raise
                self.suspects.append(batch)
            else:
                yield results

    def recover(self) -> None:
        """Go on with new processes; a cluster replaces its own."""
        self.suspects.clear()
        if isinstance(self.executor, ProcessExecutor):
            self.executor.restart()


def _is_death(error: Exception) -> bool:
    """A broken pool, or Dask's word for a task whose workers died."""
    return isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"


def _run_alone(
    function: Callable[[list[Item]], list[Result]],
    suspects: Iterable[list[Item]],
    blame: Callable[[Item], Result],
) -> Iterator[list[Result]]:
    """Run each batch alone in a process of this machine, and where that dies too, each of its items, twice."""
    with ProcessExecutor(1) as alone:
        _prove_alive(alone)
        for batch in suspects:
            results = _attempt(alone, function, batch)
            if results is not None:
                yield results
                continue
            for item in batch:
                results = _attempt(alone, function, [item])
                if results is None:  # the first death may be due to the item before
                    results = _attempt(alone, function, [item])
                yield [blame(item)] if results is None else results


def _attempt(
    executor: ProcessExecutor, function: Callable[[list[Item]], list[Result]], batch: list[Item]
) -> list[Result] | None:
    """Results of a batch, or None where its process died; then a new one is ready."""
    try:
        return executor.submit(function, batch).result()
    except BrokenExecutor:
        executor.restart()
        _prove_alive(executor)
        return None


def _prove_alive(executor: ProcessExecutor) -> None:
    """Do nothing in a process, so that no item is blamed where processes cannot start at all."""
    try:
        executor.submit(int).result()
    except BrokenExecutor:
        raise ManifestError("worker processes die at their start; try --workers 1") from None
