"""Embeddings in the database of perch-hoplite (``pip install perch-hoplite``), to be searched by it."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.writers.base import Writer
from rfcx_ssl.detection.writers.tables import windows_of
from rfcx_ssl.errors import require_extra

MODULE = "perch_hoplite.db.sqlite_usearch_impl"
DATASET = "rfcx-ssl"  # hoplite's project, of which the model is the deployment


class HopliteDatabase(Writer):
    """A folder with hoplite's SQLite file and search index (float16, which hoplite keeps in memory while it grows).

    Recordings are there by name, windows by their offsets in seconds; ``model`` is the deployment they belong to.
    """

    def __init__(self, folder: Path, window_s: float, dim: int, model: str) -> None:
        self._hoplite = require_extra(MODULE)
        self._folder, self._window_s, self._dim, self._model = folder, window_s, dim, model
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        config = self._hoplite.get_default_usearch_config(self._dim)
        self._database: Any = self._hoplite.SQLiteUSearchDB.create(str(self._folder), config)
        self._stack.callback(self._database.db.close)
        self._deployment = self._database.insert_deployment(name=self._model, project=DATASET)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if kind is None:
                self._database.commit()

    def add(self, result: Result) -> None:
        """Append the recording's windows; one that has none is left out."""
        vectors = result.arrays.get("embeddings")
        if vectors is None:
            return
        recording = self._database.insert_recording(filename=result.recording, deployment_id=self._deployment)
        for (start_s, end_s), vector in zip(windows_of(result, self._window_s), vectors, strict=True):
            self._database.insert_window(recording, [start_s, end_s], vector, handle_duplicates="allow")
