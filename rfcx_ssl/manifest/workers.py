"""Run many tasks on any ``concurrent.futures.Executor``: in this process, in processes, or on a Dask cluster."""

import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

from rfcx_ssl.errors import ManifestError, require_extra

CONNECT_TIMEOUT_S = 10
Task = TypeVar("Task")
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
        # spawn: forking a process that holds SQLite, Arrow threads and open files is not safe
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as executor:
            yield executor


def run_unordered(
    executor: Executor, function: Callable[[Task], Result], tasks: Iterable[Task], in_flight: int
) -> Iterator[Result]:
    """Yield results as they finish, holding at most ``in_flight`` tasks, however many there are.

    Raises:
        ManifestError: a worker process died.
    """
    waiting = iter(tasks)
    pending = {executor.submit(function, task) for task in itertools.islice(waiting, in_flight)}
    try:
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()  # taken (and saved) before new work is handed out
                pending |= {executor.submit(function, task) for task in itertools.islice(waiting, 1)}
    except BrokenExecutor:
        raise ManifestError(
            "a worker died (out of memory, or the decoder crashed); nothing finished is lost, run the same command "
            "again with fewer --workers"
        ) from None
    finally:
        for future in pending:
            future.cancel()
