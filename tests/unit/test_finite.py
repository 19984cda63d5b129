"""One rule for numbers from outside, through every door: cells of tables, settings, saved files, words of a command."""

import argparse

import pytest

from rfcx_ssl.annotations.complete import read_complete
from rfcx_ssl.annotations.label_map import default_label_map
from rfcx_ssl.annotations.read import read_extra
from rfcx_ssl.annotations.rows import read_table
from rfcx_ssl.config import load_settings
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.errors import AnnotationError, ConfigError, ManifestError
from rfcx_ssl.files import iter_csv
from rfcx_ssl.finite import parse_number, parse_whole
from rfcx_ssl.folds import Folds
from rfcx_ssl.labels.pseudo import PseudoLabels, write_pseudo_labels
from rfcx_ssl.manifest.places import read_places
from rfcx_ssl.program import finite
from rfcx_ssl.species import read_species, rfcx_species
from rfcx_ssl.species.prevalence import read_prevalence

WRONG = ("nan", "NaN", "inf", "-inf", "Infinity", "1e308", "1e400", "9" * 5000, "1_0", "", "x", "0x10")
RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tSpecies\n"
BOXES = "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\n"


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_usable_number_is_named(text):
    for parse in (parse_number, parse_whole):
        with pytest.raises(ValueError, match=r"^t_min=") as caught:
            parse("t_min", text)
        assert len(str(caught.value)) < 100
    with pytest.raises(argparse.ArgumentTypeError):
        finite(text)


def test_usable_numbers_are_themselves():
    assert (parse_number("x", " 1.5e3"), parse_whole("x", "3.0"), parse_whole("x", "-2"), finite("0.5")) == (
        1500,
        3,
        -2,
        0.5,
    )
    with pytest.raises(ValueError, match=r"x='2\.5' is not a whole number"):
        parse_whole("x", "2.5")


def refused(path, text, read, error=AnnotationError):
    path.write_text(text)
    with pytest.raises(error) as caught:
        read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("value", ["nan", "inf", "1e308"])
def test_tables_of_labels(tmp_path, value):
    labels, species = default_label_map(rfcx_species()), rfcx_species()

    def extra(path):
        read_extra(path, labels)

    for place in range(4):
        cells = ["1", "2", "100", "200"]
        cells[place] = value
        start, end, low, high = cells
        row = f"1\tSpectrogram 1\t1\t{start}\t{end}\t{low}\t{high}\ts3\n"
        assert ":2: " in refused(tmp_path / "a.Table.1.selections.txt", RAVEN + row, extra)
        assert ":1: " in refused(tmp_path / "a.labels.txt", f"{start}\t{end}\ts3\n\\\t{low}\t{high}\n", extra)

    def boxes(path):
        read_table(path, state="present", species=species)

    for place, name in enumerate(BOXES.strip().split(",")[1:], start=1):
        cells = ["rec", "3", "1", "1", "100", "2", "200"]
        cells[place] = value
        assert f":2: {name}=" in refused(tmp_path / "tp.csv", BOXES + ",".join(cells), boxes)
    for times in (f"{value},2", f"1,{value}"):
        assert ":2: " in refused(
            tmp_path / "c.csv", f"file,start_s,end_s\na,{times}\n", lambda path: read_complete(path, species)
        )


def test_other_tables(tmp_path):
    digits = "9" * 5000
    fold = refused(tmp_path / "folds.csv", f"recording_id,fold,group\na,0,a\nb,{digits},b\n", Folds.load)
    assert ":3: fold=" in fold and len(fold) < 300
    assert ":3: fold=" in refused(
        tmp_path / "folds.csv", "recording_id,fold,group\na,0,a\nb,1000000000,b\n", Folds.load
    )
    for column in ("songtype", "f_min_hz", "prevalence"):
        assert f":2: {column}=" in refused(tmp_path / "s.csv", f"name,{column}\nWren,nan\n", read_species)
    assert "prevalence='inf'" in refused(
        tmp_path / "p.csv", "name,prevalence\ns3,inf\n", lambda path: read_prevalence(path, rfcx_species())
    )


@pytest.mark.parametrize("frame_s", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_pseudo_labels_have_frames_of_some_length(tmp_path, frame_s):
    write_pseudo_labels(tmp_path / "p.parquet", [], output_names=["a"], frame_s=frame_s)
    with pytest.raises(AnnotationError, match=r"p\.parquet: not a pseudo-label file .*frame_s="):
        PseudoLabels.load(tmp_path / "p.parquet")


def test_two_columns_of_one_name_and_a_recording_listed_twice(tmp_path):
    species = rfcx_species()
    said = refused(
        tmp_path / "tp.csv",
        BOXES.replace("t_max", "t_min"),
        lambda path: read_table(path, state="present", species=species),
    )
    assert ":1: column 't_min' is there twice" in said
    assert ":1: column 'x' is there twice" in refused(
        tmp_path / "a.csv", "a,x,x\n1,2,3\n", lambda path: list(iter_csv(path, ("a",), None))
    )
    (tmp_path / "a.csv").write_text("a,,\n1,2,3\n")  # columns without a name, as spreadsheets leave them behind
    assert list(iter_csv(tmp_path / "a.csv", ("a",))) == [(2, {"a": "1"})]
    twice = "recording_id,site\na,north\na,south\n"
    assert ":3: recording a is listed twice" in refused(tmp_path / "r.csv", twice, read_places, ManifestError)


@pytest.mark.parametrize(
    "override",
    ["block_s=nan", "block_s=inf", "window_s=.inf", "window_s=nan", "picture_s=nan", "picture_s=1e300", "threshold=nan", "longest_clip_s=inf",
     "batch_size=99999999999999999999", "prevalence_recordings=" + "9" * 5000],
)  # fmt: skip
def test_settings_of_detection(override):
    with pytest.raises(ConfigError) as caught:
        load_settings(DetectSettings, "inference", "detect", [override])
    assert override.split("=")[0] in str(caught.value) and "\n" not in str(caught.value)
