import numpy as np
import pytest
import soundfile

from rfcx_ssl.data import load_truth
from rfcx_ssl.errors import AnnotationError

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


def test_truth_without_audio_is_refused(root):
    with pytest.raises(AnnotationError, match="split 'train' have no audio file"):
        load_truth(root, "train")
    (root / "recordings.csv").write_text("recording_id,split\nzzz,test\n")
    with pytest.raises(AnnotationError, match=r"1 recordings of split 'test' have no audio file \(first: zzz\)"):
        load_truth(root)
