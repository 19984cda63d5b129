from collections import Counter
from itertools import combinations, product
from pathlib import Path

import pytest

from rfcx_ssl.annotations import WHOLE, Conflicts, find_conflicts, read_annotations, read_complete, read_truth_events
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.species import rfcx_species

HEADER = "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max"
REAL = Path(__file__).parents[3].parent / "shared" / "data" / "rfcx"
needs_real_tables = pytest.mark.skipif(not (REAL / "train_tp.csv").is_file(), reason="the real tables are not here")


def write(path, *rows, header=HEADER):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_tables_of_a_folder_and_extra_tables_come_together(tmp_path):
    write(tmp_path / "train_tp.csv", "aaa,3,1,1,1000,2,2000")
    write(tmp_path / "train_fp.csv", "aaa,4,1,1,1000,2,2000")
    extra = write(tmp_path / "more.csv", "bbb,5,1,1,1000,2,2000")
    annotations = read_annotations(tmp_path, species=rfcx_species(), extra_tables=[extra], complete=["ccc"])
    assert Counter(annotations.table["state"]) == {"present": 2, "absent": 1}
    assert annotations.recording_ids == ["aaa", "bbb", "ccc"]


def test_a_folder_without_rejected_boxes_is_reported(tmp_path, caplog):
    write(tmp_path / "train_tp.csv", "aaa,3,1,1,1000,2,2000")
    assert len(read_annotations(tmp_path, species=rfcx_species())) == 1
    assert "no train_fp.csv: no species will be known to be absent" in caplog.text


def test_a_missing_root_or_table_is_an_annotation_error(tmp_path):
    with pytest.raises(AnnotationError, match="is not a folder"):
        read_annotations(tmp_path / "nowhere", species=rfcx_species())
    with pytest.raises(AnnotationError, match=r"train_tp\.csv: cannot be read"):
        read_annotations(tmp_path, species=rfcx_species())


def test_complete_recordings_are_one_id_a_line(tmp_path):
    path = tmp_path / "complete.txt"
    path.write_text("# by Ann, 2026\naaa\n\nbbb\n")
    assert read_complete(path, rfcx_species()) == {"aaa": (WHOLE,), "bbb": (WHOLE,)}
    path.write_text("aaa\nbbb ccc\n")
    with pytest.raises(AnnotationError, match=r"complete\.txt:2: 'bbb ccc' is not one recording id"):
        read_complete(path, rfcx_species())
    with pytest.raises(AnnotationError, match="cannot be read"):
        read_complete(tmp_path / "none.txt", rfcx_species())


def test_truth_is_complete_and_split(tmp_path):
    rows = ["aaa,test,3,1,1,1000,2,2000,4.5", "bbb,train,4,1,1,1000,2,2000,-3"]
    path = write(
        tmp_path / "truth.csv",
        *rows,
        header="recording_id,split,species_id,songtype_id,t_min,f_min,t_max,f_max,snr_db",
    )
    assert read_truth_events(path, species=rfcx_species(), split="test").recording_ids == ["aaa"]
    assert read_truth_events(path, species=rfcx_species()).complete.keys() == {"aaa", "bbb"}
    with pytest.raises(AnnotationError, match="no row has split='valid'; have test, train"):
        read_truth_events(path, species=rfcx_species(), split="valid")


@needs_real_tables
def test_the_real_tables_are_read_whole():
    annotations = read_annotations(REAL, species=rfcx_species())
    assert Counter(annotations.table["state"]) == {"present": 1216, "absent": 7781}
    assert len(annotations.recording_ids) == 4727
    present = annotations.table[annotations.table["state"] == "present"]
    assert len(set(present["recording_id"])) == 1132
    assert sorted(set(present["species_id"])) == list(range(24))
    pairs = Counter(zip(present["species_id"], present["songtype_id"], strict=True))
    assert len(pairs) == 26 and pairs[17, 4] == 28 and pairs[16, 4] == 50 and pairs[22, 1] == 44
    assert annotations.outside(dict.fromkeys(annotations.recording_ids, 60.0)) == []
    assert list(annotations.inaudible(16_000)) == [22] and annotations.inaudible(32_000) == {}


@needs_real_tables
def test_conflicts_of_the_real_tables_are_those_that_docs_labels_md_states():
    annotations = read_annotations(REAL, species=rfcx_species())
    same_species, crossing, overlapping_present = Counter(), 0, 0
    for name in annotations.recording_ids:
        events = annotations.events(name)
        present, absent = [e for e in events if e.present], [e for e in events if not e.present]
        for heard, ruled_out in product(present, absent):
            crossing += heard.start_s < ruled_out.end_s and ruled_out.start_s < heard.end_s
            if heard.species_id == ruled_out.species_id:
                assert heard.end_s <= ruled_out.start_s or ruled_out.end_s <= heard.start_s
        for ruled_out in absent:
            same_species[ruled_out.species_id] += ruled_out.species_id in {e.species_id for e in present}
        overlapping_present += sum(a.start_s < b.end_s and b.start_s < a.end_s for a, b in combinations(present, 2))
    assert +same_species == {16: same_species[16], 17: same_species[17]} and same_species.total() == 6
    assert (crossing, overlapping_present) == (160, 28)
    assert find_conflicts(annotations) == Conflicts(contradicting=0, same_species=6, crossing=160, overlapping=28)
