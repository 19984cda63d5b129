"""What the processes that make training crops do about signals and failures, and how they are ended."""

import multiprocessing
import multiprocessing.queues
import os
import signal
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from torch.utils.data import get_worker_info

from rfcx_ssl.errors import RfcxError, RunError, first_line
from rfcx_ssl.labels import Batch

CANNOT_HAND_OVER = 75  # exit code of a worker whose batch got lost on its way to the loop (EX_TEMPFAIL)
DYING_S = 1.0  # a process closes its pipes before it is gone
SHARED_MEMORY = "enlarge /dev/shm (of a container: --shm-size), or set num_workers=0"
NOT_HANDED_OVER = f"a data worker cannot hand over its batch (open files or shared memory are short); {SHARED_MEMORY}"


def start_worker(worker: int) -> None:
    """What a worker does first.

    A Ctrl-C or a cluster's SIGTERM reaches the whole process group; a worker that died of it would end the run: the loop
    ends its workers (:func:`end_workers`). A batch that cannot be sent ends the worker, and so the run: Python would say
    so on stderr and let the loop wait for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_lose_nothing)  # type: ignore[attr-defined]


def _lose_nothing(error: Exception, batch: object) -> None:
    os._exit(CANNOT_HAND_OVER)


@dataclass(frozen=True)
class HandOver:
    """``collate``, and the batch into shared memory where somebody hears of a failure; errors travel as they are.

    The loop gets what ``collate`` made, or the :class:`RfcxError` to raise: torch would turn it into a traceback.
    """

    collate: Callable[[Any], Batch]

    def __call__(self, items: Sequence[Any] | RfcxError) -> Batch | RfcxError:
        """Items of a batch, or the error that one of them met."""
        if isinstance(items, RfcxError):
            return items
        batch = self.collate(items)
        if get_worker_info() is None:
            return batch
        try:
            return type(batch)(*(tensor.share_memory_() for tensor in batch))  # type: ignore[no-untyped-call]
        except (OSError, RuntimeError) as error:
            return RunError(f"a data worker cannot hand over its batch ({first_line(error)}); {SHARED_MEMORY}")


def why_dead(workers: Collection[BaseProcess]) -> str | None:
    """What to say of workers that ended by themselves, or are about to; None where all stay alive."""
    ending = wait([worker.sentinel for worker in workers], timeout=DYING_S)
    for worker in workers:
        if worker.sentinel in ending:
            worker.join(DYING_S)
    code = next((worker.exitcode for worker in workers if worker.exitcode is not None), None)
    if code is None:
        return None
    if code == CANNOT_HAND_OVER:
        return NOT_HANDED_OVER
    if code < 0:
        name = signal.Signals(-code).name
        hints = {"SIGKILL": " (out of memory?)", "SIGBUS": f" (shared memory is full: {SHARED_MEMORY})"}
        return f"a data worker was killed by {name}{hints.get(name, '')}; the same command goes on from the last checkpoint"
    return f"a data worker ended with exit code {code}; the same command goes on from the last checkpoint"


@contextmanager
def unreported_deaths() -> Iterator[None]:
    """Within it torch does not raise where a worker has died, which it does by a signal, wherever the loop is."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before)


def end_workers(workers: Iterable[BaseProcess]) -> None:
    """Kill what is left, whatever it is doing. torch would wait for workers that are stuck, and they for nobody."""
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.join()
