"""Which recording a label table means: audio files below a root, found by path, by the end of a path or by name."""

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from rfcx_ssl.annotations.convert import NoAudio
from rfcx_ssl.annotations.exchange import Selection
from rfcx_ssl.annotations.kinds import LabelTable
from rfcx_ssl.audio.find import AUDIO_SUFFIXES, find_audio, printable_name, without_part
from rfcx_ssl.errors import AnnotationError

MOST_LISTED = 3  # candidates in a message


def without_suffix(name: str) -> str:
    """A path or name without the suffix of an audio file, if it ends in one."""
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in AUDIO_SUFFIXES else name


class AudioIndex:
    """Recordings below ``root`` by their id: the path below root without suffix, with forward slashes.

    A cell means, by the first rule that fits (docs/labels.md):

    1. the recording with that path, below root or below the folder of the table;
    2. the recording of that name beside the table;
    3. the only recording whose path ends as the cell does (``b.wav`` means ``a/b``);
    4. the recording whose path is the longest end of the cell (``D:\\birds\\a\\b.wav`` means ``a/b``);
    5. the same without regard to case;
    6. the recording that it means a part of (``a/b@10-25.5``, as detection calls the part from 10 to 25.5 s).
    """

    def __init__(self, root: Path, folders: Sequence[str] = (".",)) -> None:
        self.root = root
        self.paths: dict[str, Path] = {}
        self._roots = [_parts(_normal(str(path))) for path in (root.absolute(), root.resolve())]
        self._found: dict[tuple[str, str, bool], str | ValueError] = {}
        for path in (path for folder in folders for path in find_audio(root / folder)):
            name = _normal(without_suffix(path.relative_to(root).as_posix()))
            if self.paths.setdefault(name, path) != path:
                raise AnnotationError(
                    f"{self.paths[name]} and {path.name}: two audio files of one name in a folder; labels cannot tell "
                    "them apart: keep one"
                )
        self._folders = {fold: _folder_ends(self.paths, fold=fold) for fold in (False, True)}
        self._by_stem = {fold: _by_stem(self.paths, fold=fold) for fold in (False, True)}

    def recording_of(self, table: LabelTable, selection: Selection) -> str:
        """The recording that a row is about: of its file cell, of its other name, else the one of the table's name.

        Raises:
            NoAudio: no audio file fits.
            ValueError: several do.
        """
        folder = table.folder
        if not selection.file and not selection.file_too:
            return self.find(table.recording, folder, own=True)
        try:
            return self.find(selection.file or selection.file_too, folder)
        except ValueError:
            if selection.file_too in ("", selection.file):
                raise
            return self.find(selection.file_too, folder)

    def find(self, cell: str, folder: str | None = None, *, own: bool = False) -> str:
        """The recording that ``cell`` means in a table that lies in ``folder``; errors of :meth:`recording_of`.

        ``own``: the cell is the table's own name. The recording is the one beside the table, else the only one with
        that name and as many of the table's folders as audio has; a folder that has audio, but not this one, is no
        reason to look into another.
        """
        key = (cell, str(self.root) if folder is None else folder, own)
        if key not in self._found:
            try:
                self._found[key] = self._search(*key)
            except ValueError as error:
                self._found[key] = error
        found = self._found[key]
        if isinstance(found, ValueError):
            raise found
        return found

    def _search(self, cell: str, folder: str, own: bool) -> str:
        try:
            return self._search_whole(cell.strip(), folder, own)
        except NoAudio:
            name = without_part(cell.strip())
            if name == cell.strip():
                raise
        return self._search_whole(name, folder, own)

    def _search_whole(self, cell: str, folder: str, own: bool) -> str:
        parts = self._below_root(_parts(_normal(without_suffix(cell))))
        if not parts:
            raise NoAudio(f"{cell!r} names no audio file")
        beside = [*self._below_root(_parts(_normal(str(Path(folder).absolute())))), *parts]
        there: list[str] = []
        for fold in (False, True):
            ids = self._by_stem[fold].get(_fold(parts[-1], fold), {})
            there += ids
            folded = [_fold(part, fold) for part in parts], [_fold(part, fold) for part in beside]
            rules = _own_candidates(ids, folded[1], self._folders[fold]) if own else _candidates(ids, *folded)
            for names in rules:
                if len(names) == 1:
                    return names[0]
                if names:
                    raise ValueError(f"{cell!r} may be {_listed(names)}: give its path below {self.root}")
        hint = f"; there is {_listed(set(there))}" if there else ""
        raise NoAudio(f"no audio file {cell!r} below {self.root}{hint}")

    def _below_root(self, parts: list[str]) -> list[str]:
        root = next((root for root in self._roots if parts[: len(root)] == root), [])
        return parts[len(root) :]


def _candidates(ids: Mapping[str, list[str]], cell: list[str], beside: list[str]) -> Iterator[list[str]]:
    """Recordings that a cell may mean, the surest rule first."""
    yield [name for name, path in ids.items() if path in (cell, beside)]
    yield [name for name, path in ids.items() if path == [*beside[: len(beside) - len(cell)], cell[-1]]]
    yield [name for name, path in ids.items() if path[-len(cell) :] == cell]
    yield sorted((name for name, path in ids.items() if cell[-len(path) :] == path), key=len)[-1:]


def _own_candidates(
    ids: Mapping[str, list[str]], beside: list[str], folders: Collection[tuple[str, ...]]
) -> Iterator[list[str]]:
    """Recordings that a table may belong to: with all of its folders, then with ever fewer of the upper ones."""
    for drop in range(len(beside)):
        yield [name for name, path in ids.items() if path[-len(beside) + drop :] == beside[drop:]]
        if tuple(beside[drop:-1]) in folders:
            return


def _parts(path: str) -> list[str]:
    """Folders and name of a path with either kind of slashes; a leading one and a drive are parts, ``.`` is none."""
    return [part for part in PurePosixPath(path.replace("\\", "/")).parts if part != "."]


def _normal(text: str) -> str:
    return printable_name(unicodedata.normalize("NFC", text))


def _fold(text: str, fold: bool) -> str:
    return text.casefold() if fold else text


def _by_stem(names: Iterable[str], *, fold: bool) -> dict[str, dict[str, list[str]]]:
    """Recordings by their last part, each with all its parts."""
    found: dict[str, dict[str, list[str]]] = {}
    for name in names:
        parts = _fold(name, fold).split("/")
        found.setdefault(parts[-1], {})[name] = parts
    return found


def _folder_ends(names: Iterable[str], *, fold: bool) -> set[tuple[str, ...]]:
    """The last parts, one or more, of every folder with recordings."""
    folders = {_fold(name, fold).rpartition("/")[0] for name in names}
    parts = [folder.split("/") for folder in folders if folder]
    return {tuple(folder[start:]) for folder in parts for start in range(len(folder))}


def _listed(names: Iterable[str]) -> str:
    found = sorted(names)
    return " or ".join(found[:MOST_LISTED]) + (
        f" or {len(found) - MOST_LISTED} more" if len(found) > MOST_LISTED else ""
    )
