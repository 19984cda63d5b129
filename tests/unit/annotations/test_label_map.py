import pytest

from rfcx_ssl.annotations import default_label_map, read_label_map
from rfcx_ssl.annotations.label_map import Meaning
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.species import rfcx_species


@pytest.mark.parametrize(
    "label,meaning",
    [
        ("s3", (3, 1)),
        (" 3 ", (3, 1)),
        ("Eleutherodactylus Coqui", (3, 1)),
        ("s16", (16, 4)),  # the only song type of species 16
        ("s17", (17, 1)),
        ("S17_song4", (17, 4)),
        ("turdus plumbeus song 4", (17, 4)),
    ],
)
def test_without_a_map_numbers_and_names_are_understood(label, meaning):
    assert default_label_map(rfcx_species())[label] == Meaning(*meaning, "present")


def test_an_unknown_label_gets_a_suggestion():
    with pytest.raises(
        ValueError, match="unknown label 'eleutherodactylus coki': did you mean 'eleutherodactylus coqui'"
    ):
        default_label_map(rfcx_species())["eleutherodactylus coki"]
    with pytest.raises(ValueError, match="unknown label 'zzzzzz': add it to the label map"):
        default_label_map(rfcx_species())["zzzzzz"]


def test_a_map_may_skip_and_reject(tmp_path):
    path = tmp_path / "map.csv"
    path.write_text(
        "label,species_id,songtype_id,state\nCoqui,3,,\nno coqui,3,1,absent\ncar,,,\nthrush,17,4,present\n"
    )
    labels = read_label_map(path, rfcx_species())
    assert labels["COQUI"] == (3, 1, "present") and labels["no coqui"] == (3, 1, "absent")
    assert labels["car"] is None and labels["thrush"] == (17, 4, "present")


@pytest.mark.parametrize(
    "row,message",
    [
        ("coqui,24,,", "species_id='24' is unknown: must be 0 to 23"),
        ("coqui,3,one,", "songtype_id='one' is not a whole number"),
        ("coqui,3,1,maybe", "state='maybe' must be one of present, absent"),
        ("CAR,3,,", "label 'CAR' is empty or listed twice"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, row, message):
    path = tmp_path / "map.csv"
    path.write_text(f"label,species_id,songtype_id,state\ncar,,,\n{row}\n")
    with pytest.raises(AnnotationError, match=r"map\.csv:3: " + message):
        read_label_map(path, rfcx_species())
