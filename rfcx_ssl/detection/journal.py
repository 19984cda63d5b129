"""What an output folder knows: which recordings there are, how they are heard, and which of them were.

  listing.sqlite   the recordings in their order, which never changes; new ones come behind
  plan.json        the model, the settings and the species; a folder holds results of one plan
  parts/           ``000012.parquet``: the results of part 12, at most 64 recordings that follow each other. While it is in
                   work, ``000012/``: a file for each group of them that was heard
  lock             held (shared) by whoever hears, alone by whoever lists

Every file is complete and on the disk before it has its name, so that a kill, a full disk or a power cut costs the group that
was being heard. Processes of one or many machines share the work through locks on single bytes of one file, which
the kernel gives back when a process dies; a network file system must keep POSIX locks (NFS 4 and Lustre with flock do).
"""

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from rfcx_ssl.detection.full_disk import may_be_full
from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.rows import join_rows, read_rows, unreachable_rows, write_rows
from rfcx_ssl.errors import RunError, first_line
from rfcx_ssl.files import atomic_path, remove_leftovers, write_text
from rfcx_ssl.species.table import SpeciesTable

PART_RECORDINGS = 64
FORMAT = "rfcx-ssl detection/2"
POLL_S = 0.5
FOLDER_BYTE = 0  # of the lock file: the folder itself; part k is byte 2 + k
TABLES_BYTE = 1


class OtherFormatError(RunError):
    """A plan of another version of this program."""


@dataclass(frozen=True, slots=True)
class Part:
    """Recordings [first, first + count) of the listing."""

    number: int
    first: int
    count: int


class Journal:
    """The journal of one output folder; :func:`rfcx_ssl.detection.open_journal.open_journal` locks it."""

    def __init__(self, out: Path, lock: int) -> None:
        self.out, self._lock = out, lock
        self.folder = out / "journal"
        self.parts_folder = self.folder / "parts"

    @property
    def listing_path(self) -> Path:
        """The listing of the folder's recordings."""
        return self.folder / "listing.sqlite"

    # ---- the plan

    def read_plan(self) -> dict[str, Any] | None:
        """The plan of the folder; None where there is none yet.

        Raises:
            OtherFormatError: another version of this program made it.
            RunError: it cannot be read.
        """
        path = self.folder / "plan.json"
        try:
            plan = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(
                f"{path}: cannot be read ({first_line(error)}); remove {self.folder} to start again"
            ) from None
        if not isinstance(plan, dict) or plan.get("format") != FORMAT:
            raise OtherFormatError(
                f"{path}: its format is not {FORMAT!r}; choose another --out, or start again with --redo"
            )
        numbers: list[Any] = [*plan["runs"], plan.get("total")] if isinstance(plan.get("runs"), list) else [None]
        if not all(type(number) is int and number >= 0 for number in numbers) or numbers != sorted(numbers):
            raise RunError(f"{path}: is damaged (runs, total); remove {self.folder} to start again")
        return plan

    def plan(self) -> dict[str, Any]:
        """The plan of a folder that was prepared."""
        plan = self.read_plan()
        if plan is None:
            raise RunError(f"{self.folder}: has no plan; start again")
        return plan

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """Replace the plan, durably."""
        text = json.dumps({"format": FORMAT, **plan}, indent=1, ensure_ascii=False)
        write_text(self.folder / "plan.json", text + "\n", durable=True)

    def remove_leftovers(self) -> None:
        """Remove what processes that were killed had half written."""
        for folder in (self.out, self.folder, self.parts_folder, *self.parts_folder.glob("[0-9]*/")):
            remove_leftovers(folder)

    def forget(self) -> None:
        """Drop all results and the plan; the tables stay until new ones replace them."""
        self._change()
        for path in (
            self.folder / "plan.json",
            self.listing_path,
        ):  # a kill from here on: there is no plan, so all goes
            path.unlink(missing_ok=True)
        shutil.rmtree(self.parts_folder, ignore_errors=True)
        self.parts_folder.mkdir(exist_ok=True)

    # ---- whether the tables tell all

    @property
    def untold(self) -> bool:
        """Whether results have come, or gone, since tables were written."""
        return (self.folder / "untold").exists()

    def told(self) -> None:
        """The tables hold all results."""
        (self.folder / "untold").unlink(missing_ok=True)

    def _change(self) -> None:
        (self.folder / "untold").touch()

    # ---- parts

    def sealed(self, part: Part) -> bool:
        """Whether all of a part was heard."""
        return self._sealed_path(part).exists()

    def heard(self, part: Part) -> int:
        """How many of a part's recordings were heard, from its first on."""
        if self.sealed(part):
            return part.count
        groups = self._groups(part)
        return groups[-1].stop - part.first if groups else 0

    def add_group(self, part: Part, results: Sequence[Result]) -> None:
        """Keep the results of recordings that follow what was heard of the part."""
        self._change()
        if any(result.unreachable for result in results):
            self._unreached_mark(part).touch()
        name = f"{results[0].index:09d}-{results[-1].index + 1:09d}.parquet"
        with self._writing(self._work_folder(part) / name) as temporary:
            write_rows(results, temporary)

    def seal(self, part: Part) -> None:
        """All of the part was heard: its groups become one file."""
        groups = self._groups(part)
        assert self.heard(part) == part.count, f"part {part.number} is not heard whole"
        with self._writing(self._sealed_path(part)) as temporary:
            join_rows([group.path for group in groups], temporary)
        self._drop_groups(part)

    def unreached(self, parts: Sequence[Part]) -> list[Part]:
        """Parts with a recording that was not there, or whose disk did not answer; :meth:`lost` says which."""
        marked = {int(path.stem) for path in self.parts_folder.glob("*.unreached")}
        return [part for part in parts if part.number in marked]

    def lost(self, part: Part) -> list[int]:
        """Places in the listing of a part's recordings that could not be reached."""
        return [index for file in self._files(part) for index in unreachable_rows(file)]

    def kept(self, part: Part, species: SpeciesTable) -> Iterator[Result]:
        """What was heard of a part so far."""
        for file in self._files(part):
            yield from read_rows(file, species)

    def reopen(self, part: Part) -> None:
        """Forget what was heard of a part; a kill leaves all of it, or nothing and perhaps its mark."""
        self._change()
        self._drop_groups(part)
        self._sealed_path(part).unlink(missing_ok=True)
        self._unreached_mark(part).unlink(missing_ok=True)

    def results(self, parts: Sequence[Part], species: SpeciesTable) -> Iterator[Result]:
        """All results of sealed parts in the order of the listing."""
        for part in parts:
            yield from read_rows(self._sealed_path(part), species)

    @contextmanager
    def claim(self, part: Part) -> Iterator[bool]:
        """Try to take a part, so that no other process works on it; whether it is ours now."""
        with self._byte(2 + part.number, wait=False) as mine:
            yield mine

    def take_each(self, parts: Sequence[Part]) -> Generator[Part]:
        """Parts that are not sealed and nobody else works on, claimed while they are out, until all parts are sealed.

        Where the rest is in work elsewhere this waits: a process that dies leaves its part to the others.
        """
        left = list(parts)
        while left := [part for part in left if not self.sealed(part)]:
            taken = False
            for part in left:
                with self.claim(part) as mine:
                    if mine and not self.sealed(part):
                        taken = True
                        yield part
            if not taken:
                time.sleep(POLL_S)

    # ---- locks

    @contextmanager
    def tables(self) -> Iterator[None]:
        """Be the only process that writes tables; waits for another one."""
        with self._byte(TABLES_BYTE, wait=True):
            yield

    @contextmanager
    def _byte(self, byte: int, *, wait: bool) -> Iterator[bool]:
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), 1, byte)
        except (BlockingIOError, PermissionError):
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN, 1, byte)

    # ---- files

    def _sealed_path(self, part: Part) -> Path:
        return self.parts_folder / f"{part.number:06d}.parquet"

    def _unreached_mark(self, part: Part) -> Path:
        return self.parts_folder / f"{part.number:06d}.unreached"

    def _files(self, part: Part) -> list[Path]:
        return [self._sealed_path(part)] if self.sealed(part) else [group.path for group in self._groups(part)]

    def _work_folder(self, part: Part) -> Path:
        return self.parts_folder / f"{part.number:06d}"

    def _groups(self, part: Part) -> list["_Group"]:
        """Groups that were heard, as they follow each other from the part's first recording on."""
        found, stop = [], part.first
        folder = self._work_folder(part)
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            match = re.fullmatch(r"(\d{9})-(\d{9})\.parquet", path.name)
            if match and int(match[1]) == stop:
                stop = int(match[2])
                found.append(_Group(path, stop))
        return found

    def _drop_groups(self, part: Part) -> None:
        """All groups of a part at once: half of them must never be taken for what was heard."""
        folder = self._work_folder(part)
        gone = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")  # a leftover, for remove_leftovers
        if folder.is_dir():
            folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    @contextmanager
    def _writing(self, path: Path) -> Iterator[Path]:
        """A durable file."""
        with may_be_full(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path, durable=True) as temporary:
                yield temporary


@dataclass(frozen=True, slots=True)
class _Group:
    path: Path
    stop: int  # index behind its last recording


def parts_of(plan: Mapping[str, Any]) -> list[Part]:
    """Parts of the ``total`` recordings of a plan; those that a run of the command added (``runs``: the index of the first of
    each) start a new one, so that no part ever grows.
    """
    parts: list[Part] = []
    for first, stop in pairwise([*plan["runs"], plan["total"]]):
        for start in range(first, stop, PART_RECORDINGS):
            parts.append(Part(len(parts), start, min(PART_RECORDINGS, stop - start)))
    return parts
