"""The recordings that the page may read: those below named folders, and what a visitor uploads. Asked for by name, never by path."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rfcx_ssl.audio.find import bare_name, is_audio_name
from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.detection.sources import find_recordings
from rfcx_ssl.errors import AudioError, ConfigError
from rfcx_ssl.files import atomic_path, safe_name


class Shelf:
    """Recordings below ``folders``, listed once, by name in the order of the folders.

    A link that leads out of all folders leads nowhere: it is not listed, and a file that becomes one later is not opened.

    Raises:
        ConfigError: a folder is none. AudioError: a folder holds no recordings.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            if not folder.is_dir():
                raise ConfigError(f"--folder {folder}: no such folder")
        self.folders = tuple(folders)
        self._roots = tuple(folder.resolve() for folder in folders)
        found = find_recordings([str(folder) for folder in folders]) if folders else []
        self._recordings = {one.name: one for one in found if self._inside(Path(one.path))}
        self._name_of = {one.path: one.name for one in self._recordings.values()}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all recordings."""
        return tuple(self._recordings)

    def get(self, name: str) -> Recording:
        """The recording of this name.

        Raises:
            AudioError: there is none, or its file is gone, or now leads out of the folders.
        """
        recording = self._recordings.get(name)
        if recording is None:
            raise AudioError(f"{name!r}: no such recording in the folders of this page")
        if not self._inside(Path(recording.path)):
            raise AudioError(f"{name}: is gone, or leads out of the folders of this page")
        return recording

    def find(self, name: str, file: str) -> str | None:
        """The name on this shelf of a recording that another table calls ``name`` and knows as ``file``; None without one."""
        return self._name_of.get(file) or (name if name in self._recordings else None)

    def _inside(self, path: Path) -> bool:
        real = path.resolve()
        return real.is_file() and any(real.is_relative_to(root) for root in self._roots)


def uploaded(path: Path) -> Recording:
    """A file that a visitor sent, as a recording; its name is only shown.

    Raises:
        AudioError: its suffix is of no kind of audio.
    """
    if not is_audio_name(path.name):
        raise AudioError(f"{path.name}: is no audio file by its name")
    return Recording(bare_name(path.name), str(path))


def keep(recording: Recording, folder: Path) -> Recording:
    """An uploaded recording that was answered, copied below ``folder``: labels need a file that stays.

    Its name carries a hash of what it holds, so the same recording is kept once.
    """
    source, folder = Path(recording.path), folder.absolute()
    if source.parent == folder:
        return recording
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:12]
    target = folder / f"{safe_name(source.stem, folders=False)}-{digest}{source.suffix.lower()}"
    if not target.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(target, durable=True) as temporary:
            shutil.copyfile(source, temporary)
    return replace(recording, path=str(target))
