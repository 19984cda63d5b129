import sqlite3
import subprocess
import sys
import tracemalloc

import pytest

from rfcx_ssl.errors import ManifestError
from rfcx_ssl.manifest.headers import Header
from rfcx_ssl.manifest.prepare import Prepared, PrepareTask, Segment, prepare_recordings
from rfcx_ssl.manifest.roots import Found
from rfcx_ssl.manifest.state import open_state


def found(number, *, size=100, mtime=1, problem=""):
    return Found(f"audio/{number:06d}.wav", f"/data/{number:06d}.wav", size, mtime, problem)


def todo(state, key="k"):
    return [row[0] for row in state.without_header(key)]


def test_changed_files_start_again_and_others_do_not(tmp_path):
    with open_state(tmp_path) as state:
        state.see([found(1), found(2), found(3)])
        state.save_headers([Header(f"audio/{n:06d}.wav", 10, 8_000, 1) for n in (1, 2, 3)], "k")
        state.save_prepared([Prepared(f"audio/{n:06d}.wav", (Segment(0, 0, 10),)) for n in (1, 2, 3)], "p")
        state.see([found(1), found(2, mtime=2), found(4)])
        assert list(state.forget_unseen()) == ["audio/000003.wav"]
        assert todo(state) == ["audio/000002.wav", "audio/000004.wav"]
        assert [row[0] for row in state.unprepared("p")] == ["audio/000002.wav", "audio/000004.wav"]
        assert [row[0] for row in state.unprepared("other")] == [f"audio/{n:06d}.wav" for n in (1, 2, 4)]


def test_problems_stay_until_the_file_changes_or_a_retry(tmp_path):
    with open_state(tmp_path) as state:
        state.see([found(1), found(2)])
        state.save_headers([Header("audio/000001.wav", problem="text"), Header("audio/000002.wav", 10, 8_000)], "k")
        state.save_prepared([Prepared("audio/000002.wav", (), "truncated")], "p")
        state.see([found(1), found(2)])
        assert todo(state) == ["audio/000001.wav"]  # headers are cheap: tried every time
        assert list(state.unprepared("p")) == []
        state.retry_problems()
        assert todo(state) == ["audio/000001.wav", "audio/000002.wav"]


def test_a_file_that_was_gone_when_it_was_to_be_cut_is_tried_again(tmp_path):
    (tmp_path / "text.wav").write_text("no audio")
    tasks = [
        PrepareTask(f"audio/{n:06d}.wav", str(path), 10, None, 8_000, 100, None)
        for n, path in enumerate((tmp_path / "text.wav", tmp_path / "gone.wav"))
    ]
    with open_state(tmp_path) as state:
        state.see([found(0), found(1)])
        headers = [Header(f"audio/{n:06d}.wav", 10, 8_000, 1) for n in (0, 1)]
        state.save_headers(headers, "k")
        state.save_prepared(prepare_recordings(tasks), "p")
        state.see([found(0), found(1)])
        assert todo(state) == ["audio/000001.wav"]
        state.save_headers(headers[1:], "k")
        assert [row[0] for row in state.unprepared("p")] == ["audio/000001.wav"]


def test_a_second_build_in_the_same_folder_is_refused(tmp_path):
    code = "import sys, pathlib; from rfcx_ssl.manifest.state import open_state\nwith open_state(pathlib.Path(sys.argv[1])): pass"
    for _ in range(2):  # the second time there is a seal to look at
        with open_state(tmp_path) as state:
            state.see([found(1)])
            other = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
        assert "another build is running there" in other.stderr
    with open_state(tmp_path) as state:
        assert state.count("SELECT COUNT(*) FROM recordings") == 1


def test_a_damaged_state_is_set_aside_and_said(tmp_path, caplog):
    (tmp_path / ".state").mkdir()
    text = "not a database, and long enough to be read as one" * 99
    (tmp_path / ".state/state.sqlite").write_text(text)
    with open_state(tmp_path) as state:
        assert state.count("SELECT COUNT(*) FROM recordings") == 0
    assert "damaged (file is not a database); moved to" in caplog.text
    assert (tmp_path / ".state/state.damaged").read_text() == text


def test_damage_that_the_database_cannot_see_is_found(tmp_path, caplog):
    """One letter of a name: every structure is intact."""
    with open_state(tmp_path) as state:
        state.see([found(1), found(2)])
    path = tmp_path / ".state/state.sqlite"
    data = path.read_bytes()
    assert b"/data/000002.wav" in data
    path.write_bytes(data.replace(b"/data/000002.wav", b"/data/000003.wav"))
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with open_state(tmp_path) as state:
        assert state.count("SELECT COUNT(*) FROM recordings") == 0
    assert "it is not what the last build left" in caplog.text


def test_a_killed_build_keeps_what_it_stored(tmp_path):
    with open_state(tmp_path) as state:
        state.see([found(1)])
        copy = tmp_path / "killed" / ".state"
        copy.mkdir(parents=True)
        (copy / "state.sqlite").write_bytes((tmp_path / ".state/state.sqlite").read_bytes())
    with open_state(copy.parent) as state:
        assert state.count("SELECT COUNT(*) FROM recordings") == 1


def test_the_state_of_another_version_is_not_misread(tmp_path):
    with open_state(tmp_path) as state:
        state.connection.execute("PRAGMA user_version = 99")
    with pytest.raises(ManifestError, match=r"another version of rfcx-ssl \(99\); delete it"), open_state(tmp_path):
        pass


def test_other_database_errors_keep_their_traceback(tmp_path):
    with pytest.raises(sqlite3.OperationalError, match="no such table"), open_state(tmp_path) as state:
        state.count("SELECT COUNT(*) FROM missing")


def test_memory_does_not_grow_with_the_number_of_files(tmp_path):
    peaks = {}
    for files in (5_000, 40_000):
        with open_state(tmp_path / str(files)) as state:
            tracemalloc.start()
            state.see(found(number) for number in range(files))
            assert sum(1 for _ in state.without_header("k")) == files
            peaks[files] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert peaks[40_000] < 1.2 * peaks[5_000] + 200_000
