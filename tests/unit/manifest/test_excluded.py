import pytest

from rfcx_ssl.errors import ManifestError
from rfcx_ssl.files import write_csv
from rfcx_ssl.manifest.excluded import names_of, read_recording_ids


@pytest.fixture
def rfcx(tmp_path, make_noise):
    """RFCX's layout: tables beside train/ and test/."""
    for seed, name in enumerate(("train/aa", "train/bb", "train/cc", "test/dd", "test/ee")):
        make_noise(tmp_path / "data" / f"{name}.flac", 8, seed=seed)
    header = "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\n"
    (tmp_path / "data/train_tp.csv").write_text(header + "aa,1,1,0.1,10,0.2,20\nbb,1,1,0.1,10,0.2,20\n")
    (tmp_path / "data/sample_submission.csv").write_text("recording_id,s0\ndd,0.5\nee,0.5\n")
    (tmp_path / "folds.csv").write_text("recording_id,fold\naa,0\nbb,1\n")
    return tmp_path / "data"


def test_lists_and_tables_are_read(tmp_path):
    (tmp_path / "ids.txt").write_text("# held out\naa\n\n b b.wav \n")
    assert read_recording_ids(tmp_path / "ids.txt") == {"aa", "b b.wav"}
    (tmp_path / "folds.csv").write_text("\ufefffold,recording_id\n0,aa\n1,bb\n0,cc\n")
    assert read_recording_ids(tmp_path / "folds.csv") == {"aa", "bb", "cc"}
    assert read_recording_ids(tmp_path / "folds.csv", fold=0) == {"aa", "cc"}
    (tmp_path / "one.csv").write_text("recording_id\naa\n")
    assert read_recording_ids(tmp_path / "one.csv") == {"aa"}
    write_csv(tmp_path / "guarded.csv", ["recording_id", "fold"], [["=1+1", 0], ["a\u2028b", 0], ["c\nd", 1]])
    assert read_recording_ids(tmp_path / "guarded.csv", fold=0) == {"=1+1", "a\u2028b"}
    assert read_recording_ids(tmp_path / "guarded.csv") == {"=1+1", "a\u2028b", "c\nd"}


@pytest.mark.parametrize(
    "text,fold,message",
    [
        ("", None, "names no recordings"),
        ("aa\nbb\n", 0, "needs a CSV with recording_id and fold columns"),
        ("id,fold\naa,0\n", None, r"x\.csv:1: missing column recording_id; the header is 'id,fold'"),
        ("recording_id,x\naa,0\n", 0, "missing column fold"),
        ("recording_id,fold\naa,0\n", 7, "names no recordings of fold 7"),
        ("recording_id,fold\naa,0\nbb\n", None, r"x\.csv:3: 1 cells, the header has 2"),
        ("recording_id,fold,fold\naa,0,1\n", 0, "column 'fold' is there twice"),
    ],
)
def test_wrong_lists_are_named(tmp_path, text, fold, message):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ManifestError, match=message):
        read_recording_ids(tmp_path / "x.csv", fold)


def test_a_recording_may_be_called_by_id_path_name_or_stem():
    assert names_of("train/2021/aa.b.flac") == {"train/2021/aa.b.flac", "2021/aa.b.flac", "aa.b.flac", "aa.b"}


def test_excluded_recordings_are_on_neither_side_nor_is_a_copy_of_them(rfcx, tmp_path, build, segments_of):
    (rfcx / "train/renamed.flac").write_bytes((rfcx / "train/aa.flac").read_bytes())
    report = build(tmp_path / "out", rfcx / "train", excluded={"aa"})
    status = {row["recording_id"]: (row["status"], row["split"]) for row in segments_of(tmp_path / "out")}
    assert status["train/aa.flac"] == status["train/renamed.flac"] == ("excluded", "")
    assert status["train/bb.flac"][0] == "ok"
    assert report.statuses["excluded"] == 8
    assert build(tmp_path / "out", rfcx / "train").statuses["excluded"] == 0


def test_excluding_nothing_by_mistake_is_an_error(rfcx, tmp_path, build):
    with pytest.raises(ManifestError, match=r"none of the 2 recordings to exclude is here, e\.g\. 'no'"):
        build(tmp_path / "out", rfcx / "train", excluded={"no", "none"})


def test_leaking_folds_and_test_recordings_are_said(rfcx, tmp_path, build):
    settings = {"segment_s": 1.0, "flags": {"short_s": 0.5}}
    labelled, test = build(tmp_path / "both", rfcx / "train", rfcx / "test", **settings).warnings
    assert "2 recordings labelled in" in labelled
    assert "--exclude-fold K" in labelled
    assert "2 test recordings of" in test
    fold = read_recording_ids(tmp_path / "folds.csv", fold=0)
    assert build(tmp_path / "train", rfcx / "train", excluded=fold, **settings).warnings == ()
