"""Read a foreign PyTorch file without running anything stored in it.

``torch.load(weights_only=True)`` builds tensors and plain containers and refuses every other class. Old checkpoints
hold more: sampler states, settings objects. The names a reader lists are let in, each replaced by :class:`Record`,
which keeps what was stored and calls nothing; any other name stops the load.
"""

import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from rfcx_ssl.errors import CheckpointError, first_line

# numbers and arrays that NumPy pickled, by its old names and its new ones
NUMPY_NAMES = (
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.ndarray",
    "numpy.dtype",
)
NUMPY_PATTERN = r"numpy\.dtypes\.\w+"

# what a file that is anything else makes of torch's reader
_UNREADABLE = (
    AssertionError, AttributeError, EOFError, ImportError, IndexError, KeyError, MemoryError, OSError, OverflowError,
    RuntimeError, TypeError, ValueError, pickle.UnpicklingError, struct.error, zipfile.BadZipFile,
)  # fmt: skip


class Record:
    """Inert stand-in for a foreign object in a pickle: remembers arguments and state, runs nothing."""

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - whatever the pickle holds
        self.args = args
        self.state: Any = None
        self.items: dict[Any, Any] = {}

    def __setstate__(self, state: Any) -> None:  # noqa: ANN401
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:  # noqa: ANN401
        self.items[key] = value


def load_inert(path: Path, source: str, names: Iterable[str] = (), pattern: str = NUMPY_PATTERN) -> Any:  # noqa: ANN401
    """Content of a PyTorch file on the CPU: tensors, plain containers, and :class:`Record` for each known name.

    Args:
        path: the file.
        source: how errors name it (a path, or ``key=path``).
        names: dotted names that are let in, beside NumPy's.
        pattern: names that are let in, too, as a regular expression; only zip files (torch 1.6 and later) list theirs.

    Raises:
        CheckpointError: there is no such file, it cannot be read, or it asks for another name.
    """
    if not path.is_file():
        raise CheckpointError(f"{source}: no such file")
    allowed = {*NUMPY_NAMES, *names}
    try:
        if zipfile.is_zipfile(path):
            wanted = set(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
            allowed |= {name for name in wanted if re.fullmatch(pattern, name)}
            if wanted - allowed:
                raise CheckpointError(f"{source}: refuses to load, it asks for {', '.join(sorted(wanted - allowed))}")
        inert: list[Any] = [(Record, name) for name in sorted(allowed)]
        with torch.serialization.safe_globals(inert), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's advice about files that are then refused
            return torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise CheckpointError(f"{source}: not a readable PyTorch file ({first_line(error)[:200]})") from None
