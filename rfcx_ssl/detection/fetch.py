"""A file to decode, wherever it is: decoding has to seek, so one on another machine is copied first."""

import errno
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rfcx_ssl.detection.recordings import is_url
from rfcx_ssl.detection.remote import open_url
from rfcx_ssl.errors import AudioError, first_line

#: Seconds to wait before the second, third, ... try.
PAUSES_S = (1.0, 5.0, 20.0)
_REFUSED = frozenset(range(400, 500)) - {408, 429}  # of http; a timeout and "too many requests" pass
OWN_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class UnreachableError(AudioError):
    """A file that may well be there cannot be fetched now: the network or the server failed every time."""


@contextmanager
def local_copy(path: str, folder: Path) -> Iterator[Path]:
    """A local path as it is; of a URL a copy in ``folder`` under a temporary name, removed at the end.

    What a killed process leaves in ``folder`` goes with :func:`rfcx_ssl.files.remove_leftovers`. An AudioError about the
    copy, raised inside, names the URL instead.

    Raises:
        AudioError: there is no such file, or it may not be read.
        UnreachableError: it could not be fetched, in four tries.
        OSError: this machine's disk is full.
    """
    if not is_url(path):
        yield Path(path)
        return
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=".tmp") as file:
        copy = Path(file.name)
        _fetch(path, copy)
        try:
            yield copy
        except AudioError as error:
            raise type(error)(str(error).replace(str(copy), path)) from None


def _fetch(url: str, copy: Path) -> None:
    for pause_s in (*PAUSES_S, None):
        filesystem, path = open_url(url)
        try:
            filesystem.get_file(path, str(copy))
            return
        except FileNotFoundError:
            raise AudioError(f"{url}: no such file") from None
        except Exception as error:  # every protocol has errors of its own
            if isinstance(error, OSError) and error.errno in OWN_DISK:
                raise
            if _is_final(error):
                raise AudioError(f"{url}: cannot be fetched ({first_line(error)})") from None
            if pause_s is None:
                tries = len(PAUSES_S) + 1
                raise UnreachableError(f"{url}: cannot be fetched, in {tries} tries ({first_line(error)})") from None
        time.sleep(pause_s)


def _is_final(error: Exception) -> bool:
    """Whether the server means it: no right to read, or what is wrong with the request stays wrong."""
    status = getattr(error, "status", None) or getattr(getattr(error, "response", None), "status_code", None)
    return isinstance(error, PermissionError) or (isinstance(status, int) and status in _REFUSED)
