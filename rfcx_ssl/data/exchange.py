"""The labelled corpus as a ``datasets.Dataset``: one row per recording, with its audio file, events and fold.

``decode=False`` keeps the audio as the bytes of the original file: nothing is resampled or lost, and reading the data
set needs no decoder. :func:`write_folder` turns such a data set back into RFCX's layout, ready for ``load_corpus``.
"""

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rfcx_ssl.annotations import Span
from rfcx_ssl.annotations.layout import (
    ABSENT_TABLE,
    BOX_COLUMNS,
    PRESENT_TABLE,
    RECORDING_COLUMNS,
    RECORDINGS_TABLE,
)
from rfcx_ssl.audio import require_exact_time
from rfcx_ssl.data.corpus import Corpus
from rfcx_ssl.errors import AnnotationError, AudioError
from rfcx_ssl.files import atomic_folder, write_csv
from rfcx_ssl.folds import Folds

if TYPE_CHECKING:
    from datasets import Dataset

EVENT_TYPES = {
    "species_id": "int32",
    "songtype_id": "int32",
    "t_min": "float64",
    "f_min": "float64",
    "t_max": "float64",
    "f_max": "float64",
    "state": "string",
    "weight": "float64",
    "weak": "bool",
    "annotator": "string",
}
SPAN_COLUMNS = ("file", "start_s", "end_s", "species")  # of a table for data.complete_file
FOLDS_TABLE, COMPLETE_LIST = "folds.csv", "complete.txt"


def to_dataset(corpus: Corpus) -> "Dataset":
    """Rows ``recording_id, audio, duration_s, site, fold, complete, spans, events`` of every annotated recording, by id.

    ``events`` is a list of structs in RFCX's column names with ``state`` (present or absent), ``weight`` and ``weak`` (a
    tag). ``complete`` says whether every call of the recording is marked; ``spans`` lists the stretches in which that is
    so, with the names of their species (null: all) and an end of null for the recording's. ``audio`` is the original
    file, embedded when the data set is saved or pushed.
    """
    from datasets import Audio, Dataset, Features, List, Value

    features = Features(
        {
            "recording_id": Value("string"),
            "audio": {"bytes": Value("binary"), "path": Value("string")},
            "duration_s": Value("float64"),
            "site": Value("string"),
            "fold": Value("int32"),
            "complete": Value("bool"),
            "spans": List({"start_s": Value("float64"), "end_s": Value("float64"), "species": List(Value("string"))}),
            "events": List({name: Value(kind) for name, kind in EVENT_TYPES.items()}),
        }
    )
    plain = Dataset.from_list(list(_rows(corpus)), features=features)
    return plain.cast_column("audio", Audio(decode=False))  # encoding as Audio at once would want torchcodec


def save_dataset(dataset: "Dataset", folder: Path) -> None:
    """Save with the audio embedded, atomically; ``datasets.load_from_disk`` opens it.

    Raises:
        AnnotationError: the folder exists.
    """
    if folder.exists():
        raise AnnotationError(f"{folder} exists: choose a new folder for the data set")
    with atomic_folder(folder) as temporary:
        dataset.save_to_disk(str(temporary))


def push_dataset(dataset: "Dataset", repo_id: str, *, private: bool = True) -> str:
    """Push with the audio embedded to a data set repository on the Hugging Face hub; returns the commit's address."""
    commit = dataset.push_to_hub(repo_id, private=private)
    return str(commit.commit_url)


def write_folder(dataset: "Dataset", root: Path) -> None:
    """Write a data set of :func:`to_dataset` as a folder in RFCX's layout, with its folds and complete recordings.

    A data set without ``spans`` or ``weak``, as earlier versions saved it, has whole recordings and boxes alone.

    Raises:
        AnnotationError: the folder exists, or the data set lacks a column.
        AudioError: a row carries no audio, or has events and an MP3 without exact time.
    """
    if root.exists():
        raise AnnotationError(f"{root} exists: choose a new folder")
    missing = {"recording_id", "audio", "site", "fold", "complete", "events", "duration_s"} - set(dataset.column_names)
    if missing:
        raise AnnotationError(f"the data set lacks the columns {', '.join(sorted(missing))}")
    with atomic_folder(root) as temporary:
        (temporary / "train").mkdir()
        rows = [_write_audio(row, temporary / "train") for row in dataset]
        for state, name in (("present", PRESENT_TABLE), ("absent", ABSENT_TABLE)):
            boxes = [
                [row["recording_id"], *(event[column] for column in (*BOX_COLUMNS[1:], "weight")), _is_weak(event)]
                for row in rows for event in row["events"] if event["state"] == state
            ]  # fmt: skip
            write_csv(temporary / name, [*BOX_COLUMNS, "weight", "weak"], boxes)
        sites = [[row["recording_id"], "train", row["site"] or "", row["duration_s"]] for row in rows]
        write_csv(temporary / RECORDINGS_TABLE, RECORDING_COLUMNS, sites)
        _write_complete(rows, temporary / COMPLETE_LIST)
        fold_of = {row["recording_id"]: row["fold"] for row in rows}
        Folds(fold_of, {name: name for name in fold_of}, max(fold_of.values()) + 1).save(temporary / FOLDS_TABLE)


def _write_complete(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """``data.complete_file``: ids, one a line, or a table of stretches where not all are whole recordings."""
    whole = [row["recording_id"] for row in rows if row["complete"]]
    parts = [(row["recording_id"], span) for row in rows if not row["complete"] for span in row.get("spans") or ()]
    if not parts:
        path.write_text("".join(f"{name}\n" for name in whole), encoding="utf-8")
        return
    cells = [[name, "", "", ""] for name in whole]
    for name, span in parts:
        end_s = "" if span["end_s"] is None else span["end_s"]
        cells.append([name, span["start_s"], end_s, ";".join(span["species"] or ())])
    write_csv(path, SPAN_COLUMNS, cells)


def _is_weak(event: Mapping[str, Any]) -> str:
    return "yes" if event.get("weak") else "no"


def _rows(corpus: Corpus) -> Iterable[dict[str, Any]]:
    table, names = corpus.annotations.table, corpus.space.species_names
    events: dict[str, list[dict[str, Any]]] = {}
    for name, event in zip(table["recording_id"].tolist(), table[list(EVENT_TYPES)].to_dict("records"), strict=True):
        events.setdefault(name, []).append({str(key): value for key, value in event.items()})
    for name in corpus.folds.recording_ids:
        recording = corpus.recording_of[name]
        yield {
            "recording_id": name,
            "audio": {"path": str(recording.path), "bytes": None},
            "duration_s": recording.duration_s,
            "site": recording.site,
            "fold": corpus.folds.fold_of[name],
            "complete": corpus.annotations.is_complete(name),
            "spans": [_span(span, names) for span in corpus.annotations.spans(name)],
            "events": events.get(name, []),
        }


def _span(span: Span, names: Sequence[str]) -> dict[str, Any]:
    """A stretch as a plain mapping; ``names`` are those of the species."""
    species = None if span.species is None else [names[species] for species in sorted(span.species)]
    return {"start_s": span.start_s, "end_s": span.end_s if math.isfinite(span.end_s) else None, "species": species}


def _write_audio(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the row's audio bytes beside the others and return the row without them."""
    audio, name = row["audio"], row["recording_id"]
    suffix = Path(audio["path"] or "x.flac").suffix
    if audio["bytes"] is not None:
        (folder / f"{name}{suffix}").write_bytes(audio["bytes"])
    elif audio["path"] and Path(audio["path"]).is_file():
        shutil.copyfile(audio["path"], folder / f"{name}{suffix}")
    else:
        raise AudioError(f"{name}: the data set holds neither audio bytes nor a path to an existing file")
    if row["events"]:
        require_exact_time(folder / f"{name}{suffix}")
    return {key: value for key, value in row.items() if key != "audio"}
