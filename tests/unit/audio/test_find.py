"""How the names of recordings are written."""

import os

import pytest

from rfcx_ssl.audio.find import bare_name, part_mark, printable_name, without_part


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/pi\u00f1a \u6797.wav", "a/pi\u00f1a \u6797.wav"),
        (os.fsdecode(b"caf\xe9"), "caf%E9"),
        ("a\tb\nc\x7f", "a%09b%0Ac%7F"),
        ("100%41", "100%41"),
        ("\ud800", "%ED%A0%80"),
    ],
)
def test_what_no_table_can_hold_is_written_in_percent(text, expected):
    assert printable_name(text) == expected == printable_name(expected)
    expected.encode("utf-8")


def test_names_have_no_suffix():
    assert [bare_name(name) for name in ("a/b.wav", "a.b/c", "a/b.2020.WAV", ".wav")] == [
        "a/b",
        "a.b/c",
        "a/b.2020",
        ".wav",
    ]


@pytest.mark.parametrize(
    ("start_s", "end_s", "mark"),
    [
        (0, None, ""),
        (10, 25.5, "@10-25.5"),
        (0, 60, "@0-60"),
        (100, None, "@100-end"),
        (1e5 + 0.1234, 2e5, "@100000.123-200000"),
    ],
)
def test_parts(start_s, end_s, mark):
    assert part_mark(start_s, end_s) == mark
    assert without_part(f"a@b/c{mark}") == "a@b/c"


@pytest.mark.parametrize("name", ["a@b", "a@1", "@x-y", "a@1-2.wav", "a@1-2b"])
def test_what_is_no_part_stays(name):
    assert without_part(name) == name
