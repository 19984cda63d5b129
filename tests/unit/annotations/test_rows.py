import pytest

from rfcx_ssl.annotations import read_table
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.species import rfcx_species

HEADER = "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max"
GOOD = "aaa,3,1,1.5,1000,2.5,2800"


def table(tmp_path, *lines, header=HEADER):
    path = tmp_path / "extra.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_reads_columns_in_any_order_and_says_where_a_row_came_from(tmp_path):
    path = table(
        tmp_path, "3,1,aaa,2.5,1.5,2800,1000", header="species_id,songtype_id,recording_id,t_max,t_min,f_max,f_min"
    )
    annotations = read_table(path, state="absent", species=rfcx_species())
    (event,) = annotations.events("aaa")
    assert event == (3, 1, 1.5, 2.5, 1000.0, 2800.0, False, 1.0, False)
    assert annotations.table["source"].tolist() == [f"{path}:2"]


def test_a_row_may_carry_its_own_state_and_weight(tmp_path):
    path = table(tmp_path, f"{GOOD},absent,0.25", f"{GOOD},present,1", header=f"{HEADER},state,weight")
    assert [
        (e.present, e.weight) for e in read_table(path, state="present", species=rfcx_species()).events("aaa")
    ] == [
        (False, 0.25),
        (True, 1.0),
    ]


def test_blank_lines_are_skipped_and_counted(tmp_path):
    path = table(tmp_path, GOOD, "", "bbb,24,1,0,1,1,2")
    with pytest.raises(AnnotationError, match=r"extra\.csv:4: species_id=24 is unknown: must be 0 to 23"):
        read_table(path, state="present", species=rfcx_species())


@pytest.mark.parametrize(
    "row,message",
    [
        ("aaa,-1,1,0,0,1,1", "species_id=-1 is unknown"),
        ("aaa,x,1,0,0,1,1", "species_id='x' is not a whole number"),
        ("aaa,2.5,1,0,0,1,1", "species_id='2.5' is not a whole number"),
        ("aaa,3,1,2,0,2,1", "t_min=2 must be below t_max=2"),
        ("aaa,3,1,0,9,1,8", "f_min=9 must be below f_max=8"),
        ("aaa,3,1,-1,0,1,1", "t_min=-1 must not be negative"),
        ("aaa,3,1,0,-3,1,1", "f_min=-3 must not be negative"),
        ("aaa,3,1,nan,0,1,1", "t_min='nan' is not a finite number"),
        (",3,1,0,0,1,1", "recording_id is empty"),
        ("aaa,3,1,0,0,1", "6 cells, the header has 7"),
    ],
)
def test_a_broken_rule_names_file_line_value_and_rule(tmp_path, row, message):
    with pytest.raises(AnnotationError) as caught:
        read_table(table(tmp_path, GOOD, row), state="present", species=rfcx_species())
    assert str(caught.value) == f"{tmp_path / 'extra.csv'}:3: {message}" or message in str(caught.value)
    assert "extra.csv:3: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_further_wrong_rows_are_counted(tmp_path):
    with pytest.raises(AnnotationError, match=r"csv:2: .*\(and 2 more wrong rows\)"):
        read_table(table(tmp_path, *["aaa,99,1,0,0,1,1"] * 3), state="present", species=rfcx_species())


@pytest.mark.parametrize(
    "header,message",
    [
        ("recording_id,species_id,t_min,f_min,t_max", "missing column songtype_id, f_max"),
        (f"{HEADER},wieght", "unknown column 'wieght', did you mean 'weight'"),
    ],
)
def test_a_wrong_header_is_named(tmp_path, header, message):
    with pytest.raises(AnnotationError, match=message):
        read_table(table(tmp_path, header=header), state="present", species=rfcx_species())


def test_columns_nobody_asked_for_are_ignored(tmp_path):
    assert (
        len(
            read_table(
                table(tmp_path, f"{GOOD},hello", header=f"{HEADER},comment"), state="present", species=rfcx_species()
            )
        )
        == 1
    )


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_an_unreadable_table_is_an_annotation_error(tmp_path, content):
    path = tmp_path / "extra.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AnnotationError, match=r"extra\.csv"):
        read_table(path, state="present", species=rfcx_species())
