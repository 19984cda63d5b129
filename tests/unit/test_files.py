"""A file is whole or not there."""

import pytest

from rfcx_ssl.files import atomic_folder, atomic_path, remove_leftovers, write_csv


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
