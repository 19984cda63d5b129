"""Lists of species to look for."""

import numpy as np
import pytest

from rfcx_ssl.decoding.score_map import ScoreMap
from rfcx_ssl.decoding.species_list import species_shift, wanted_species
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.species.table import Call, SpeciesTable

SPECIES = SpeciesTable(
    (
        Call(0, 1, "Coqui", code="COQ", scientific_name="Eleutherodactylus coqui"),
        Call(1, 1, "Wren", code="WRE"),
        Call(2, 1, "Parrot"),
    )
)


@pytest.mark.parametrize(
    ("include", "exclude", "wanted"),
    [
        ([], [], [True, True, True]),
        (["wren"], [], [False, True, False]),
        ([], ["COQ"], [False, True, True]),
        (["eleutherodactylus coqui", "Parrot"], ["parrot"], [True, False, False]),
    ],
)
def test_names_and_codes(include, exclude, wanted):
    assert wanted_species(SPECIES, include, exclude).tolist() == wanted


def test_a_file_holds_a_name_per_line(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("\ufeff# heard here\nCoqui  # everywhere\n\n WRE \n", encoding="utf-8")
    assert wanted_species(SPECIES, [str(path)], ["Wren"]).tolist() == [True, False, False]


def test_others_are_never_heard():
    shift = species_shift(wanted_species(SPECIES, ["Wren"]))
    assert ScoreMap.identity(3).shifted(shift)(np.full((1, 3), 0.7)).tolist() == [[0.0, pytest.approx(0.7), 0.0]]


def test_what_is_wrong_is_named(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("Coqui\nWern\n")
    with pytest.raises(AnnotationError, match=r"list\.txt:2: 'Wern' is none of the 3 species, did you mean 'Wren'"):
        wanted_species(SPECIES, [], [str(path)])
    with pytest.raises(ConfigError, match="'Parot' is none of the 3 species and no file, did you mean 'Parrot'"):
        wanted_species(SPECIES, ["Parot"])
    with pytest.raises(ConfigError, match="none is left"):
        wanted_species(SPECIES, ["Wren"], ["Wren"])
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AnnotationError, match="cannot be read"):
        wanted_species(SPECIES, [str(path)])
