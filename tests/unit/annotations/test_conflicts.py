from rfcx_ssl.annotations import COLUMNS, Annotations, find_conflicts


def box(recording, species, start, end, state):
    return dict(zip(COLUMNS[:-2], (recording, species, 1, start, 1.0, end, 2.0, state, 1.0, "t:2"), strict=True))


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
