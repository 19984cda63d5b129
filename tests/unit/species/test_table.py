import pytest

from rfcx_ssl.species import Call, SpeciesTable, rfcx_species

TWO_SONGS = (
    Call(0, 1, "Käuzchen", "owl", "Strix aluco", 300.0, 900.0, 0.2),
    Call(0, 2, "Käuzchen", "owl", "Strix aluco", 700.0, 3000.0, 0.2),
    Call(1, 4, "Frog sp. 1"),
)


def test_song_types_of_a_species():
    table = SpeciesTable(TWO_SONGS)
    assert len(table) == 2 and table.names == ("Käuzchen", "Frog sp. 1") and table.codes == ("owl", "Frog sp. 1")
    assert table.band_hz(0) == (300, 3000) and table.band_hz(0, 2) == (700, 3000) and table.band_hz(1) is None
    assert table.typical_call(0, 2).songtype_id == 2 and table.typical_call(0, 9).songtype_id == 1
    assert table.first_songtype(1) == 4 and table.first_songtype(7) == 1
    assert table.typical_call(7) is None and table.calls_of(7) == ()
    assert table.prevalence == (0.2, None)


def test_a_species_is_found_by_each_of_its_words():
    table = SpeciesTable(TWO_SONGS)
    assert [table.id_of(word) for word in ("käuzchen", "OWL", " strix  aluco ", "frog sp. 1", "strix")] == [
        0, 0, 0, 1, None,
    ]  # fmt: skip


def test_a_saved_table_is_the_same():
    for table in (rfcx_species(), SpeciesTable(TWO_SONGS), SpeciesTable.of_names(["a", "b"])):
        assert SpeciesTable.from_rows(table.rows()) == table


@pytest.mark.parametrize(
    ("calls", "words"),
    [
        ([Call(1, 1, "a")], "count from 0"),
        ([Call(0, 1, "a"), Call(0, 1, "a")], "a: songtype 1 is listed twice"),
        ([Call(0, 1, "a", prevalence=0.1), Call(0, 2, "a", prevalence=0.2)], "a: prevalence differs"),
        ([Call(0, 1, "a"), Call(1, 1, "A ")], "name 'A ' stands for two species: a, A "),
        ([Call(0, 1, "a"), Call(1, 1, "b", code="a")], "code 'a' stands for two species: a, b"),
        ([Call(0, 1, "a", f_min_hz=1.0)], "given together"),
        ([Call(0, 1, "a", f_min_hz=9.0, f_max_hz=9.0)], "f_min_hz=9 must be from 0 to below f_max_hz=9"),
        ([Call(0, 1, "a", prevalence=1.5)], "prevalence=1.5 must be in [0, 1]"),
        ([Call(0, 1, "  ")], "name is empty"),
    ],
)
def test_broken_rules_are_named(calls, words):
    with pytest.raises(ValueError, match=words.replace("[", r"\[").replace("]", r"\]")):
        SpeciesTable(tuple(calls))
