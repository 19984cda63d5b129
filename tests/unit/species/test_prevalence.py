import numpy as np
import pytest

from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.species import rfcx_species
from rfcx_ssl.species.prevalence import known_prevalence, read_prevalence
from rfcx_ssl.species.table import Call, SpeciesTable

TWO = SpeciesTable((Call(0, 1, "Rana áspera", code="ra"), Call(1, 1, "Hyla sp.", prevalence=0.25)))


def test_the_table_the_file_or_nothing(tmp_path):
    np.testing.assert_array_equal(known_prevalence("table", rfcx_species()), rfcx_species().prevalence)
    assert known_prevalence("table", TWO) is None  # one of them has none
    assert known_prevalence("estimate", rfcx_species()) is None and known_prevalence("none", rfcx_species()) is None
    path = tmp_path / "seen.csv"
    path.write_text("source,prevalence,name\nx,0.5,hyla SP.\ny,0.04,ra\n", encoding="utf-8")
    np.testing.assert_array_equal(known_prevalence(str(path), TWO), [0.04, 0.5])


@pytest.mark.parametrize(
    "rows,message",
    [
        (
            "Rana áspera,0.1\nHyla sp,0.2",
            r"seen.csv:3: name='Hyla sp' is not among the 2 species, did you mean 'Hyla sp.'",
        ),
        ("ra,0.1\nRana áspera,0.2", r"seen.csv:3: Rana áspera is listed twice"),
        ("ra,0.1\nHyla sp.,rare", r"seen.csv:3: prevalence='rare' is not a number"),
        ("ra,10\nHyla sp.,0.1", r"seen.csv:2: prevalence=10 must be in \[0, 1\]"),
        ("ra,nan\nHyla sp.,0.1", r"seen.csv:2: prevalence='nan' is not a finite number"),
        ("ra,0.1", r"seen.csv: 1 of 2 species have no prevalence \(first: Hyla sp.\)"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, rows, message):
    path = tmp_path / "seen.csv"
    path.write_text(f"name,prevalence\n{rows}\n", encoding="utf-8")
    with pytest.raises(AnnotationError, match=message):
        read_prevalence(path, TWO)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(AnnotationError, match=r"tabel: cannot be read"):
        known_prevalence(str(tmp_path / "tabel"), TWO)
