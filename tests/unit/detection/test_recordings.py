"""What recordings are called."""

import pytest

from rfcx_ssl.detection.recordings import Recording, free_name, name_below


def names_of(paths, folder=None):
    named = {}
    for path in paths:
        recording = Recording(name_below(path, folder), path)
        named[free_name(recording, named.get)] = path
    return list(named)


@pytest.mark.parametrize(
    ("path", "folder", "name"),
    [
        ("/card/a/1.wav", "/card", "a/1"),
        ("/card/a/1.wav", "/card/", "a/1"),
        ("/card/a/1.wav", "/", "card/a/1"),
        ("/card/a/1.wav", "/car", "1"),
        ("/card/a/1.wav", None, "1"),
        ("/card/night.2021.wav", None, "night.2021"),
        ("s3://bucket/a/1.wav", "s3://bucket", "a/1"),
        ("https://host/a/1.wav?key=a/b.c", None, "1"),
        ("https://host/a/b/1.wav?key=a/b.c", "https://host/a/", "b/1"),
        ("hf://datasets/user/name/a/1.wav", "hf://datasets/user/name", "a/1"),
    ],
)
def test_names(path, folder, name):
    assert name_below(path, folder) == name


def test_taken_names_get_more_folders():
    paths = [
        "/media/card1/1.wav",
        "/media/card2/1.wav",
        "/mnt/card2/1.wav",
        "/mnt/card2/1.wav",
        "https://h/card2/1.wav",
    ]
    assert names_of(paths) == ["1", "card2/1", "mnt/card2/1", "1-2", "h/card2/1"]
    assert names_of(["/media/card1/a/1.wav", "/media/card2/a/1.wav"], "/media/card1") == ["a/1", "1"]


def test_a_file_that_differs_in_its_suffix_gets_it_back():
    assert names_of(["/card/1.ogg", "/card/1.wav", "/card/1.flac", "/disk/1.wav"]) == [
        "1",
        "1.wav",
        "1.flac",
        "disk/1",
    ]


def test_names_do_not_depend_on_later_files():
    paths = ["/a/1.wav", "/b/1.wav", "/b/1.ogg", "/c/b/1.wav", "/a/1.mp3"]
    assert [names_of(paths[:count]) for count in range(6)] == [names_of(paths)[:count] for count in range(6)]


def test_parts_of_one_file_are_told_apart():
    recording = Recording("1@0.001-2", "/card/1.wav", 0.0011, 2.0)
    named = {"1@0.001-2": "/card/1.wav", "card/1@0.001-2": "/x"}
    assert free_name(recording, named.get) == "1@0.001-2-2"
