"""What a sample asks for, which species its columns mean, and what is written."""

import csv

import numpy as np
import pytest

from rfcx_ssl.detection.submission import audio_of, read_sample
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.species import rfcx_species
from rfcx_ssl.species.table import Call, SpeciesTable

CODED = SpeciesTable(
    (Call(0, 1, "Wren", "wr"), Call(0, 4, "Wren", "wr"), Call(1, 1, "Ōtaki frog", "of", "Litoria o."))
)


def sample(folder, text):
    (folder / "sample_submission.csv").write_text(text, encoding="utf-8")
    return read_sample(folder)


def columns(folder, *names):
    return sample(folder, ",".join(["recording_id", *names]) + "\nx" + ",0.5" * len(names) + "\n")


def test_a_sample_has_ids_and_columns_in_its_order(tmp_path):
    found = sample(tmp_path, "recording_id,s1,s0\nzz,,\naa,0.5,what\n")
    assert found.ids == ("zz", "aa") and found.columns == ("s1", "s0")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recording_id,s0\nx,0\ny,0\nx,0\n", r":4: recording_id='x' is listed in line 2, too"),
        ("recording_id,s0\n,0\n", r":2: recording_id='' is empty"),
        ("recording_id,s0\n", "needs rows"),
        ("recording_id\nx\n", "columns of species"),
        ("row,s0\nx,0\n", "missing column recording_id"),
        ("", "sample_submission.csv"),
    ],
)
def test_a_sample_that_breaks_a_rule_is_refused(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=message):
        sample(tmp_path, text)


def test_columns_are_codes_names_or_scientific_names_in_any_order(tmp_path):
    assert columns(tmp_path, "of", "wr").species_of(CODED, "m").tolist() == [1, 0]
    assert columns(tmp_path, "WREN", "litoria o.").species_of(CODED, "m").tolist() == [0, 1]
    shuffled = np.random.default_rng(0).permutation(24)
    names = [f"s{number}" for number in shuffled]
    assert columns(tmp_path, *names).species_of(rfcx_species(), "m").tolist() == shuffled.tolist()


def test_numbers_are_ids_where_no_species_has_a_code(tmp_path):
    plain = SpeciesTable.of_names(["b", "a", "s0 of old"])
    assert columns(tmp_path, "s2", "s0", "s1").species_of(plain, "m").tolist() == [2, 0, 1]
    with pytest.raises(ConfigError, match="column 's0' is none of the 2 species of model m"):
        columns(tmp_path, "s0", "s1").species_of(CODED, "m")
    for wrong in ("s3", "s01", "s", "s²", "2"):
        with pytest.raises(ConfigError, match=f"column '{wrong}' is none"):
            columns(tmp_path, "s0", "s1", wrong).species_of(plain, "m")


def test_columns_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(ConfigError, match="'wrr' is none of the 2 species of model m, did you mean 'wr'"):
        columns(tmp_path, "wrr", "of").species_of(CODED, "m")
    with pytest.raises(ConfigError, match="has no column for Wren of model m"):
        columns(tmp_path, "of").species_of(CODED, "m")
    with pytest.raises(ConfigError, match="columns 'wr' and 'Wren' are both Wren"):
        columns(tmp_path, "wr", "Wren", "of").species_of(CODED, "m")


def test_the_test_folder_comes_first_then_all_else(tmp_path):
    found = sample(tmp_path, "recording_id,s0\nb,0\na,0\nmissing,0\n")
    for name in ("train/a.wav", "test/a.flac", "more/b.ogg", "test/c.flac"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert audio_of(found, tmp_path) == {"b": tmp_path / "more/b.ogg", "a": tmp_path / "test/a.flac"}
    assert list(audio_of(found, tmp_path)) == ["b", "a"]


def test_what_is_written_comes_back(tmp_path):
    found = sample(tmp_path, "s1,recording_id,s0\n0,x,0\n0,y,0\n")
    scores = np.array([[0.0, 1 / 3], [1.0, np.float32(1e-9)]])
    found.write(tmp_path / "out.csv", scores)
    header, *rows = csv.reader((tmp_path / "out.csv").read_text().splitlines())
    assert header == ["s1", "recording_id", "s0"] and [row[1] for row in rows] == ["x", "y"]
    np.testing.assert_allclose([[float(row[0]), float(row[2])] for row in rows], scores, rtol=1e-7)
    for wrong in (np.nan, np.inf, 1.1, -0.1):
        with pytest.raises(ValueError, match=r"\(2, 2\) numbers in \[0, 1\]"):
            found.write(tmp_path / "out.csv", np.array([[0, wrong], [0, 0]]))
