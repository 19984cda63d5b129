"""What detection writes can be read as labels: the same recordings, species, times and bands."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.annotations import UNKNOWN_BAND_HZ, Event, default_label_map, read_extra
from rfcx_ssl.annotations.label_map import LabelMap, Meaning
from rfcx_ssl.decoding.detections import Detection
from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.writers import check_label_texts, open_writers
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.species import label_space, name_key, rfcx_species

NYQUIST_HZ = 16_000.0
OWN = ("csv", "parquet", "jsonl")  # events.*, with bands as the model's species table has them
SPACE = label_space(rfcx_species())


def is_writable(name):
    try:
        check_label_texts([name])
    except ConfigError:
        return False
    return True


def result_of(recording, events, path=None):
    clip = np.zeros(1, np.float32)
    return Result(0, recording, path or f"{recording}.wav", 0.0, 60.0, 48_000, None, None, (), clip, list(events))


def written_and_read(folder, kind, labels, events, species_names):
    """Events of each recording after a round trip through files of one kind."""
    (writer,) = open_writers([kind], folder, species_names, NYQUIST_HZ)
    with writer:
        for name in dict.fromkeys(event.recording for event in events):
            writer.add(result_of(name, [event for event in events if event.recording == name]))
    read = read_extra(folder / (f"events.{kind}" if kind in OWN else kind), labels)
    return {name: list(read.events(name)) for name in read.recording_ids}


def expected(events, band_hz):
    """The events of each recording by time; an unknown band reads as ``band_hz(species)``."""
    boxes = {}
    for event in events:
        box = event.box
        low, high = (box.low_hz, box.high_hz) if box.has_band else band_hz(box.species_id)
        boxes.setdefault(event.recording, []).append(box._replace(low_hz=low, high_hz=high))
    return {name: sorted(own, key=lambda b: (b.start_s, b.end_s, b.species_id)) for name, own in boxes.items()}


@pytest.mark.parametrize("kind", [*OWN, "raven", "audacity"])
def test_every_species_of_rfcx_comes_back(tmp_path, kind):
    songs = {call.species_id: call.songtype_id for call in reversed(rfcx_species().calls)}
    bands = [SPACE.species.band_hz(species) for species in range(24)]
    events = [
        Detection("a/b", name, 0.005 + s / 24, Event(s, songs[s], s + 0.123, s + 1.5, *bands[s], True, 1.0))
        for s, name in enumerate(SPACE.species_names)
    ]
    read = written_and_read(tmp_path, kind, default_label_map(rfcx_species()), events, SPACE.species_names)
    assert read == {"a/b": [event.box for event in events]}
    assert read["a/b"][17][1] == 1 and read["a/b"][16][1] == 4, "of several song types the first is meant"


plain = st.characters(exclude_categories=("Cs",), exclude_characters="\x00/")
species_names = st.lists(
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), min_size=1, max_size=12).filter(is_writable),
    min_size=1,
    max_size=4,
    unique_by=name_key,
)  # fmt: skip
folder_names = st.text(plain, min_size=1, max_size=8).filter(lambda text: text == text.strip() and text[0] != ".")
recording_names = st.lists(folder_names, min_size=1, max_size=2).map("/".join)


@st.composite
def detections(draw, names):
    species = draw(st.integers(0, len(names) - 1))
    start_ms = draw(st.integers(0, 10**6))
    band = draw(st.one_of(st.just(UNKNOWN_BAND_HZ), st.tuples(st.integers(0, 999), st.integers(1000, 16_000))))
    score = draw(st.floats(0, 1))
    end_ms = start_ms + draw(st.integers(1, 10**5))
    box = Event(species, 1, start_ms / 1000, end_ms / 1000, *map(float, band), True, 1.0)
    return Detection(draw(recording_names), names[species], score, box)


@settings(deadline=None, max_examples=150)
@given(data=st.data(), names=species_names, kind=st.sampled_from([*OWN, "raven", "audacity"]))
def test_whatever_the_names_and_times(data, names, kind):
    events = data.draw(
        st.lists(
            detections(names), max_size=6, unique_by=lambda e: (e.recording, e.box.start_s, e.box.end_s, e.species)
        ),
        label="events",
    )
    labels = LabelMap(rfcx_species(), {name: Meaning(s, 1, "present") for s, name in enumerate(names)})
    usual = {
        s: (call.f_min_hz, call.f_max_hz) for s, call in ((c.species_id, c) for c in reversed(rfcx_species().calls))
    }
    band_hz = (lambda species: usual[species]) if kind in OWN else (lambda species: (0.0, NYQUIST_HZ))
    if not events:
        return
    with tempfile.TemporaryDirectory() as folder:
        assert written_and_read(Path(folder), kind, labels, events, names) == expected(events, band_hz)


def test_an_audacity_track_without_events_is_a_table_without_rows(tmp_path):
    (writer,) = open_writers(["audacity"], tmp_path, SPACE.species_names, NYQUIST_HZ)
    with writer:
        writer.add(result_of("quiet", []))
    assert len(read_extra(tmp_path / "audacity", default_label_map(rfcx_species()))) == 0
