import pytest

from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.species import LabelSpace, SpeciesTable, label_space, rfcx_species


def test_outputs_carry_codes_or_names():
    space = label_space(SpeciesTable.of_names(["Kō", "b"]), noise_class=True)
    assert space.output_names == ("Kō", "b", "noise") and space.noise_output == 2
    assert space.num_species == 2 and space.species_names == ("Kō", "b")


def test_song_types_of_rfcx():
    space = label_space(rfcx_species(), split_songtypes=True)
    assert space.num_outputs == 26 and "s17_song4" in space.output_names
    assert space.output_of(17, 4) == space.output_names.index("s17_song4")
    assert label_space(rfcx_species()).output_of(17, 4) == 17


def test_what_has_no_output():
    with pytest.raises(AnnotationError, match="species 2 songtype None is not among 2 species"):
        label_space(SpeciesTable.of_names(["a", "b"])).output_of(2)


def test_two_outputs_of_one_name():
    with pytest.raises(ValueError, match="'noise' stands for two outputs"):
        label_space(SpeciesTable.of_names(["noise"]), noise_class=True)
    with pytest.raises(ValueError, match="one entry per output"):
        LabelSpace(SpeciesTable.of_names(["a"]), ("a",), (0, 1), (None,))
