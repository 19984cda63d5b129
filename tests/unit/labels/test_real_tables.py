"""The real tables become frame and clip labels as docs/labels.md says."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rfcx_ssl.annotations import read_annotations
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels.clips import clip_labels
from rfcx_ssl.labels.frame_wise import frame_labels
from rfcx_ssl.species import label_space, rfcx_species

REAL = Path(__file__).parents[3].parent / "shared" / "data" / "rfcx"
pytestmark = pytest.mark.skipif(not (REAL / "train_tp.csv").is_file(), reason="the real tables are not here")
GRID = FrameGrid(32_000, 3200)  # 0.1 s: the shortest call has 3 frames


def test_every_box_becomes_the_label_of_its_frames_and_nothing_else_is_known():
    annotations, space = read_annotations(REAL, species=rfcx_species()), label_space(rfcx_species())
    present_s, absent_s = 0.0, 0.0
    for name in annotations.recording_ids:
        events = annotations.events(name)
        target, known = frame_labels(events, GRID, space, start_s=0.0, num_frames=600)
        for event in events:
            frame = int((event.start_s + event.end_s) / 2 / 0.1)
            assert (target[frame, event.species_id], known[frame, event.species_id]) == (event.present, 1)
        present_s += target.sum() * 0.1
        absent_s += ((target == 0) & (known == 1)).sum() * 0.1
        assert set(np.flatnonzero(known.any(axis=0))) == {event.species_id for event in events}
    # 3085 s and 20542 s of boxes; present ones are rounded outwards to frames, overlaps are counted once
    assert 3085 <= present_s <= 3085 + 1216 * 0.1
    assert abs(absent_s - 20542) < 0.01 * 20542


def test_split_song_types_have_outputs_of_their_own():
    annotations, space = (
        read_annotations(REAL, species=rfcx_species()),
        label_space(rfcx_species(), split_songtypes=True),
    )
    table = pd.read_csv(REAL / "train_tp.csv")
    with_call = np.zeros(26, int)
    for name in sorted(set(table["recording_id"])):
        target, _ = frame_labels(annotations.events(name), GRID, space, start_s=0.0, num_frames=600)
        with_call += target.any(axis=0)
    expected = table.drop_duplicates(["recording_id", "species_id", "songtype_id"]).groupby(
        ["species_id", "songtype_id"]
    )
    for (species, song), count in expected.size().items():
        assert with_call[space.output_of(species, song)] == count
    assert with_call[[space.output_of(17, 1), space.output_of(17, 4)]].tolist() == [24, 27]


def test_a_centred_crop_is_present_or_absent_as_its_box_says():
    annotations, space = read_annotations(REAL, species=rfcx_species()), label_space(rfcx_species())
    states = {True: [], False: []}
    for name in annotations.recording_ids[:500]:
        events = annotations.events(name)
        for event in events:
            start_s = min(max((event.start_s + event.end_s) / 2 - 2.5, 0.0), 55.0)
            target, known = clip_labels(events, space, start_s=start_s, end_s=start_s + 5, absent="box")
            states[event.present].append((target[event.species_id], known[event.species_id]))
    assert set(states[True]) == {(1, 1)} and len(states[True]) > 80
    assert set(states[False]) == {(0, 1)} and len(states[False]) > 600
