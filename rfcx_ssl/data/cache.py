"""A copy of the audio as 16-bit samples at the model's rate, read by memory map: decoding is paid once.

Each recording is one ``.npy`` file, written under a temporary name, read back, compared and then renamed, so a
folder that several processes or interrupted runs write into is never half right. Beside it, ``<id>.json`` names the
source file (size and modification time) and the CRC of the samples: a changed source is cached again.
"""

import json
import logging
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.audio import read_audio, to_int16
from rfcx_ssl.batching import batched
from rfcx_ssl.data.recordings import Recording
from rfcx_ssl.errors import AudioError
from rfcx_ssl.files import atomic_path, write_text
from rfcx_ssl.threads import choose_workers
from rfcx_ssl.workers import DEATH, open_threads

logger = logging.getLogger(__name__)

FloatArray = NDArray[np.float32]


class AudioCache:
    """Memory-mapped int16 audio of a corpus at ``sample_rate_hz`` in ``folder``."""

    def __init__(self, folder: Path, sample_rate_hz: int) -> None:
        self.folder = folder
        self.sample_rate_hz = sample_rate_hz

    def build(self, recordings: Iterable[Recording], num_threads: int | None = None) -> int:
        """Cache what is missing or out of date, in threads (decoding releases the GIL); returns how many were."""
        stale = [recording for recording in recordings if not self.is_fresh(recording)]
        if stale:
            logger.info("caching %d recordings at %d Hz in %s", len(stale), self.sample_rate_hz, self.folder)
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with open_threads(choose_workers(num_threads)) as threads:
                    for _ in threads.run(self._write_all, batched(stale, 1), self._blame):
                        pass
            except OSError as error:
                raise AudioError(
                    f"{self.folder}: audio cannot be cached there ({error}); set data.cache_dir"
                ) from None
        return len(stale)

    def is_fresh(self, recording: Recording) -> bool:
        """Whether the cached file belongs to the recording's present source file."""
        try:
            note = json.loads(self._note_path(recording).read_text(encoding="utf-8"))
            size = self._samples_path(recording).stat().st_size
        except (OSError, json.JSONDecodeError):
            return False
        known = {key: note.get(key) for key in ("source_bytes", "source_mtime_ns", "sample_rate_hz", "num_samples")}
        return known == self._fingerprint(recording) and size == note.get("file_bytes")

    def read(self, recording: Recording, start_samples: int, num_samples: int) -> FloatArray:
        """Crop of shape (num_samples,), float32; zeros follow where the recording ends."""
        samples = self._open(self._samples_path(recording), recording.num_samples)
        crop: FloatArray = samples[start_samples : start_samples + num_samples].astype(np.float32)
        crop *= np.float32(1 / 32768)
        return np.pad(crop, (0, num_samples - len(crop))) if len(crop) < num_samples else crop

    def verify(self, recordings: Iterable[Recording]) -> list[str]:
        """Ids whose cached samples do not match their recorded CRC; empty when all is well."""
        wrong = []
        for recording in recordings:
            samples = self._open(self._samples_path(recording), recording.num_samples)
            note = json.loads(self._note_path(recording).read_text(encoding="utf-8"))
            if _crc32(samples) != note["crc32"]:
                wrong.append(recording.recording_id)
        return wrong

    def _write_all(self, recordings: list[Recording]) -> list[str]:
        for recording in recordings:
            self._write(recording)
        return [recording.recording_id for recording in recordings]

    def _blame(self, recording: Recording) -> str:
        raise AudioError(f"{recording.path}: {DEATH}")

    def _write(self, recording: Recording) -> None:
        pcm = to_int16(read_audio(recording.path, sample_rate_hz=self.sample_rate_hz))
        self._samples_path(recording).parent.mkdir(parents=True, exist_ok=True)  # ids may be paths
        with atomic_path(self._samples_path(recording)) as temporary:
            with temporary.open("wb") as file:
                np.save(file, pcm, allow_pickle=False)
            if not np.array_equal(self._open(temporary, recording.num_samples), pcm):
                raise AudioError(f"{temporary}: what was written reads back differently; is the disk full or failing?")
            file_bytes = temporary.stat().st_size
        note = {**self._fingerprint(recording), "file_bytes": file_bytes, "crc32": _crc32(pcm)}
        write_text(self._note_path(recording), json.dumps(note))

    def _fingerprint(self, recording: Recording) -> dict[str, int]:
        stat = recording.path.stat()
        return {
            "source_bytes": stat.st_size,
            "source_mtime_ns": stat.st_mtime_ns,
            "sample_rate_hz": self.sample_rate_hz,
            "num_samples": recording.num_samples,
        }

    def _samples_path(self, recording: Recording) -> Path:
        return self.folder / f"{recording.recording_id}.npy"

    def _note_path(self, recording: Recording) -> Path:
        return self.folder / f"{recording.recording_id}.json"

    @staticmethod
    def _open(path: Path, num_samples: int) -> NDArray[np.int16]:
        try:
            samples: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise AudioError(f"{path}: unreadable audio cache ({error}); delete the file to build it again") from None
        if samples.dtype != np.int16 or samples.shape != (num_samples,):
            raise AudioError(f"{path}: holds {samples.dtype} {samples.shape}, not int16 ({num_samples},); delete it")
        return samples


def _crc32(samples: NDArray[np.int16]) -> int:
    return zlib.crc32(samples.tobytes())
