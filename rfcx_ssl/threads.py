"""How many cores a program uses: one rule for every command.

In this order: what the command was told (``threads``, ``--threads``), ``OMP_NUM_THREADS``, what an earlier start of the
same run used (so that a resumed run adds in the same order), and else half of the cores that are free, four at most.
Free are the cores that affinity and container quota leave, less those that other processes keep busy. Half, because jobs
that start together do not see each other yet, because data loading wants cores too, and because a model of a few million
parameters gains little from a second thread: two jobs of one thread are done sooner than two jobs of two in turn.
"""

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

MAX_CHOSEN = 4
SAMPLE_S = 0.2
SYSTEM = Path("/")
Ticks = dict[int, tuple[int, int]]


def usable_cores(system: Path = SYSTEM) -> int:
    """Cores that this process may use: the affinity that a scheduler gave it, and its container's quota."""
    quota = _quota(system)
    cores = len(_affinity())
    return cores if quota is None else max(1, min(cores, int(quota)))


def free_cores(system: Path = SYSTEM) -> int:
    """Usable cores less those that other processes keep busy now, at least 1; looks for 0.2 s."""
    usable = usable_cores(system)
    if usable == 1:
        return 1
    idle = len(_affinity()) - busy_cores(system)
    return max(1, min(usable, round(idle)))


def busy_cores(system: Path = SYSTEM) -> float:
    """Cores of this process's affinity that are at work while it waits; the system's load where cores are not counted."""
    cores = _affinity()
    before = _core_ticks(system, cores)
    time.sleep(SAMPLE_S)
    after = _core_ticks(system, cores)
    total = sum(after[core][1] - before[core][1] for core in after.keys() & before.keys())
    if total <= 0:  # no /proc/stat, or one that stands still (some sandboxes)
        return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    busy = sum(after[core][0] - before[core][0] for core in after.keys() & before.keys())
    return len(cores) * busy / total


def choose_threads(
    asked: int | None = None, *, run_file: Path | None = None, jobs: int = 1, system: Path = SYSTEM
) -> int:
    """Threads for one process.

    Args:
        asked: what the command was told; None: the rule of this module.
        run_file: ``run.json`` of the run, whose earlier start decides where there was one.
        jobs: how many such processes start together on this machine.
        system: where ``proc`` and ``sys`` are, for tests.
    """
    told = asked or environment_threads()
    if told:
        return told
    earlier = recorded_threads(run_file) if run_file is not None else None
    if earlier:
        return min(earlier, usable_cores(system))
    if usable_cores(system) < 4 * jobs:  # half of them is one: no need to look who else is at work
        return 1
    return max(1, min(MAX_CHOSEN, free_cores(system) // (2 * jobs)))


def choose_workers(asked: int | None = None) -> int:
    """Processes, or threads, for work that needs no more than a core each: what was asked for, else one per free core."""
    return asked or free_cores()


def use_threads(asked: int | None = None, *, run_file: Path | None = None) -> int:
    """Let torch compute with :func:`choose_threads` threads; returns how many those are."""
    import torch

    threads = choose_threads(asked, run_file=run_file)
    torch.set_num_threads(threads)
    return threads


def environment_threads() -> int | None:
    """``OMP_NUM_THREADS`` (its first number), None where it is not set or is no number above 0."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdigit() and int(first) else None


def recorded_threads(run_file: Path) -> int | None:
    """``cpu_threads`` of a ``run.json``, None where there is none."""
    if not run_file.is_file():
        return None
    threads = json.loads(run_file.read_text(encoding="utf-8")).get("cpu_threads")
    return int(threads) if threads else None


def wait_passively() -> None:
    """Let idle OpenMP threads sleep instead of spinning on a core that somebody else needs; only before torch loads."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def measure_threads(counts: Iterable[int], seconds: float = 0.5) -> dict[int, float]:
    """Training steps per second of a small convolutional network with so many threads, on this machine now."""
    import torch
    from torch import nn

    before = torch.get_num_threads()
    network = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
    )  # fmt: skip
    spectrograms = torch.randn(8, 1, 125, 64)
    rates = {}
    try:
        for count in counts:
            torch.set_num_threads(count)
            network(spectrograms).square().mean().backward()  # warm up
            steps, start = 0, time.perf_counter()
            while (passed := time.perf_counter() - start) < seconds:
                network(spectrograms).square().mean().backward()
                steps += 1
            rates[count] = steps / passed
    finally:
        torch.set_num_threads(before)
    return rates


def _affinity() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def _core_ticks(system: Path, cores: set[int]) -> Ticks:
    """``(busy, all)`` clock ticks of each core since boot, from /proc/stat."""
    ticks: Ticks = {}
    for line in _read(system / "proc" / "stat").splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cores:
            user, nice, kernel, idle, iowait, *rest = map(int, fields[:8])  # guest time is part of user time
            ticks[int(name[3:])] = (user + nice + kernel + sum(rest), sum((user, nice, kernel, idle, iowait, *rest)))
    return ticks


def _quota(system: Path) -> float | None:
    """Cores' worth of time that the control groups (v2 and v1) of this process grant; None without a limit."""
    limits = []
    for line in _read(system / "proc" / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        mount = system / "sys" / "fs" / "cgroup"
        if controllers and "cpu" not in controllers.split(","):
            continue
        for folder in _with_parents(path):
            if controllers:
                period = _read(mount / controllers / folder / "cpu.cfs_period_us")
                quota = _read(mount / controllers / folder / "cpu.cfs_quota_us")
            else:
                quota, _, period = _read(mount / folder / "cpu.max").partition(" ")
            if quota.strip().isdigit() and int(period or 0):  # "max" and -1 are no limit
                limits.append(int(quota) / int(period))
    return min(limits, default=None)


def _with_parents(path: str) -> list[Path]:
    """A group and those above it, which limit it too; in a container only the last of them is there."""
    folder = Path(path.lstrip("/"))
    return [folder, *folder.parents]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
