from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from rfcx_ssl.annotations import COLUMNS, Annotations, find_conflicts


def box(recording, species, start, end, state, weak=False):
    cells = (recording, species, 1, start, 1.0, end, 2.0, state, 1.0, "t:2")
    return dict(zip(COLUMNS, cells, strict=False)) | {"weak": weak}


def test_each_kind_of_meeting_is_counted_once():
    rows = [
        box("a", 1, 0.0, 2.0, "present"),
        box("a", 2, 1.0, 3.0, "present"),  # overlaps the first
        box("a", 1, 1.5, 2.5, "absent"),  # contradicts the first, crosses the second
        box("b", 1, 0.0, 1.0, "present"),
        box("b", 1, 1.0, 2.0, "absent"),  # touches: another time
        box("b", 3, 0.0, 1.0, "absent"),  # crosses
        box("c", 1, 0.0, 1.0, "absent"),  # another recording
    ]
    met = find_conflicts(Annotations.from_rows(rows))
    assert (met.contradicting, met.same_species, met.crossing, met.overlapping) == (1, 1, 2, 1)


def pair_loop(annotations):
    """Every pair of boxes of a recording, looked at once."""
    contradicting = same_species = crossing = overlapping = 0
    for name in annotations.recording_ids:
        events = annotations.events(name)
        present = [event for event in events if event.present and not event.weak]
        overlapping += sum(meet(one, other) for one, other in combinations(present, 2))
        for absent in (event for event in events if not event.present):
            same = [meet(event, absent) for event in present if event.species_id == absent.species_id]
            contradicting += sum(same)
            crossing += sum(meet(event, absent) for event in present if event.species_id != absent.species_id)
            same_species += bool(same) and not any(same)
    return contradicting, same_species, crossing, overlapping


def meet(one, other):
    return one.start_s < other.end_s and other.start_s < one.end_s


boxes = st.builds(
    lambda name, species, start, length, state, weak: box(name, species, start, start + length, state, weak),
    st.sampled_from("ab"), st.integers(0, 2), st.integers(0, 12), st.integers(1, 6),
    st.sampled_from(["present", "absent"]), st.booleans(),
)  # fmt: skip


@given(st.lists(boxes, max_size=14))
def test_the_counts_are_those_of_a_loop_over_pairs(rows):
    annotations = Annotations.from_rows(rows)
    met = find_conflicts(annotations)
    assert (met.contradicting, met.same_species, met.crossing, met.overlapping) == pair_loop(annotations)
    tags = [row for row in rows if row["state"] == "present" and row["weak"]]
    absent = {
        (row["recording_id"], row["species_id"], second)
        for row in rows if row["state"] == "absent" for second in range(row["t_min"], row["t_max"])
    }  # fmt: skip
    ruled_out = [
        all((t["recording_id"], t["species_id"], second) in absent for second in range(t["t_min"], t["t_max"]))
        for t in tags
    ]
    assert (met.tags, met.ruled_out) == (len(tags), sum(ruled_out))
