"""What a user wants of detection."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rfcx_ssl.detection.assemble import Tables
from rfcx_ssl.detection.work import Job

AS_CSV = Tables()


@dataclass(frozen=True)
class DetectRequest:
    """What to listen to, and what to write."""

    sources: Sequence[str]
    job: Job
    lists: Sequence[str] = ()
    tables: Tables = AS_CSV
    workers: int = 1
    dask: str | None = None
    redo: bool = False
    summarize: Callable[[Path], object] = lambda _: None  # told the folder when its tables are written
