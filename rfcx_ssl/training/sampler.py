"""Which crops an optimizer step sees: a pure function of (seed, step), so resuming is starting at a step."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from torch.utils.data import Dataset, Sampler

from rfcx_ssl.errors import ConfigError, RfcxError, RunError, first_line

Key = tuple[int, int]  # (epoch, index)


class EpochDataset(Protocol):
    """A map-style data set whose items are a function of (seed, epoch, index)."""

    def __len__(self) -> int:
        """Number of items per epoch."""
        ...

    def __getitem__(self, index: int) -> Any:  # noqa: ANN401 - whatever collate takes
        """One item of the current epoch."""
        ...

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the items that follow."""
        ...


class KeyedDataset(Dataset[Any]):
    """Answers (epoch, index): worker processes need no message at an epoch's end, and a batch may span two epochs."""

    def __init__(self, dataset: EpochDataset) -> None:
        self.dataset = dataset
        self.epoch: int | None = None

    def __getitems__(self, keys: list[Key]) -> list[Any] | RfcxError:
        """The items of a batch, or what the first broken one met: an error in a worker is the loop's to raise."""
        try:
            return [self[key] for key in keys]
        except RfcxError as error:
            return error
        except (OSError, MemoryError) as error:
            return RunError(f"a training crop cannot be made: {first_line(error)}")

    def __getitem__(self, key: Key) -> Any:  # noqa: ANN401 - whatever collate takes
        epoch, index = key
        if epoch != self.epoch:
            self.dataset.set_epoch(epoch)
            self.epoch = epoch
        return self.dataset[index]

    def __len__(self) -> int:
        return len(self.dataset)


class StepSampler(Sampler[list[Key]]):
    """Micro-batches of one process, without end, from optimizer step ``start_step`` on.

    The crops of all epochs form one stream, each epoch in its own order. Step ``s`` takes items
    ``[s * batch_size, (s + 1) * batch_size)`` of it, whatever the number of processes; the process ``rank`` of
    ``num_processes`` gets its slice, cut into ``accumulation`` micro-batches.
    """

    def __init__(
        self, *, num_items: int, batch_size: int, accumulation: int, rank: int, num_processes: int, seed: int
    ) -> None:
        if batch_size % (num_processes * accumulation):
            raise ConfigError(
                f"batch_size={batch_size} must be a multiple of processes x accumulation"
                f" = {num_processes} x {accumulation}"
            )
        if num_items < 1:
            raise ConfigError("data: the training part of this fold holds no crops")
        self.num_items = num_items
        self.batch_size = batch_size
        self.accumulation = accumulation
        self.rank = rank
        self.num_processes = num_processes
        self.seed = seed
        self.start_step = 0
        self._orders: dict[int, np.ndarray] = {}

    def keys_of_step(self, step: int) -> list[Key]:
        """The (epoch, index) keys of the whole global batch of optimizer step ``step``."""
        start = step * self.batch_size
        return [self._key(position) for position in range(start, start + self.batch_size)]

    def __iter__(self) -> Iterator[list[Key]]:
        step = self.start_step
        parts = self.num_processes * self.accumulation
        size = self.batch_size // parts
        while True:
            keys = self.keys_of_step(step)
            for micro in range(self.accumulation):
                first = (micro * self.num_processes + self.rank) * size
                yield keys[first : first + size]
            step += 1

    def _key(self, position: int) -> Key:
        epoch, offset = divmod(position, self.num_items)
        if epoch not in self._orders:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.num_items)
            self._orders = {e: o for e, o in self._orders.items() if e >= epoch - 1} | {epoch: order}
        return epoch, int(self._orders[epoch][offset])


def accumulation_steps(batch_size: int, micro_batch_size: int | None, num_processes: int) -> int:
    """Micro-batches per optimizer step: the fewest whose share per process is at most ``micro_batch_size``."""
    share, rest = divmod(batch_size, num_processes)
    if rest:
        raise ConfigError(f"batch_size={batch_size} must be a multiple of the {num_processes} processes")
    if micro_batch_size is None or micro_batch_size >= share:
        return 1
    if share % micro_batch_size:
        raise ConfigError(
            f"micro_batch_size={micro_batch_size} must divide the {share} crops per process"
            f" (batch_size={batch_size} over {num_processes} processes)"
        )
    return share // micro_batch_size
