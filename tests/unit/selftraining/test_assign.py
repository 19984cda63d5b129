"""Who labels what; what files are called."""

from pathlib import Path

import pytest

from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.selftraining.assign import Names, assign
from rfcx_ssl.selftraining.teachers import Teacher

TEACHERS = [Teacher(Path("r"), Path(f"r{n}"), frozenset(seen), None) for n, seen in enumerate(("ab", "bc", "b", ""))]


def given(names, **changes):
    recordings = [Recording(name, f"/nowhere/{name}.wav") for name in names]
    options = {"labelled": frozenset("abc"), "test": frozenset(), "rule": "mean", "seed": 0}
    return assign(recordings, Names({}), changes.pop("teachers", TEACHERS), **options | changes)


def test_only_those_who_did_not_learn_from_it():
    found = given("abcx")
    assert found.teachers_of == {"a": (1, 2, 3), "b": (3,), "c": (0, 2, 3), "x": (0, 1, 2, 3)}
    assert found.groups[(3,)] == {"/nowhere/b.wav": "b"}
    left = given("abcx", teachers=TEACHERS[:3], test=frozenset("c"))
    assert left.taught == ("b",) and left.test == ("c",) and sorted(left.teachers_of) == ["a", "x"]


def test_a_draw_takes_every_teacher_and_none_of_labelled_recordings():
    names = [f"x{n}" for n in range(400)]
    found = given([*names, "a"], rule="random")
    drawn = [found.teachers_of[name] for name in names]
    assert all(60 < drawn.count((teacher,)) < 140 for teacher in range(4)) and found.teachers_of["a"] == (1, 2, 3)
    assert given(names[::-1], rule="random").teachers_of == {name: found.teachers_of[name] for name in names}
    assert given(names, rule="random", seed=1).teachers_of != {name: found.teachers_of[name] for name in names}


def test_files_are_called_as_training_calls_them(tmp_path):
    for name in ("train/a.wav", "copy/a.wav", "other/a.wav"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"sound" if "other" not in name else b"another sound")
    (tmp_path / "link.wav").symlink_to(tmp_path / "train/a.wav")
    names = Names({"site/a": tmp_path / "train/a.wav"})
    assert names(Recording("link", str(tmp_path / "link.wav"))) == "site/a"
    assert names(Recording("site/a", str(tmp_path / "copy/a.wav"))) == "site/a"
    assert names(Recording("b", "s3://bucket/b.wav")) == "b"
    with pytest.raises(AnnotationError, match="which is another recording"):
        names(Recording("site/a", str(tmp_path / "other/a.wav")))
    twice = [Recording("site/a", str(tmp_path / name)) for name in ("train/a.wav", "copy/a.wav")]
    with pytest.raises(AnnotationError, match=r"copy/a\.wav and .*train/a\.wav are both called site/a"):
        assign(twice, names, TEACHERS, labelled=frozenset(), test=frozenset(), rule="mean", seed=0)
