"""Complete truth is read strictly."""

import pytest

from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.report.testset import load_test_set
from rfcx_ssl.species import rfcx_label_space


def test_truth_of_the_test_recordings_only(forest):
    test_set = load_test_set(forest, rfcx_label_space())
    assert [path.stem for path in test_set.paths] == ["aa", "bb", "cc"]
    assert [[call.species_id for call in own] for own in test_set.calls] == [[0, 3, 3], [3], []]
    assert test_set.truth.shape == (3, 24)
    assert test_set.truth.nonzero()[1].tolist() == [0, 3, 3]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("bb,test,3", "dd,test,3", r"truth.csv:4: no recording test/dd.flac"),
        ("aa,test,0", "aa,test,24", r"truth.csv:3: species_id=24 is not in 0..23"),
        ("0.5,1031", "later,1031", r"truth.csv:2: could not convert string to float: 'later'"),
        ("0.2,5906,0.9", "0.9,5906,0.2", r"truth.csv:3: need t_min < t_max"),
        ("t_max", "tmax", r"truth.csv:1: missing columns t_max"),
    ],
)
def test_a_wrong_table_is_named_by_line(forest, old, new, message):
    table = forest / "truth.csv"
    table.write_text(table.read_text().replace(old, new, 1))
    with pytest.raises(AnnotationError, match=message):
        load_test_set(forest, rfcx_label_space())


def test_what_is_missing_is_named(forest):
    (forest / "truth.csv").unlink()
    with pytest.raises(AnnotationError, match="complete truth is needed"):
        load_test_set(forest, rfcx_label_space())
    with pytest.raises(AnnotationError, match="rfcx-ssl synth"):
        load_test_set(forest / "nowhere", rfcx_label_space())
