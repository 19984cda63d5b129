import pytest

from rfcx_ssl.annotations import default_label_map, read_extra
from rfcx_ssl.annotations.exchange import recording_of_table
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.species import rfcx_species

RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation"
LABELS = default_label_map(rfcx_species())


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_raven_table_of_one_file(tmp_path):
    path = write(
        tmp_path / "abc.Table.1.selections.txt",
        RAVEN,
        "1\tWaveform 1\t1\t1.0\t2.0\t0\t24000\ts3",
        "1\tSpectrogram 1\t1\t1.0\t2.0\t1000.5\t2800\ts3",
        "2\tSpectrogram 1\t1\t5.0\t6.5\t900\t2000\tEleutherodactylus gryllus",
    )
    annotations = read_extra(path, LABELS)
    assert annotations.events("abc") == (
        (3, 1, 1.0, 2.0, 1000.5, 2800.0, True, 1.0, False),
        (0, 1, 5.0, 6.5, 900.0, 2000.0, True, 1.0, False),
    )
    assert annotations.table["source"].tolist() == [f"{path}:3", f"{path}:4"]


def test_a_raven_table_over_several_files_uses_the_offset(tmp_path):
    head = "Begin Time (s)\tEnd Time (s)\tBegin Path\tFile Offset (s)\tSpecies"
    path = write(tmp_path / "x.txt", head, "61\t62.5\tC:\\birds\\bbb.flac\t1\ts1", "2\t3\t/data/aaa.wav\t2\ts2")
    annotations = read_extra(path, LABELS)
    assert annotations.events("bbb")[0][2:6] == (1.0, 2.5, 3844.0, 5625.0)  # the usual band of species 1
    assert annotations.recording_ids == ["aaa", "bbb"]
    path = write(
        tmp_path / "x.txt", "Begin Time (s)\tEnd Time (s)\tBegin File\tSpecies", "1\t2\ta.wav\ts1", "1\t2\tb.wav\ts1"
    )
    with pytest.raises(AnnotationError, match="spans 2 files: the column 'File Offset"):
        read_extra(path, LABELS)


def test_an_audacity_track_with_and_without_frequencies(tmp_path):
    path = write(tmp_path / "abc.txt", "1.5\t2.5\ts3", "\\\t900.0\t3000.0", "", "4\t5\ts22", "\\\t-1.0\t-1.0")
    assert [event[2:6] for event in read_extra(path, LABELS).events("abc")] == [
        (1.5, 2.5, 900.0, 3000.0),
        (4.0, 5.0, 10688.0, 13688.0),
    ]


@pytest.mark.parametrize(
    "lines,message",
    [
        (["1\t1\ts3"], r"abc\.txt:1: t_min=1 must be below t_max=1"),
        (["1\t2\ts3", "2\t3\tcocqui"], r"abc\.txt:2: unknown label 'cocqui'"),
        (["1\t2"], r"abc\.txt:1: '1\\t2' is not start, end and label"),
        (["1,5\t2\ts3"], r"abc\.txt:1: begin time='1,5' is not a number"),
    ],
)
def test_a_wrong_audacity_line_is_named(tmp_path, lines, message):
    with pytest.raises(AnnotationError, match=message):
        read_extra(write(tmp_path / "abc.txt", *lines), LABELS)


def test_a_raven_table_without_labels_is_refused(tmp_path):
    path = write(tmp_path / "abc.txt", "Begin Time (s)\tEnd Time (s)\tView", "1\t2\tSpectrogram 1")
    with pytest.raises(AnnotationError, match=r"abc\.txt:1: no label column"):
        read_extra(path, LABELS)
    empty = write(tmp_path / "abc.txt", "Begin Time (s)\tEnd Time (s)\tAnnotation")
    assert len(read_extra(empty, LABELS)) == 0


@pytest.mark.parametrize(
    "name", ["abc.Table.1.selections.txt", "abc.selections.txt", "abc.labels.txt", "abc.txt", "abc"]
)
def test_the_recording_of_a_table_is_in_its_name(tmp_path, name):
    assert recording_of_table(tmp_path / name) == "abc"


def test_the_kind_of_an_extra_file_is_seen_from_its_head(tmp_path):
    folder = tmp_path / "extra"
    folder.mkdir()
    write(folder / "a.txt", "1\t2\ts1")
    write(folder / "b.txt", RAVEN, "1\tSpectrogram 1\t1\t1.0\t2.0\t1\t2\ts3")
    write(
        folder / "c.csv", "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max,state", "c,5,1,0,1,1,2,absent"
    )
    annotations = read_extra(folder, LABELS)
    assert [(n, annotations.events(n)[0].species_id) for n in annotations.recording_ids] == [
        ("a", 1),
        ("b", 3),
        ("c", 5),
    ]
    (tmp_path / "none").mkdir()
    with pytest.raises(AnnotationError, match=r"holds no \.csv"):
        read_extra(tmp_path / "none", LABELS)
    with pytest.raises(AnnotationError, match="cannot be read as a label table"):
        read_extra(tmp_path / "nowhere.txt", LABELS)
