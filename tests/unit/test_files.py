"""A file is whole or not there."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.files import (
    atomic_folder,
    atomic_path,
    guard_cell,
    name_of_safe,
    remove_leftovers,
    safe_name,
    unguard_cell,
    write_csv,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_failed_folder_leaves_the_old_one_and_nothing_else(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "weights").write_text("old")
    with pytest.raises(RuntimeError), atomic_folder(target) as temporary:
        (temporary / "weights").write_text("half")
        raise RuntimeError
    assert (target / "weights").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_new_folder_replaces_the_old_one_whole(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").write_text("")
    with atomic_folder(target, durable=True) as temporary:
        (temporary / "new").write_text("")
    assert [path.name for path in target.iterdir()] == ["new"]


def test_what_killed_writers_left_is_removed(tmp_path):
    (tmp_path / ".a.txt.17.tmp").write_text("half")
    (tmp_path / ".model.17.tmp").mkdir()
    (tmp_path / ".lock").write_text("")
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_table_is_quoted_where_it_must_be_and_whole_or_not_there(tmp_path):
    path = tmp_path / "a.csv"
    assert write_csv(path, ("id", "text"), ([number, text] for number, text in enumerate(("a,b", 'say "é"', "")))) == 3
    assert path.read_bytes() == 'id,text\n0,"a,b"\n1,"say ""é"""\n2,\n'.encode()
    with pytest.raises(ZeroDivisionError):
        write_csv(path, ("id",), ([1 / number] for number in (1, 0)))
    assert path.read_bytes().startswith(b"id,text") and [item.name for item in tmp_path.iterdir()] == ["a.csv"]
    assert write_csv(path, ("id",), []) == 0 and path.read_bytes() == b"id\n"


@pytest.mark.parametrize(
    "name,path",
    [
        ("site 1/20210301_050000", "site 1/20210301_050000"),
        ("Piñón/鳥 🐦👩‍🔬", "Piñón/鳥 🐦👩‍🔬"),
        ("/etc/passwd", "%2Fetc/passwd"),
        ("../../up", "%2E%2E/%2E%2E/up"),
        ("a/./b", "a/%2E/b"),
        ("a//b/", "a%2F/b%2F"),
        ("nul\0byte", "nul%00byte"),
        ("line\nbreak\x85", "line%0Abreak%C2%85"),
        ("CON/com1.old/console", "%43ON/%63om1.old/console"),
        ("12:30?*<>|\"\\", "12%3A30%3F%2A%3C%3E%7C%22%5C"),
        ("ends. /here.", "ends.%20/here%2E"),
        ("100%/%41", "100%/%2541"),
        ("not \udcff utf-8", "not %FF utf-8"),
    ],
)  # fmt: skip
def test_a_safe_name_is_below_its_folder_and_is_read_back(name, path):
    assert safe_name(name) == path
    assert name_of_safe(path) == name


@settings(deadline=None, max_examples=300)
@given(st.text(st.one_of(st.sampled_from("/.%: c\\\0oOnN25Ff"), st.characters()), min_size=1, max_size=40))
def test_whatever_a_name_holds(name):
    path = safe_name(name)
    assert name_of_safe(path) == name or any("\ud800" <= c <= "\udfff" for c in name)
    parts = path.split("/")
    assert not {"", ".", ".."} & set(parts) and "\0" not in path and "\\" not in path
    path.encode("utf-8")
    assert "/" not in safe_name(name, folders=False)


def test_long_names_are_cut_and_stay_apart():
    first, second = safe_name("ü" * 300), safe_name("ü" * 299 + "u")
    assert first != second and first.startswith("üüü")
    assert max(len(name.encode()) for name in (first, second)) <= 200
    assert safe_name("a/" + "b" * 200) == "a/" + "b" * 200
    with pytest.raises(ValueError, match="empty"):
        safe_name("")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "＝x", "'=1", "''-1", "'", "'a", "a=b", "", "=", "'x'="])  # fmt: skip  # noqa: RUF001
def test_no_spreadsheet_runs_a_guarded_cell_and_none_is_lost(text):
    cell = guard_cell(text)
    assert cell[:1] not in list("=+-@\t\r＝")  # noqa: RUF001
    assert unguard_cell(cell) == text
    assert (cell == text) == (not text.lstrip("'")[:1] or text.lstrip("'")[0] not in "=+-@\t\r＝")  # noqa: RUF001
