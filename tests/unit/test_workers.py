import importlib
import sys
from concurrent.futures.process import BrokenProcessPool

import pytest

from rfcx_ssl.errors import ManifestError, MissingExtraError
from rfcx_ssl.workers import SerialExecutor, Workers, open_workers, this_process


def double(values):
    return [2 * value for value in values]


def fail(values):
    raise ValueError(f"task {values}")


# Negative values end the process at once, as a crashing decoder does; a module, because other processes import it.
DEADLY = """
import os
from pathlib import Path

ONCE = Path(__file__).with_name("once")

def double_or_die(values):
    if min(values) < 0:
        os._exit(1)
    if 0 in values and (len(values) > 1 or not ONCE.exists()):  # alone it dies once, then never again
        if len(values) == 1:
            ONCE.touch()
        os._exit(1)
    return [2 * value for value in values]
"""


def blame(value):
    return f"{value} kills"


def one_by_one(values):
    return ([value] for value in values)


class CountingExecutor(SerialExecutor):
    """Remembers how many results were handed out but not yet taken."""

    def __init__(self):
        self.submitted = 0

    def submit(self, fn, /, *args, **kwargs):
        self.submitted += 1
        return super().submit(fn, *args, **kwargs)


def test_every_task_is_run_once_and_few_wait():
    executor, taken = CountingExecutor(), 0
    results = []
    for result in Workers(executor, 5).run(double, one_by_one(range(1_000)), blame):
        results += result
        taken += 1
        assert executor.submitted - taken <= 5
    assert sorted(results) == [2 * value for value in range(1_000)]


def test_no_tasks_give_no_results():
    assert list(this_process().run(double, [], blame)) == []


def test_an_exception_in_a_task_reaches_the_caller():
    with pytest.raises(ValueError, match="task"):
        list(this_process().run(fail, [[1], [2]], blame))


def test_what_kills_its_process_is_blamed_and_the_rest_is_done(tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.syspath_prepend(tmp_path)
    double_or_die = importlib.import_module("deadly").double_or_die
    batches = [[1, 2], [3, -4, 5], [6], [-7], [8, 0, 9]] + [[value] for value in range(10, 30)]
    with open_workers(2) as workers:
        results = [result for batch in workers.run(double_or_die, batches, blame) for result in batch]
    assert sorted(r for r in results if isinstance(r, str)) == ["-4 kills", "-7 kills"]
    sound = {value for batch in batches for value in batch if value >= 0}
    assert sorted(r for r in results if not isinstance(r, str)) == sorted(2 * value for value in sound)


def test_nothing_is_blamed_where_no_process_can_start(monkeypatch):
    monkeypatch.setattr("rfcx_ssl.workers.ProcessPoolExecutor", BrokenPool)
    with pytest.raises(ManifestError, match="die at their start"), open_workers(2) as workers:
        list(workers.run(double, [[1], [2]], blame))


class BrokenPool(SerialExecutor):
    """Every process of it is dead on arrival."""

    def __init__(self, workers, mp_context, initializer):
        pass

    def submit(self, fn, /, *args, **kwargs):
        raise BrokenProcessPool


def test_a_missing_or_silent_cluster_is_said(monkeypatch):
    monkeypatch.setattr("rfcx_ssl.workers.CONNECT_TIMEOUT_S", 0.5)
    with pytest.raises(ManifestError, match="no scheduler answers"), open_workers(2, "tcp://127.0.0.1:1"):
        pass
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"rfcx-ssl\[cluster\]"), open_workers(2, "tcp://127.0.0.1:1"):
        pass
