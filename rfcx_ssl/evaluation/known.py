"""What can be judged and what cannot, in sentences, and whether a model has learned from what it is judged on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rfcx_ssl.errors import AnnotationError, some_of
from rfcx_ssl.evaluation.reference import Reference
from rfcx_ssl.evaluation.runs import RunFacts, read_json
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.metrics import columns_with_both, rows_with_both
from rfcx_ssl.training.run_folder import RunFolder
from rfcx_ssl.training.scores import needs
from rfcx_ssl.training.train import LABELS_FILE, hash_names

WARNING = "WARNING:"
FEW_SITES = 10
MOST_NAMED = 8
LISTENING = FrameGrid(32_000, 640)  # frames of 20 ms, to find the boxes of a reference before any model is heard


def what_is_known(reference: Reference) -> tuple[str, ...]:
    """Sentences about a reference: what is known of how many recordings, and what cannot be judged for want of what.

    Raises:
        AnnotationError: nothing can be judged at all.
    """
    known, present = reference.known, reference.truth & reference.known
    boxes = [box for of_recording in reference.boxes(LISTENING) for box in of_recording]
    heard, ruled_out = ({box.species_id for box in boxes if box.present is state} for state in (True, False))
    by_box, by_recording = heard & ruled_out, columns_with_both(present, known).any(axis=0)
    notes = [_of_recordings(reference)]
    if any(not box.present for box in boxes):
        notes.append(
            f"{sum(box.present for box in boxes)} present and {sum(not box.present for box in boxes)} absent boxes; "
            f"{len(by_box)} species have both."
        )
    ranked = rows_with_both(present, known).any()
    if not (ranked or by_recording.any() or by_box):
        raise AnnotationError(
            f"nothing can be judged in {len(known)} recordings ({reference.what}): whole recordings need "
            f"{needs('lwlrap')}, boxes need {needs('box_auc')}"
        )
    if not ranked:
        notes.append(f"No ranking of whole recordings (LWLRAP), which needs {needs('lwlrap')}.")
    if not by_box and not known.all():
        notes.append(f"No scores of boxes, which need {needs('box_auc')}.")
    if not reference.timed.any():
        notes.append("No events, F1 of segments or PSDS: no recording has its every call marked with its times.")
    elif not reference.timed.all():
        notes.append(f"Events are judged in {int(reference.timed.sum())} of them, whose every call is marked.")
    judged = by_recording | np.isin(np.arange(known.shape[1]), sorted(by_box))
    if left := [name for name, kept in zip(reference.space.species_names, judged, strict=True) if not kept]:
        notes.append(
            f"{len(left)} species have no present and absent cells to be told apart: {some_of(left, MOST_NAMED)}."
        )
    return tuple(notes)


def _of_recordings(reference: Reference) -> str:
    known, present = reference.known, reference.truth & reference.known
    start = f"{len(known)} recordings ({reference.what})"
    if known.all():
        return (
            f"{start}, all {known.shape[1]} species known in each; {int(present.sum())} times a species calls in one."
        )
    return (
        f"{start}, {int(known.all(axis=1).sum())} known for all {known.shape[1]} species and "
        f"{int((~known.any(axis=1)).sum())} for none; {known.mean():.0%} of the cells (a species in a recording) are "
        f"known, {int(present.sum())} present and {int((known & ~present).sum())} absent."
    )


def few_sites(reference: Reference) -> str | None:
    """A warning where an interval over sites rests on few of them."""
    sites = set(reference.sites)
    if len(sites) >= FEW_SITES:
        return None
    return f"Intervals draw {len(sites)} sites: with fewer than {FEW_SITES} they come out too narrow."


def what_it_learned_from(name: str, facts: RunFacts, reference: Reference) -> str:
    """A sentence: how many of the judged recordings a model has learned from, as far as its run folder tells."""
    run = {} if facts.folder is None else read_json(facts.folder / "run.json")
    data = run.get("config", {}).get("data")
    if facts.folder is None or data is None:
        return f"{name}: no run folder tells what it learned from."
    learned = _below(data, reference)
    sides = run.get("data", {}).get("recordings_sha256", {})
    if hash_names(sorted(reference.recording_ids)) in (sides.get("valid"), sides.get("test")):
        learned = set()
    if (budget := facts.folder / LABELS_FILE).is_file():
        learned &= {line.split(",")[0] for line in budget.read_text(encoding="utf-8").splitlines()[1:]}
    if (validated := RunFolder(facts.folder).oof).is_file():
        learned -= _recordings(validated)
    if not learned:
        return f"{name}: it has learned from none of these recordings."
    verb = "has learned from" if data.get("max_recordings") is None else "may have learned from"
    total = len(reference.recording_ids)
    return f"{WARNING} {name} {verb} {len(learned)} of the {total} recordings judged here, which flatters it."


def _below(data: Mapping[str, Any], reference: Reference) -> set[str]:
    """Recordings in the audio folders that a run's settings name."""
    folders = [(Path(data["root"]) / folder).resolve() for folder in data.get("audio_folders") or [""]]
    pairs = zip(reference.recording_ids, reference.paths, strict=True)
    return {name for name, path in pairs if any(path.resolve().is_relative_to(folder) for folder in folders)}


def _recordings(scores: Path) -> set[str]:
    import pandas as pd

    return set(pd.read_parquet(scores, columns=["recording_id"])["recording_id"])
