import re

import pytest

from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.species import read_species, rfcx_species, write_species
from rfcx_ssl.species.table import Call


def write(tmp_path, *lines, header="name,code,scientific_name,songtype,f_min_hz,f_max_hz,prevalence"):
    path = tmp_path / "species.csv"
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return path


def test_names_alone_are_enough(tmp_path):
    table = read_species(write(tmp_path, "Gould's finch", "'", "蛙", header="name"))
    assert table.calls == (Call(0, 1, "Gould's finch"), Call(1, 1, "'"), Call(2, 1, "蛙"))


def test_song_types_need_not_stand_together(tmp_path):
    table = read_species(write(tmp_path, "a,,,1,100,200,0.5", "b,x,Bufo b.,3,,,", "a,,,2,300,400,0.5"))
    assert [(c.species_id, c.songtype_id, c.band_hz) for c in table.calls] == [
        (0, 1, (100, 200)), (0, 2, (300, 400)), (1, 3, None),
    ]  # fmt: skip
    assert table.codes == ("a", "x") and table.id_of("bufo b.") == 1


def test_what_is_written_is_read_again(tmp_path):
    write_species(rfcx_species(), tmp_path / "copy.csv")
    assert read_species(tmp_path / "copy.csv") == rfcx_species()


def test_rfcx():
    table = rfcx_species()
    assert len(table) == 24 and len(table.calls) == 26 and table.codes == tuple(f"s{s}" for s in range(24))
    assert table.band_hz(17) == (1312, 7406) and table.band_hz(23) == (6460, 11628)
    assert table.typical_call(17, 4).f_max_hz == 7406 and table.typical_call(17, 9).songtype_id == 1


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["a,,,x,,,"], "species.csv:2: songtype='x' is not a whole number"),
        (["a,,,1,low,9,"], "species.csv:2: f_min_hz='low' is not a number"),
        (["a,,,1,,,", ",,,1,,,"], "species.csv:3: name is empty"),
        (["a,,,1,,,2"], "species.csv: a: prevalence=2 must be in [0, 1]"),
        (["a,,,1,,,", "a,,,1,,,"], "species.csv: a: songtype 1 is listed twice"),
        ([], "species.csv: lists no species"),
    ],
)
def test_a_broken_table_names_file_and_line(tmp_path, rows, words):
    with pytest.raises(AnnotationError, match=re.escape(words)):
        read_species(write(tmp_path, *rows))
