"""The labelled corpus as a ``datasets.Dataset``: one row per recording, with its audio file, events and fold.

``decode=False`` keeps the audio as the bytes of the original file: nothing is resampled or lost, and reading the data
set needs no decoder. ``rfcx-ssl init --dataset`` turns such a data set back into a folder.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rfcx_ssl.annotations import Span
from rfcx_ssl.data.corpus import Corpus
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.files import atomic_folder

if TYPE_CHECKING:
    from datasets import Dataset

EVENT_TYPES = {
    "species": "string",  # its name
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


def to_dataset(corpus: Corpus) -> "Dataset":
    """Rows ``recording_id, audio, duration_s, site, fold, complete, spans, events`` of every annotated recording, by id.

    ``events`` is a list of structs in RFCX's column names with ``state`` (present or absent), ``weight`` and ``weak`` (a
    tag). ``complete`` says whether every call of the recording is marked; ``spans`` lists the stretches in which that is
    so, with the names of their species (null: all) and an end of null for the recording's. The test part has no fold
    (null). ``audio`` is the original file, embedded when the data set is saved or pushed.
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


def _rows(corpus: Corpus) -> Iterable[dict[str, Any]]:
    table, names = corpus.annotations.table, corpus.space.species_names
    events: dict[str, list[dict[str, Any]]] = {}
    named = table.assign(species=[names[species] for species in table["species_id"].tolist()])
    for name, event in zip(table["recording_id"].tolist(), named[list(EVENT_TYPES)].to_dict("records"), strict=True):
        events.setdefault(name, []).append({str(key): value for key, value in event.items()})
    for name in corpus.annotations.recording_ids:
        recording = corpus.recording_of[name]
        yield {
            "recording_id": name,
            "audio": {"path": str(recording.path), "bytes": None},
            "duration_s": recording.duration_s,
            "site": recording.site,
            "fold": corpus.folds.fold_of.get(name),
            "complete": corpus.annotations.is_complete(name),
            "spans": [_span(span, names) for span in corpus.annotations.spans(name)],
            "events": events.get(name, []),
        }


def _span(span: Span, names: Sequence[str]) -> dict[str, Any]:
    """A stretch as a plain mapping; ``names`` are those of the species."""
    species = None if span.species is None else [names[species] for species in sorted(span.species)]
    return {"start_s": span.start_s, "end_s": span.end_s if math.isfinite(span.end_s) else None, "species": species}
