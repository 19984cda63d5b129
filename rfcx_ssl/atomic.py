"""Files that are either whole or not there: a temporary name in the same folder, then a rename."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; it replaces ``path`` at the end, and is removed on failure."""
    final = Path(path)
    temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(final)
    except BaseException:  # an interrupt, too, must leave no half-written file; it is raised again
        temporary.unlink(missing_ok=True)
        raise
