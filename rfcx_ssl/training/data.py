"""The training crops of one process, step by step, with the time the loop waits for them."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any

import torch
from torch.utils.data import DataLoader

from rfcx_ssl.errors import RfcxError, RunError
from rfcx_ssl.labels import Batch
from rfcx_ssl.training.loader_workers import (
    NOT_HANDED_OVER,
    HandOver,
    end_workers,
    start_worker,
    unreported_deaths,
    why_dead,
)
from rfcx_ssl.training.sampler import EpochDataset, KeyedDataset, StepSampler


class StepStream:
    """Lists of micro-batches on ``device``, one list per optimizer step, from ``start_step`` on.

    ``with stream as steps`` starts the workers; at the end of the block they are gone, whatever ended it.

    Raises:
        RunError: a worker died, cannot hand over what it made, or made nothing for ``timeout_s`` seconds (0: any time).
        RfcxError: what an item met.
    """

    def __init__(
        self,
        dataset: EpochDataset,
        collate: Callable[[Any], Batch],
        sampler: StepSampler,
        device: torch.device,
        *,
        start_step: int,
        num_workers: int,
        timeout_s: float = 0.0,
    ) -> None:
        sampler.start_step = start_step
        self.accumulation = sampler.accumulation
        self.device = device
        self._wait_s = 0.0
        self._timeout_s = timeout_s
        self._workers: set[BaseProcess] = set()
        self._loader = DataLoader(
            KeyedDataset(dataset),
            batch_sampler=sampler,
            collate_fn=HandOver(collate),
            num_workers=num_workers,
            pin_memory=device.type == "cuda",
            persistent_workers=num_workers > 0,
            worker_init_fn=start_worker,
            timeout=timeout_s if num_workers else 0,
            # Items own their randomness; a private generator keeps the loader off the global one.
            generator=torch.Generator().manual_seed(sampler.seed),
        )

    def __enter__(self) -> Iterator[list[Batch]]:
        others = set(multiprocessing.active_children())
        try:
            source = iter(self._loader)
        finally:
            self._workers = set(multiprocessing.active_children()) - others
        return self._steps(source)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # what a dead worker looks like: torch says RuntimeError, at any moment, and its half-sent batch is a broken pipe
        is_suspect = isinstance(error, RuntimeError | OSError | EOFError)
        with unreported_deaths():
            reason = why_dead(self._workers) if is_suspect else None
            end_workers(self._workers)
        self._workers = set()
        if reason is not None:
            raise RunError(reason) from error
        if is_suspect and str(error).startswith("DataLoader timed out"):
            raise RunError(
                f"no data for {self._timeout_s:g} s: is the disk of the recordings gone? (loader_timeout_s)"
            ) from error

    def _steps(self, source: Iterator[Batch | RfcxError]) -> Iterator[list[Batch]]:
        while True:
            started = time.perf_counter()
            batches = [self._next(source) for _ in range(self.accumulation)]
            self._wait_s += time.perf_counter() - started
            yield [to_device(batch, self.device) for batch in batches]

    def take_wait_s(self) -> float:
        """Seconds the loop waited for data since the last call."""
        wait_s, self._wait_s = self._wait_s, 0.0
        return wait_s

    def _next(self, source: Iterator[Batch | RfcxError]) -> Batch:
        try:
            found = next(source)
        except (EOFError, ConnectionError) as error:  # half a batch, of a worker that may live on
            if not self._workers:
                raise
            with unreported_deaths():
                raise RunError(why_dead(self._workers) or NOT_HANDED_OVER) from error
        if isinstance(found, RfcxError):
            raise found
        return found


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on ``device``; copies from pinned memory do not block."""
    return type(batch)(*(value.to(device, non_blocking=True) for value in batch))
