"""Which files to listen to, and what to call them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rfcx_ssl.audio.find import AUDIO_SUFFIXES, find_audio
from rfcx_ssl.errors import AudioError


@dataclass(frozen=True, slots=True)
class Recording:
    """One audio file. ``name`` is unique within a call: the file's stem, with as many folders as that takes."""

    name: str
    path: Path


def find_recordings(sources: Sequence[Path]) -> list[Recording]:
    """Files as given, folders searched for audio files; sorted within a folder, each file once.

    Raises:
        AudioError: a source does not exist, or there is no audio file in any of them.
    """
    missing = [str(source) for source in sources if not source.exists()]
    if missing:
        raise AudioError(
            f"{missing[0]}: no such file or folder" + (f" ({len(missing)} missing)" if missing[1:] else "")
        )
    found: dict[Path, Path] = {}
    for source in sources:
        for path in find_audio(source) if source.is_dir() else [source]:
            found.setdefault(path.resolve(), path)
    if not found:
        raise AudioError(f"{', '.join(map(str, sources))}: no audio files ({', '.join(sorted(AUDIO_SUFFIXES))})")
    paths = list(found.values())
    return [Recording(name, path) for name, path in zip(_unique_names(paths), paths, strict=True)]


def _unique_names(paths: Sequence[Path]) -> list[str]:
    """Stems (with the suffix for ``a.wav`` beside ``a.flac``), and as many parent folders as make them unique."""
    bare = Counter(path.resolve().with_suffix("") for path in paths)
    parts = [
        (*p.parts[:-1], p.name if bare[p.with_suffix("")] > 1 else p.stem) for p in (path.resolve() for path in paths)
    ]
    names = [own[-1] for own in parts]
    for depth in range(2, max(map(len, parts), default=1) + 1):
        count = Counter(names)
        names = [n if count[n] == 1 else "/".join(own[-depth:]) for n, own in zip(names, parts, strict=True)]
    return names
