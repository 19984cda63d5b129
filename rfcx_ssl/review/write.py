"""Write a review: clips, one long sound, the two tables, the plan and what to do with them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rfcx_ssl.annotations.layout import SPECIES_TABLE
from rfcx_ssl.audio import FloatArray, read_audio, write_wav
from rfcx_ssl.files import atomic_folder, write_text
from rfcx_ssl.review.answers import RECORD, digest
from rfcx_ssl.review.grammar import GRAMMAR
from rfcx_ssl.review.plan import Item, write_plan
from rfcx_ssl.review.tables import (
    ANSWER,
    AUDACITY_TABLE,
    CLIP_TRACK,
    CLIPS,
    LABEL,
    RAVEN_TABLE,
    SOUND,
    audacity_text,
    clip_track_text,
    raven_text,
)
from rfcx_ssl.species import SpeciesTable, write_species


def write_review(
    items: Sequence[Item], rate_hz: int, folder: Path, species: SpeciesTable, record: dict[str, Any]
) -> None:
    """Write everything below ``folder``, which appears whole or not at all; ``record`` is kept in ``review.json``.

    Raises:
        AudioError: a recording is gone or broken.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(folder) as temporary:
        (temporary / CLIPS).mkdir()
        write_wav(temporary / SOUND, _clips(items, rate_hz, temporary / CLIPS), rate_hz)
        write_plan(items, temporary)
        write_species(species, temporary / SPECIES_TABLE)
        tables = {RAVEN_TABLE: raven_text(items), AUDACITY_TABLE: audacity_text(items)}
        for name, text in {**tables, CLIP_TRACK: clip_track_text(items), "README.txt": read_me(items)}.items():
            write_text(temporary / name, text)
        digests = {name: digest(text.encode()) for name, text in tables.items()}
        write_text(temporary / RECORD, json.dumps({**record, "tables": digests}, indent=1, ensure_ascii=False))


def read_me(items: Sequence[Item]) -> str:
    """What the person who listens is told."""
    total_s = items[-1].at_s + items[-1].clip_s
    return f"""\
{len(items)} clips, {total_s / 60:.0f} minutes. In each a box is drawn and a species named: is it in the box?

{GRAMMAR}
Drag the edges of a box where the call lies elsewhere in the clip. Draw more boxes, each named after its species, for
whatever else you hear and know. Delete a label to leave a question unanswered. A box must stay inside its clip.
Change only one of the two tables below, and save it under its own name.

Raven (Lite or Pro): open {SOUND}, then File > Open Selection Table: {RAVEN_TABLE}. Write answers into the column
{ANSWER}, or over the name in {LABEL}. The files in {CLIPS}/, opened together as one sequence, fit the same table.

Audacity: open {SOUND}, then File > Import > Labels: {AUDACITY_TABLE}, and once more: {CLIP_TRACK} (the numbers of the
clips). Write over the labels. Then File > Export Other > Export Labels, under the name {AUDACITY_TABLE}. Audacity exports both
tracks together, which is fine: labels that begin with # are passed over.

Then: rfcx-ssl review --read THIS_FOLDER --annotator YOUR_NAME --out answers.csv
If you stopped after clip 40: add --upto 40. All that you left as it was counts as heard, so say where you stopped.
"""


def _clips(items: Sequence[Item], rate_hz: int, folder: Path) -> Iterator[FloatArray]:
    """The sound of each item, which is also written as a clip of its own."""
    for item in items:
        sound = read_audio(
            item.file,
            start_samples=round(item.clip_start_s * rate_hz),
            num_samples=round(item.clip_s * rate_hz),
            sample_rate_hz=rate_hz,
            partial=True,
        )
        write_wav(folder / item.clip, [sound], rate_hz)
        yield sound
