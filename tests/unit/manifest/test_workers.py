import os
import sys

import pytest

from rfcx_ssl.errors import ManifestError, MissingExtraError
from rfcx_ssl.manifest.workers import SerialExecutor, open_executor, run_unordered


def double(value):
    return 2 * value


def fail(value):
    raise ValueError(f"task {value}")


class CountingExecutor(SerialExecutor):
    """Remembers how many results were handed out but not yet taken."""

    def __init__(self):
        self.submitted = 0

    def submit(self, fn, /, *args, **kwargs):
        self.submitted += 1
        return super().submit(fn, *args, **kwargs)


def test_every_task_is_run_once_and_few_wait():
    executor, taken = CountingExecutor(), 0
    tasks = iter(range(1_000))
    results = []
    for result in run_unordered(executor, double, tasks, in_flight=5):
        results.append(result)
        taken += 1
        assert executor.submitted - taken <= 5
    assert sorted(results) == [2 * value for value in range(1_000)]


def test_no_tasks_give_no_results():
    assert list(run_unordered(SerialExecutor(), double, [], 4)) == []


def test_an_exception_in_a_task_reaches_the_caller():
    with pytest.raises(ValueError, match="task 1"):
        list(run_unordered(SerialExecutor(), fail, [1, 2], 1))


def test_processes_run_in_other_processes():
    with open_executor(2) as executor:
        assert sorted(run_unordered(executor, abs, range(-20, 0), 4)) == list(range(1, 21))


def test_a_worker_that_dies_is_reported_with_the_way_out():
    with pytest.raises(ManifestError, match="a worker died"), open_executor(2) as executor:
        list(run_unordered(executor, os._exit, [1], 4))


def test_a_missing_or_silent_cluster_is_said(monkeypatch):
    monkeypatch.setattr("rfcx_ssl.manifest.workers.CONNECT_TIMEOUT_S", 0.5)
    with pytest.raises(ManifestError, match="no scheduler answers"), open_executor(2, "tcp://127.0.0.1:1"):
        pass
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"rfcx-ssl\[cluster\]"), open_executor(2, "tcp://127.0.0.1:1"):
        pass
