"""The list of an output folder: places that stay, changes that are told, a file that survives."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from rfcx_ssl.detection.listing import Changes, Listing
from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.errors import AudioError, RunError


def sound(path, version="1", size=10, **part):
    return Recording(path.rpartition("/")[2].removesuffix(".wav"), path, size=size, changed=version, **part)


def listed(listing, first=0, count=100):
    return [(row.index, row.recording.name, row.here) for row in listing.rows(first, count)]


@pytest.fixture
def listing(tmp_path):
    with Listing(tmp_path / "listing.sqlite") as opened:
        yield opened


def test_recordings_come_back_as_they_were(listing):
    recordings = [
        sound("/a/1.wav"),
        Recording("2@0-2.5", "/a/2.wav", 0.0, 2.5, 7, "x"),
        Recording("2@2.5-end", "/a/2.wav", 2.5, None, 7, "x"),
        Recording("caf%E9", os.fsdecode(b"/a/caf\xe9.wav")),
        Recording("[/b]", "/a/[/b].wav"),
        Recording("two%0Alines", "/a/two\nlines.wav", size=2**40, changed="2"),
        Recording("x" * 248, f"/a/{'x' * 248}.wav"),
        Recording("3", "s3://bucket/3.wav", changed='"etag"'),
    ]
    assert listing.update(iter(recordings)) == Changes(8, 0, 0, 0, ())
    assert [row.recording for row in listing.rows(0, 100)] == recordings
    assert [row.index for row in listing.rows(0, 100)] == list(range(8)) and len(listing) == 8
    assert [row.recording for row in listing.rows(3, 2)] == recordings[3:5]
    assert listing.rows(8, 5) == []


def test_places_and_names_stay(listing):
    listing.update([sound("/b/1.wav"), sound("/b/3.wav")])
    changes = listing.update([sound("/a/1.wav"), sound("/b/1.wav"), sound("/a/2.wav"), sound("/a/1.wav")])
    assert changes == Changes(2, 0, 1, 1, ())
    assert listed(listing) == [(0, "1", True), (1, "3", False), (2, "a/1", True), (3, "2", True)]
    assert listing.update([sound("/b/3.wav")]) == Changes(0, 0, 3, 1, ())
    assert listed(listing) == [(0, "1", False), (1, "3", True), (2, "a/1", False), (3, "2", False)]


def test_any_number_of_updates_in_any_order_gives_each_recording_one_place(listing):
    paths = [f"/{folder}/{number}.wav" for folder in "abc" for number in range(3)]
    before = {}
    for shift in range(9):
        listing.update(sound(path) for path in [*paths[shift:], *paths[:shift]][: shift + 1])
        places = {row.recording.path: (row.index, row.recording.name) for row in listing.rows(0, 100)}
        assert before.items() <= places.items()
        before = places
    assert sorted(index for index, _ in before.values()) == list(range(9)) and before.keys() == set(paths)
    assert len({name for _, name in before.values()}) == 9


def test_changes_wait_until_they_are_accepted(listing):
    listing.update(sound(f"/a/{number}.wav") for number in range(8))
    now = [sound(f"/a/{number}.wav", "2", 10 + number) for number in range(1, 8)]
    for _ in range(2):
        assert listing.update(now) == Changes(0, 7, 1, 0, ("1", "2", "3", "4", "5"))
        assert list(listing.changed()) == [1, 2, 3, 4, 5, 6, 7]
        assert {row.recording.changed for row in listing.rows(0, 8)} == {"1"}
    back = [sound("/a/1.wav"), *now[1:]]
    assert listing.update(back).changed == 6 and list(listing.changed()) == [2, 3, 4, 5, 6, 7]
    listing.accept()
    assert list(listing.changed()) == []
    assert listing.rows(7, 1)[0].recording == now[-1]
    assert listing.update(back) == Changes(0, 0, 1, 7, ())


def test_where_nobody_says_nothing_changed(listing):
    listing.update([sound("https://host/1.wav", "etag")])
    assert listing.update([sound("https://host/1.wav", "", 0)]) == Changes(0, 0, 0, 1, ())
    assert listing.rows(0, 1)[0].recording.changed == "etag"


def test_an_error_on_the_way_changes_nothing(listing):
    listing.update([sound("/a/1.wav")])

    def broken():
        yield sound("/a/2.wav")
        yield sound("/a/1.wav", "2")
        raise AudioError("list.csv:3: wrong")

    with pytest.raises(AudioError, match="wrong"):
        listing.update(broken())
    assert listed(listing) == [(0, "1", True)] and list(listing.changed()) == []


def test_many_may_read_and_none_of_them_writes(tmp_path):
    path = tmp_path / "odd ?#% name.sqlite"
    with Listing(path) as writer:
        writer.update(sound(f"/a/{number}.wav") for number in range(3))
    before = path.read_bytes()
    with Listing(path, readonly=True) as one, Listing(path, readonly=True) as other:
        assert listed(one) == listed(other) and len(one) == 3
        with pytest.raises(RunError, match="readonly"):
            other.update([])
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_one_updates_at_a_time(tmp_path, listing):
    def slow():
        with (
            Listing(tmp_path / "listing.sqlite") as other,
            pytest.raises(RunError, match="another process is updating"),
        ):
            other.update([])
        yield sound("/a/1.wav")

    listing.update(slow())
    assert len(listing) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from rfcx_ssl.detection.listing import Listing
from rfcx_ssl.detection.recordings import Recording

def recordings():
    for number in range(200_000):
        yield Recording(f"{number}", f"/b/{number}.wav", changed="2")
        if number > 1000 and Path(sys.argv[1] + "-journal").exists() and Path(sys.argv[1]).stat().st_size > int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

listing = Listing(Path(sys.argv[1]))
listing._connection.execute("PRAGMA cache_size = 10")  # so that it writes into the file before the end
listing.update(recordings())
"""


def test_a_killed_update_is_undone_by_the_next_and_never_read(tmp_path):
    path = tmp_path / "listing.sqlite"
    with Listing(path) as listing:
        listing.update(sound(f"/a/{number}.wav") for number in range(500))
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path), str(path.stat().st_size)])
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(RunError, match=r"listing\.sqlite: is being updated, or was interrupted"):
        Listing(path, readonly=True)
    with Listing(path) as listing:
        assert len(listing) == 500 and listing.rows(499, 1)[0].recording == sound("/a/499.wav")
    with Listing(path, readonly=True) as listing:
        assert len(listing) == 500


def test_damage_is_told_with_what_to_delete(tmp_path):
    path = tmp_path / "journal" / "listing.sqlite"
    path.parent.mkdir()
    with pytest.raises(RunError, match=r"listing\.sqlite: there is no list"):
        Listing(path, readonly=True)
    remedy = f"delete {path.parent} and listen again"
    path.write_bytes(b"no database, but longer than the header of one " * 30)
    for readonly in (False, True):
        with pytest.raises(RunError, match=f"damaged .*{remedy}"):
            Listing(path, readonly=readonly)
    path.unlink()
    with Listing(path) as listing:
        listing.update(sound(f"/a/{number}.wav") for number in range(5000))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = os.urandom(len(content) - len(content) // 2)
    path.write_bytes(content)
    with pytest.raises(RunError, match=f"damaged .*{remedy}"):
        Listing(path)
    with pytest.raises(RunError, match=f"damaged .*{remedy}"), Listing(path, readonly=True) as listing:
        listing.rows(0, 5000)
    path.write_bytes(content[:5000])
    with pytest.raises(RunError, match=f"damaged .*{remedy}"):
        Listing(path)


def test_lists_of_other_versions_are_refused(tmp_path):
    connection = sqlite3.connect(tmp_path / "listing.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(RunError, match=r"another version of rfcx-ssl \(99, here 1\)"):
        Listing(tmp_path / "listing.sqlite")
    assert Path(tmp_path / "listing.sqlite").exists()
