"""Run many tasks in this process, in processes, or on a Dask cluster, and survive a process that dies of one."""

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from rfcx_ssl.errors import ManifestError, require_extra

CONNECT_TIMEOUT_S = 10
BATCHES_PER_WORKER = 4  # one at work, the others waiting for it
LEAST_CLUSTER = 16  # workers that a cluster is taken to have, for more may join
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
        self.generation = 0  # counts the pools
        self.restart()

    def restart(self) -> None:
        """Start new processes; those of a broken pool are gone already."""
        # spawn: forking a process that holds SQLite, Arrow threads and open files is not safe
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_end_with_parent)
        self.generation += 1

    def prove_alive(self) -> None:
        """Do nothing in a process, so that no item is blamed where processes cannot start at all.

        Raises:
            ManifestError: they cannot.
        """
        try:
            self.submit(int).result()
        except BrokenExecutor:
            raise ManifestError("worker processes die at their start; try --workers 1") from None

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> "Future[Result]":  # noqa: ANN401
        """Run ``fn`` in a process."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))  # of processes that start now
        try:
            return self._pool.submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the processes end."""
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)


def _end_with_parent() -> None:
    """Let a worker end when the program that started it is killed, instead of waiting for work for ever.

    Ctrl-C in a terminal reaches the workers too. It is held back until here, and then they die of it without a word:
    the program is the one to speak.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Workers:
    """Somewhere to run tasks, and how many batches of them to keep there: enough that nobody waits, few in memory."""

    def __init__(self, executor: Executor, in_flight: int) -> None:
        self.executor = executor
        self.in_flight = in_flight

    def run(
        self,
        function: Callable[[list[Item]], list[Result]],
        batches: Iterable[list[Item]],
        blame: Callable[[Item], Result],
    ) -> Iterator[list[Result]]:
        """Yield the results of batches as they finish, in any order, however many batches there are.

        Where a worker process dies, what it and its neighbours held is run again, each alone; an item that kills its
        process again gets the result ``blame(item)``.

        Raises:
            ManifestError: no process can be started at all.
        """
        waiting = iter(batches)
        run = _Run(self.executor, function)
        run.hand_out(itertools.islice(waiting, self.in_flight))
        try:
            while run.pending or run.suspects:
                for results in run.finished():
                    yield results  # taken (and saved) before new work is handed out
                    if not run.suspects:
                        run.hand_out(itertools.islice(waiting, 1))
                if run.suspects and not run.pending:
                    yield from _run_alone(function, run.suspects, blame)
                    run.recover()
                    run.hand_out(itertools.islice(waiting, self.in_flight))
        finally:
            for future in run.pending:
                future.cancel()


def this_process() -> Workers:
    """Run everything here, one batch at a time."""
    return Workers(SerialExecutor(), 1)


@contextmanager
def open_threads(count: int) -> Iterator[Workers]:
    """``count`` threads of this process, for work that releases the GIL (decoding, resampling)."""
    with ThreadPoolExecutor(count) as executor:
        yield Workers(executor, BATCHES_PER_WORKER * count)


@contextmanager
def open_workers(count: int, dask: str | None = None) -> Iterator[Workers]:
    """``count`` processes (1: this process), or the Dask cluster whose scheduler listens at ``dask``.

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
            yield Workers(executor, BATCHES_PER_WORKER * max(sum(client.nthreads().values()), LEAST_CLUSTER))
    elif count == 1:
        yield this_process()
    else:
        with ProcessExecutor(count) as executor:
            yield Workers(executor, BATCHES_PER_WORKER * count)


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
        alone.prove_alive()
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
        executor.prove_alive()
        return None
