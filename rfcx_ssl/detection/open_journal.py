"""The journal of an output folder for one process of many: who comes first prepares it, the others join."""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rfcx_ssl.detection.journal import FOLDER_BYTE, Journal
from rfcx_ssl.errors import RunError

_joining = threading.Lock()
_joined: dict[Path, tuple[int, int]] = {}  # of this process: the open lock of a folder, and how many use it


@contextmanager
def open_journal(out: Path, prepare: Callable[[Journal], None], check: Callable[[Journal], None]) -> Iterator[Journal]:
    """The journal of ``out``, which this process shares with others that hear for the same folder.

    The first of them ``prepare``s it (lists, plans) while it is alone; one that joins others ``check``s that they do what
    it would.

    Raises:
        RunError: the folder cannot be written.
    """
    try:
        (out / "journal" / "parts").mkdir(parents=True, exist_ok=True)
        lock = os.open(out / "journal" / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise RunError(f"--out {out}: cannot be written ({error.strerror})") from None
    journal = Journal(out, lock)
    try:
        if _try(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
            prepare(journal)
            fcntl.lockf(lock, fcntl.LOCK_SH, 1, FOLDER_BYTE)
        else:
            fcntl.lockf(lock, fcntl.LOCK_SH, 1, FOLDER_BYTE)
            check(journal)
        yield journal
    finally:
        os.close(lock)


@contextmanager
def joined_journal(out: Path) -> Iterator[Journal]:
    """The journal of ``out``, for a worker of a process that opened it.

    Threads of one process (a worker of Dask has several) share the open lock: whoever closes a file gives back all locks on
    it that his process holds, those of the other threads too.
    """
    with _joining:
        lock, users = _joined.get(out) or (os.open(out / "journal" / "lock", os.O_RDWR), 0)
        _joined[out] = lock, users + 1
    try:
        fcntl.lockf(lock, fcntl.LOCK_SH, 1, FOLDER_BYTE)
        yield Journal(out, lock)
    finally:
        with _joining:
            lock, users = _joined.pop(out)
            if users > 1:
                _joined[out] = lock, users - 1
            else:
                os.close(lock)


def _try(lock: int, kind: int) -> bool:
    try:
        fcntl.lockf(lock, kind, 1, FOLDER_BYTE)
    except (BlockingIOError, PermissionError):
        return False
    return True
