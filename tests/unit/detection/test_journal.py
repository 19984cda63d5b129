"""What is in the journal is whole, belongs to one process at a time, and comes back in order."""

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from rfcx_ssl.detection import journal as module
from rfcx_ssl.detection import open_journal as opening
from rfcx_ssl.detection.journal import Journal, Part, parts_of
from rfcx_ssl.detection.open_journal import joined_journal, open_journal
from rfcx_ssl.detection.result import Result
from rfcx_ssl.errors import RunError
from rfcx_ssl.species import rfcx_species

SPECIES = rfcx_species()
PART = Part(0, 0, 5)


def result(index, unreachable=False):
    return Result(
        index, f"r{index}", "p", 0.0, 1.0, 8_000, None, None, (), np.full(24, index, np.float32), [], unreachable
    )


def nothing(journal):
    pass


@pytest.fixture
def journal(tmp_path):
    with open_journal(tmp_path, nothing, nothing) as opened:
        yield opened


def indices(journal, parts):
    return [row.index for row in journal.results(parts, SPECIES)]


def test_groups_become_a_part(journal):
    assert journal.heard(PART) == 0
    journal.add_group(PART, [result(0), result(1)])
    assert journal.heard(PART) == 2 and not journal.sealed(PART)
    journal.add_group(PART, [result(2)])
    journal.add_group(PART, [result(3), result(4)])
    journal.seal(PART)
    assert journal.sealed(PART) and journal.heard(PART) == 5
    assert indices(journal, [PART]) == [0, 1, 2, 3, 4]
    assert [path.name for path in journal.parts_folder.iterdir()] == ["000000.parquet"]


def test_how_a_part_was_cut_into_groups_by_stops_does_not_show(tmp_path):
    for name in "ab":
        with open_journal(tmp_path / name, nothing, nothing) as journal:
            journal.add_group(PART, [result(0), result(1)])
            if name == "b":  # a process that was killed, and what it left
                (journal.parts_folder / "000000" / ".000000002-000000004.parquet.77.tmp").write_bytes(b"half")
        with open_journal(tmp_path / name, Journal.remove_leftovers, nothing) as journal:
            assert journal.heard(PART) == 2
            journal.add_group(PART, [result(2), result(3), result(4)])
            journal.seal(PART)
    one, two = (tmp_path / name / "journal/parts/000000.parquet" for name in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_a_group_that_does_not_follow_is_not_counted(journal):
    journal.add_group(PART, [result(0)])
    journal.add_group(PART, [result(3)])
    assert journal.heard(PART) == 1


def test_parts_of_several_runs(journal):
    assert parts_of({"runs": [0], "total": 130}) == [Part(0, 0, 64), Part(1, 64, 64), Part(2, 128, 2)]
    assert parts_of({"runs": [0, 3, 70], "total": 71}) == [
        Part(0, 0, 3),
        Part(1, 3, 64),
        Part(2, 67, 3),
        Part(3, 70, 1),
    ]
    assert parts_of({"runs": [], "total": 0}) == []


def test_unreached_parts_are_heard_again(journal):
    parts = [Part(0, 0, 1), Part(1, 1, 1)]
    for part, lost in zip(parts, (False, True), strict=True):
        journal.add_group(part, [result(part.first, lost)])
        journal.seal(part)
    assert journal.unreached(parts) == [parts[1]]
    journal.reopen(parts[1])
    assert journal.unreached(parts) == [] and not journal.sealed(parts[1]) and journal.heard(parts[1]) == 0


def test_which_recordings_were_lost(journal):
    journal.add_group(PART, [result(0), result(1, unreachable=True)])
    assert journal.lost(PART) == [1]
    journal.add_group(PART, [result(index, unreachable=index == 3) for index in (2, 3, 4)])
    journal.seal(PART)
    assert journal.lost(PART) == [1, 3]


@pytest.mark.parametrize("end", ["seal", "reopen"])
def test_a_kill_while_groups_are_removed_leaves_none_of_them(journal, monkeypatch, end):
    journal.add_group(PART, [result(0), result(1)])
    journal.add_group(PART, [result(index) for index in (2, 3, 4)])

    def killed(folder, **options):
        next(folder.iterdir()).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module.shutil, "rmtree", killed)
        getattr(journal, end)(PART)
    assert not (journal.parts_folder / "000000").exists()
    assert journal.heard(PART) == (5 if end == "seal" else 0)
    journal.remove_leftovers()
    assert not list(journal.parts_folder.glob(".*"))


def test_a_kill_while_all_is_forgotten_leaves_no_plan(journal, monkeypatch):
    journal.write_plan({"runs": [0]})

    def killed(folder, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module.shutil, "rmtree", killed)
        journal.forget()
    assert journal.read_plan() is None


@pytest.mark.parametrize("sealed", [False, True])
def test_damaged_parts_are_named(journal, sealed):
    journal.add_group(PART, [result(index) for index in range(5)])
    if sealed:
        journal.seal(PART)
    (path,) = journal.parts_folder.rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RunError, match=f"{path.name}: cannot be read .* where it is damaged, remove it"):
        list(journal.results([PART], SPECIES)) if sealed else journal.seal(PART)


def test_tables_are_written_again_when_something_came(journal):
    assert not journal.untold
    journal.add_group(PART, [result(0)])
    assert journal.untold
    journal.told()
    assert not journal.untold
    journal.reopen(PART)
    assert journal.untold


def take_all(out, answers, parts):
    with joined_journal(Path(out)) as journal:
        for part in journal.take_each(parts):
            journal.add_group(part, [result(part.first)])
            journal.seal(part)
            answers.put(part.number)


def hold(out, held):
    with joined_journal(Path(out)) as journal, journal.claim(Part(1, 1, 1)) as mine:
        assert mine
        held.set()
        multiprocessing.Event().wait()


def test_processes_share_the_parts_and_take_over_those_of_one_that_dies(tmp_path):
    parts = parts_of({"runs": range(12), "total": 12})
    fork = multiprocessing.get_context("fork")
    with open_journal(tmp_path, nothing, nothing) as journal:
        held, answers = fork.Event(), fork.Queue()
        holder = fork.Process(target=hold, args=(tmp_path, held))
        holder.start()
        assert held.wait(60)
        with journal.claim(parts[1]) as mine:
            assert not mine
        workers = [fork.Process(target=take_all, args=(tmp_path, answers, parts)) for _ in range(2)]
        for worker in workers:
            worker.start()
        others = sorted(answers.get(timeout=60) for _ in range(11))
        assert others == [0, *range(2, 12)] and not journal.sealed(parts[1])
        holder.kill()
        assert answers.get(timeout=60) == 1
        for worker in workers:
            worker.join(60)
            assert worker.exitcode == 0
        assert indices(journal, parts) == list(range(12))


def test_a_thread_that_ends_leaves_the_claims_of_the_others(tmp_path):
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()

    def other():
        opening._joined.clear()  # what the fork brought along: it is another process
        with joined_journal(tmp_path) as journal, journal.claim(PART) as mine:
            answers.put(mine)

    def told():
        child = fork.Process(target=other)
        child.start()
        child.join(60)
        return answers.get(timeout=60)

    with open_journal(tmp_path, nothing, nothing):
        pass
    with joined_journal(tmp_path) as one, one.claim(PART) as mine:
        with joined_journal(tmp_path):
            pass
        assert mine and not told()


def test_the_second_process_joins_the_first(tmp_path):
    called = multiprocessing.get_context("fork").Queue()

    def other():
        with open_journal(tmp_path, lambda _: called.put("prepared"), lambda _: called.put("joined")):
            pass

    with open_journal(tmp_path, nothing, nothing):
        child = multiprocessing.get_context("fork").Process(target=other)
        child.start()
        child.join(60)
    assert called.get(timeout=60) == "joined"
    child = multiprocessing.get_context("fork").Process(target=other)
    child.start()
    child.join(60)
    assert called.get(timeout=60) == "prepared"


def test_plans_are_kept_and_foreign_ones_refused(journal):
    assert journal.read_plan() is None
    plan = {"runs": [0], "total": 5}
    journal.write_plan(plan)
    assert journal.read_plan() == {"format": module.FORMAT, **plan}
    (journal.folder / "plan.json").write_text('{"format": "other"}')
    with pytest.raises(RunError, match="its format is not"):
        journal.read_plan()
    (journal.folder / "plan.json").write_text("{")
    with pytest.raises(RunError, match="cannot be read"):
        journal.read_plan()


def test_an_output_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(RunError, match="out: cannot be written"), open_journal(tmp_path / "out", nothing, nothing):
        pass


def test_a_full_disk_is_said_and_loses_nothing(journal, monkeypatch):
    journal.add_group(PART, [result(0)])

    def full(results, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_rows", full)
    with pytest.raises(RunError, match="No space left on device"):
        journal.add_group(PART, [result(1)])
    assert journal.heard(PART) == 1
