"""The choice of threads and workers, on faked affinity, control groups and processor counters."""

import json
import os
import subprocess
import sys

import pytest
import torch

from rfcx_ssl import threads
from rfcx_ssl.threads import (
    busy_cores,
    choose_threads,
    choose_workers,
    free_cores,
    measure_threads,
    usable_cores,
    use_threads,
)


class Machine:
    """A root folder with what Linux says; counters move on while a sample is taken."""

    def __init__(self, root, monkeypatch):
        self.root, self.cores, self.loads = root, 0, {}
        self.elapsed, self.seconds_slept = 0, 0.0
        self.monkeypatch = monkeypatch
        monkeypatch.setattr(threads.time, "sleep", self.sleep)
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.setattr(threads.os, "getloadavg", lambda: pytest.fail("the counters were enough"))

    def has(self, cores, affinity=None, busy=()):
        """``cores`` cores of which ``affinity`` are ours; those in ``busy`` are at work for the given share of time."""
        mine = set(range(cores)) if affinity is None else set(affinity)
        self.monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: mine)
        self.cores, self.loads = cores, dict(busy)
        self.write()

    def write(self):
        lines = ["cpu 1 2 3 4 5 6 7 8 0 0"]
        for core in range(self.cores):
            work = round(self.loads.get(core, 0) * self.elapsed)
            # user nice system idle iowait irq softirq steal guest guest_nice: guest is part of user
            lines.append(f"cpu{core} {1000 + work} 5 50 {70 + self.elapsed - work} 9 3 2 1 400 0")
        self.file("proc/stat", "\n".join([*lines, "intr 12345 0 1", "ctxt 99"]))

    def sleep(self, seconds):
        self.seconds_slept += seconds
        self.elapsed += round(seconds * 1000)
        self.write()

    def file(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)


def test_affinity_limits(machine):
    machine.has(64, affinity={3, 5, 60})
    assert usable_cores(machine.root) == 3


@pytest.mark.parametrize(
    "group,files,cores",
    [
        ("0::/", {"cpu.max": "300000 100000"}, 3),
        ("0::/", {"cpu.max": "150000 100000"}, 1),  # one and a half: a second thread would be held up
        ("0::/", {"cpu.max": "50000 100000"}, 1),
        ("0::/", {"cpu.max": "max 100000"}, 8),
        ("0::/", {}, 8),
        ("0::/job/step", {"job/step/cpu.max": "max 100000", "job/cpu.max": "200000 100000"}, 2),  # the parent's limit
        ("0::/docker/abc", {"cpu.max": "400000 100000"}, 4),  # the container sees its own group as the root
        ("4:cpu,cpuacct:/", {"cpu,cpuacct/cpu.cfs_quota_us": "250000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 2),
        ("4:cpu:/a", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, 8),
        ("4:cpu:/a", {"cpu/cpu.cfs_quota_us": "600000", "cpu/cpu.cfs_period_us": "100000"}, 6),
        ("3:cpuset:/a\n2:memory:/", {"cpuset/a/cpu.cfs_quota_us": "1", "cpuset/a/cpu.cfs_period_us": "1"}, 8),
    ],
)
def test_quotas_of_both_generations_of_control_groups(machine, group, files, cores):
    machine.has(8)
    machine.file("proc/self/cgroup", group)
    for name, text in files.items():
        machine.file(f"sys/fs/cgroup/{name}", text)
    assert usable_cores(machine.root) == cores


def test_load_of_other_processes_is_seen_on_our_cores_only(machine):
    machine.has(8, affinity={0, 1, 2, 3}, busy={0: 1.0, 1: 0.5, 6: 1.0, 7: 1.0})
    assert busy_cores(machine.root) == pytest.approx(1.5, abs=0.02)
    assert free_cores(machine.root) == 2  # 2.5 are idle
    machine.has(8, busy={core: 1.0 for core in range(8)})
    assert free_cores(machine.root) == 1


def test_a_quota_and_a_load_do_not_add_up(machine):
    machine.has(64, busy={core: 1.0 for core in range(50)})
    machine.file("proc/self/cgroup", "0::/")
    machine.file("sys/fs/cgroup/cpu.max", "600000 100000")
    assert free_cores(machine.root) == 6  # 14 are idle, 6 are granted


@pytest.mark.parametrize("counters", [None, "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0"])
def test_without_counters_the_load_average_counts(machine, monkeypatch, counters):
    machine.has(8)
    monkeypatch.setattr(threads.time, "sleep", lambda _: None)
    monkeypatch.setattr(threads.os, "getloadavg", lambda: (2.6, 0.0, 0.0))
    (machine.root / "proc" / "stat").unlink()
    if counters:
        machine.file("proc/stat", counters)
    assert free_cores(machine.root) == 5


@pytest.mark.parametrize("cores,busy,chosen", [(1, 0, 1), (2, 0, 1), (3, 0, 1), (4, 0, 2), (6, 2, 2), (16, 0, 4), (16, 11, 2), (64, 64, 1)])  # fmt: skip
def test_half_of_what_is_free_and_four_at_most(machine, cores, busy, chosen):
    machine.has(cores, busy={core: 1.0 for core in range(busy)})
    assert choose_threads(system=machine.root) == chosen


def test_a_small_machine_is_not_asked_for_its_load(machine):
    machine.has(2)
    choose_threads(system=machine.root)
    assert machine.seconds_slept == 0


@pytest.mark.parametrize("cores", [1, 2, 4, 8, 16, 64])
def test_jobs_that_start_together_and_see_no_load_fit_into_the_machine(machine, cores):
    machine.has(cores)
    assert 2 * choose_threads(system=machine.root) <= max(2, cores)
    for jobs in (2, 4, 8):
        assert jobs * choose_threads(jobs=jobs, system=machine.root) <= max(jobs, cores // 2)


def test_what_was_told_wins_then_the_environment_then_the_earlier_start(machine, monkeypatch, tmp_path):
    machine.has(16)
    run_file = tmp_path / "run.json"
    run_file.write_text(json.dumps({"cpu_threads": 3}))
    assert choose_threads(run_file=run_file, system=machine.root) == 3
    assert choose_threads(run_file=tmp_path / "none.json", system=machine.root) == 4
    machine.has(2)
    assert choose_threads(run_file=run_file, system=machine.root) == 2  # resumed on a smaller machine
    monkeypatch.setenv("OMP_NUM_THREADS", "7,2")
    assert choose_threads(run_file=run_file, system=machine.root) == 7
    assert choose_threads(5, run_file=run_file, system=machine.root) == 5
    for nonsense in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", nonsense)
        assert choose_threads(system=machine.root) == 1


def test_workers_take_every_free_core(monkeypatch):
    monkeypatch.setattr(threads, "free_cores", lambda: 6)
    assert choose_workers() == 6
    assert choose_workers(9) == 9


def test_torch_gets_what_was_chosen(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    try:
        assert use_threads(2) == torch.get_num_threads() == 2
        assert use_threads() == torch.get_num_threads() == 1
        assert measure_threads((2,), seconds=0.01)[2] > 0
        assert torch.get_num_threads() == 1  # measuring leaves no trace
    finally:
        torch.set_num_threads(before)


def test_importing_changes_nothing_and_a_program_lets_idle_threads_sleep():
    program = (
        "import os; before = dict(os.environ)\n"
        "import rfcx_ssl.threads, rfcx_ssl.program as program\n"
        "assert dict(os.environ) == before\n"
        "program.run_program(lambda: __import__('torch'))\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    for policy, shown in ((None, "PASSIVE"), ("ACTIVE", "ACTIVE")):
        chosen = {"OMP_WAIT_POLICY": policy} if policy else {}
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment | chosen | {"OMP_DISPLAY_ENV": "true"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        if "OPENMP DISPLAY ENVIRONMENT" in done.stderr:  # what the OpenMP that torch loaded has understood
            assert f"OMP_WAIT_POLICY = '{shown}'" in done.stderr
