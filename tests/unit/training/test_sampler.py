"""The stream of crops: the same global batches for any number of processes, from any step on."""

from itertools import chain, islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.errors import AudioError, ConfigError, RunError
from rfcx_ssl.training.sampler import KeyedDataset, StepSampler, accumulation_steps


def micro_batches(steps, start=0, **arguments):
    sampler = StepSampler(**arguments)
    sampler.start_step = start
    return list(islice(sampler, steps * arguments["accumulation"]))


@settings(deadline=None, max_examples=25)
@given(
    num_items=st.integers(1, 30),
    share=st.integers(1, 3),
    processes=st.integers(1, 4),
    accumulation=st.integers(1, 3),
    start=st.integers(0, 20),
)
def test_processes_and_micro_batches_divide_the_global_batch(num_items, share, processes, accumulation, start):
    batch_size = share * processes * accumulation
    common = {"num_items": num_items, "batch_size": batch_size, "seed": 3}
    whole = micro_batches(4, start, rank=0, num_processes=1, accumulation=1, **common)
    parts = [
        micro_batches(4, start, rank=rank, num_processes=processes, accumulation=accumulation, **common)
        for rank in range(processes)
    ]
    for step, keys in enumerate(whole):
        mine = [part[step * accumulation + micro] for micro in range(accumulation) for part in parts]
        assert list(chain.from_iterable(mine)) == keys
        assert all(len(micro) == share for micro in mine)


@settings(deadline=None, max_examples=25)
@given(num_items=st.integers(1, 30), batch_size=st.integers(1, 40), start=st.integers(0, 9))
def test_starting_late_is_skipping(num_items, batch_size, start):
    arguments = dict(num_items=num_items, batch_size=batch_size, accumulation=1, rank=0, num_processes=1, seed=1)
    assert micro_batches(5, start, **arguments) == micro_batches(start + 5, **arguments)[start:]


def test_every_epoch_is_a_permutation_of_its_own():
    batches = micro_batches(9, num_items=6, batch_size=4, accumulation=1, rank=0, num_processes=1, seed=0)
    keys = list(chain.from_iterable(batches))
    orders = [[index for epoch, index in keys if epoch == e] for e in range(6)]
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert len({tuple(order) for order in orders}) > 3
    assert orders[2] == list(np.random.default_rng([0, 2]).permutation(6))


def test_keyed_dataset_sets_the_epoch():
    class Data:
        epoch = 0

        def __len__(self):
            return 5

        def set_epoch(self, epoch):
            self.epoch = epoch

        def __getitem__(self, index):
            return self.epoch, index

    data = KeyedDataset(Data())
    keys = [(3, 1), (3, 0), (4, 1), (3, 2)]
    assert [data[key] for key in keys] == keys


class Failing:
    """Four items; the third cannot be made, for a reason that a test chooses."""

    def __init__(self, error):
        self.error = error
        self.epochs = []

    def __len__(self):
        return 4

    def set_epoch(self, epoch):
        self.epochs.append(epoch)

    def __getitem__(self, index):
        if index == 2:
            raise self.error
        return index


def test_items_come_as_a_batch_and_an_epoch_is_set_once():
    inner = Failing(AudioError("a.flac: is broken"))
    data = KeyedDataset(inner)
    assert data.__getitems__([(0, 1), (0, 3), (1, 0), (1, 1)]) == [1, 3, 0, 1]
    assert inner.epochs == [0, 1]
    assert len(data) == 4


def test_what_breaks_a_batch_is_answered_and_only_a_bug_is_raised():
    error = AudioError("a.flac: is broken")
    assert KeyedDataset(Failing(error)).__getitems__([(0, 1), (0, 2)]) is error
    for foreign in (OSError("disk gone\nmore"), MemoryError("none left")):
        answer = KeyedDataset(Failing(foreign)).__getitems__([(0, 2)])
        assert type(answer) is RunError
        assert str(answer) == f"a training crop cannot be made: {str(foreign).splitlines()[0]}"
    with pytest.raises(ZeroDivisionError):
        KeyedDataset(Failing(ZeroDivisionError())).__getitems__([(0, 2)])


def test_orders_of_epochs_that_are_over_are_forgotten():
    sampler = StepSampler(num_items=3, batch_size=4, accumulation=1, rank=0, num_processes=1, seed=0)
    list(islice(sampler, 50))
    assert len(sampler._orders) <= 3  # of about 66 epochs


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_items": 0}, "holds no crops"),
        ({"batch_size": 10}, "batch_size=10 must be a multiple of .* = 2 x 3"),
        ({"batch_size": 9}, "batch_size=9 must be a multiple of .* = 2 x 3"),
    ],
)
def test_a_stream_that_cannot_be_is_refused(changed, message):
    right = dict(num_items=1, batch_size=12, accumulation=3, rank=0, num_processes=2, seed=0)
    StepSampler(**right)
    with pytest.raises(ConfigError, match=message):
        StepSampler(**right | changed)


@pytest.mark.parametrize(
    ("batch", "micro", "processes", "expected"), [(32, None, 4, 1), (32, 8, 4, 1), (32, 4, 4, 2), (32, 100, 1, 1)]
)
def test_accumulation_follows_from_sizes(batch, micro, processes, expected):
    assert accumulation_steps(batch, micro, processes) == expected


@pytest.mark.parametrize(("batch", "micro", "processes"), [(30, None, 4), (32, 3, 1)])
def test_sizes_that_do_not_divide_are_refused(batch, micro, processes):
    with pytest.raises(ConfigError, match="must"):
        accumulation_steps(batch, micro, processes)
