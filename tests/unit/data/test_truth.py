import shutil

import numpy as np
import pytest
import soundfile

from rfcx_ssl.data import load_truth
from rfcx_ssl.errors import AnnotationError, AudioError
from rfcx_ssl.species import SpeciesTable, write_species

HEADER = "recording_id,split,species_id,songtype_id,t_min,f_min,t_max,f_max,snr_db\n"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "test").mkdir()
    for name in ("aaa", "bbb"):
        soundfile.write(tmp_path / "test" / f"{name}.flac", np.zeros(100, np.int16), 16_000)
    rows = ["aaa,test,3,1,1,1000,2,2000,4.5", "aaa,test,3,1,3,1000,4,2000,4", "ccc,train,4,1,1,1000,2,2000,-3"]
    (tmp_path / "truth.csv").write_text(HEADER + "\n".join(rows) + "\n")
    return tmp_path


@pytest.mark.parametrize("table", [True, False])
def test_a_silent_recording_belongs_to_the_truth(root, table):
    if table:
        (root / "recordings.csv").write_text(
            "recording_id,split,site,duration_s\nbbb,test,s,1\naaa,test,s,1\nccc,train,s,1\n"
        )
    truth = load_truth(root)
    assert truth.recording_ids == ("aaa", "bbb")
    assert truth.truth.shape == (2, 24) and np.argwhere(truth.truth).tolist() == [[0, 3]]
    assert [len(truth.events.events(name)) for name in truth.recording_ids] == [2, 0]
    assert all(truth.events.is_complete(name) for name in truth.recording_ids)
    assert [path.name for path in truth.paths] == ["aaa.flac", "bbb.flac"]
    assert load_truth(root / "truth.csv", "test").recording_ids == truth.recording_ids


@pytest.mark.parametrize(("column", "noted"), [("site", ""), ("observer_7", "columns not used: observer_7")])
def test_only_columns_that_mean_nothing_are_noted(root, caplog, column, noted):
    (root / "recordings.csv").write_text(f"recording_id,split,{column},duration_s\nbbb,test,s,1\naaa,test,s,1\n")
    with caplog.at_level("INFO"):
        load_truth(root)
    assert (noted in caplog.text) if noted else not caplog.records


def edit(root, old, new):
    table = root / "truth.csv"
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("aaa,test,3,1,3", "ddd,test,3,1,3", r"truth.csv:3: no recording 'ddd' in .*test"),
        ("aaa,test,3", "aaa,test,24", r"truth.csv:2: species_id=24 is unknown: must be 0 to 23"),
        ("1,1000", "later,1000", r"truth.csv:2: t_min='later' is not a number"),
        ("1,1000,2", "2,1000,1", r"truth.csv:2: t_min=2 must be below t_max=1"),
        ("t_max", "tmax", r"truth.csv:1: missing column t_max"),
    ],
)
def test_a_wrong_table_is_named_by_line(root, old, new, message):
    edit(root, old, new)
    with pytest.raises(AnnotationError, match=message):
        load_truth(root)


def test_without_a_split_column_all_rows_are_about_the_recordings_found(root):
    (root / "truth.csv").write_text("recording_id,species_id,t_min,f_min,t_max,f_max\naaa,17,1,1000,2,2000\n")
    truth = load_truth(root)
    assert truth.recording_ids == ("aaa", "bbb") and np.argwhere(truth.truth).tolist() == [[0, 17]]
    assert [[call.songtype_id for call in calls] for calls in truth.calls] == [[1], []]  # its first song type
    (root / "recordings.csv").write_text("recording_id,site\naaa,x\nbbb,y\n")
    assert load_truth(root).recording_ids == ("aaa", "bbb"), "it says nothing about splits"
    edit(root, "aaa", "zzz")
    with pytest.raises(AnnotationError, match=r"truth.csv:2: no recording 'zzz'"):
        load_truth(root)


def test_recordings_of_any_kind_and_depth_are_found(root):
    (root / "test" / "site").mkdir()
    soundfile.write(root / "test" / "site" / "ccc.WAV", np.zeros(100, np.int16), 16_000, format="WAV")
    edit(root, "ccc,train", "ccc,test")
    truth = load_truth(root)
    assert [path.name for path in truth.paths] == ["aaa.flac", "bbb.flac", "ccc.WAV"]
    assert [len(calls) for calls in truth.calls] == [2, 0, 1]


def test_what_is_missing_is_named(root):
    (root / "truth.csv").unlink()
    with pytest.raises(AnnotationError, match="complete truth is needed"):
        load_truth(root)
    with pytest.raises(AnnotationError, match="rfcx-ssl synth"):
        load_truth(root / "nowhere")


def test_truth_without_audio_is_refused(root):
    with pytest.raises(AnnotationError, match="split 'train' have no audio file"):
        load_truth(root, "train")
    (root / "recordings.csv").write_text("recording_id,split\nzzz,test\n")
    with pytest.raises(AnnotationError, match=r"1 recordings of split 'test' have no audio file \(first: zzz\)"):
        load_truth(root)


def test_calls_on_an_mp3_without_exact_time_are_no_truth(root, bare_mp3):
    shutil.copy(bare_mp3, root / "test" / "ddd.mp3")
    assert load_truth(root).recording_ids == ("aaa", "bbb", "ddd")  # nothing calls in it
    (root / "test" / "aaa.flac").unlink()
    shutil.copy(bare_mp3, root / "test" / "aaa.mp3")
    with pytest.raises(AudioError, match=r"aaa\.mp3: MP3 without a LAME delay tag"):
        load_truth(root)


def test_a_test_recording_that_was_cut_off_is_named(root):
    (root / "test" / "aaa.flac").unlink()
    path = root / "test" / "aaa.wav"
    soundfile.write(path, np.zeros(80_000, np.int16), 16_000)
    path.write_bytes(path.read_bytes()[:20_044])
    with pytest.raises(AudioError, match=r"aaa\.wav: truncated: its header states 160000 bytes of audio"):
        load_truth(root)


def test_species_of_a_project_beside_its_truth(root):
    """Names and number of species are those of species.csv, where there is one."""
    write_species(SpeciesTable.of_names(["owl", "wren", "bat", "frog", "tick"]), root / "species.csv")
    truth = load_truth(root)
    assert truth.space.species_names == ("owl", "wren", "bat", "frog", "tick")
    assert truth.truth.tolist() == [[0, 0, 0, 1, 0], [0, 0, 0, 0, 0]]
