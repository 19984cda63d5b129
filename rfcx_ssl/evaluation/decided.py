"""What a model has decided for itself (decisions.json): for the species of a reference, and as events."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.decoding.decisions import Decisions, decide
from rfcx_ssl.decoding.decisions_file import find_decisions, read_decisions
from rfcx_ssl.decoding.decode import make_decoder
from rfcx_ssl.decoding.settings import USED_BY
from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.frames import FrameGrid


def own_decisions(model: str, known: Sequence[str], columns: Sequence[int]) -> Decisions | None:
    """The decisions of a model folder or hub id for some ``columns`` of its ``known`` species; None where it has none.

    Raises:
        CheckpointError: they cannot be read, or are of other species.
    """
    path = find_decisions(model)
    if path is None:
        return None
    saved = read_decisions(path)
    if saved.species != tuple(known):
        raise CheckpointError(f"{path}: its species are not those of the model")
    mine = list(columns)
    return decide(
        [known[column] for column in mine],
        decoder=saved.decoder,
        calibration=saved.calibration.part(mine),
        about=saved.about,
        **{key: getattr(saved, key)[mine] for key in USED_BY[saved.decoder]},
    )


def decided_frames(
    frames: Mapping[int, NDArray[Any]], decisions: Decisions, grid: FrameGrid
) -> dict[int, NDArray[Any]]:
    """Frames (T, S) of recordings as decided: 1 inside an event of the species, 0 elsewhere."""
    decided = {}
    for row, scores in frames.items():
        decoder = make_decoder(decisions, grid)
        events = [*decoder.push(decisions.calibration(scores)), *decoder.finish()]
        inside = np.zeros(scores.shape)
        for event in events:
            inside[event.start : event.end, event.species] = 1.0
        decided[row] = inside
    return decided


def decided_note(name: str, decisions: Decisions) -> str:
    """That a model decides by itself, as a sentence."""
    told = ", ".join(
        f"{key} {decisions.about[key]}" for key in ("criterion", "data", "made") if key in decisions.about
    )
    return f"{name}: boxes, segments and events by its own decisions ({told or 'decisions.json'}); --threshold overrides them."
