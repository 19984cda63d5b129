"""Detection loses nothing and does nothing twice: kills, workers, changed files, new files, disks that are gone."""

import csv
import errno
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rfcx_ssl.cli import main
from rfcx_ssl.detection.journal import Journal
from rfcx_ssl.detection.writers.frames import read_frames
from rfcx_ssl.species import rfcx_species

RATE_HZ = 8_000
FORK = multiprocessing.get_context("fork")
KILLS = 20


@pytest.fixture(scope="module")
def model_dir(tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_model(RATE_HZ).save_pretrained(folder)
    return folder


@pytest.fixture
def card(tmp_path):
    """Two sites: long and short recordings, one that is none, one that was cut off."""
    folder = tmp_path / "card"
    rng = np.random.default_rng(0)
    for number in range(140):
        path = folder / f"site{number % 2}" / f"{number:03d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        seconds = 12.0 if number % 20 == 0 else (1.0 if number % 3 else 2.3)
        soundfile.write(path, rng.normal(0, 0.1, round(seconds * RATE_HZ)).astype(np.float32), RATE_HZ)
    (folder / "site0" / "006.wav").write_bytes(b"no audio")
    cut = folder / "site1" / "041.wav"
    cut.write_bytes(cut.read_bytes()[:9_000])
    return folder


def detect(card, model_dir, out, *more, readers=0):
    """The command in this process; its exit code."""
    arguments = ["detect", str(card), "--model", str(model_dir), "--out", str(out), "--readers", str(readers)]
    try:
        main([*arguments, "--threshold", "0.52", "--threads", "1", *map(str, more)])
    except SystemExit as stop:
        return stop.code
    return 0


def listed(names, model_dir, out):
    """The command on a list of files."""
    arguments = ["detect", "--list", str(names), "--model", str(model_dir), "--out", str(out), "--readers", "0"]
    try:
        main([*arguments, "--threads", "1"])
    except SystemExit as stop:
        return stop.code
    return 0


def in_a_child(*arguments, **options):
    """The command in a process of its own, which starts at once."""
    child = FORK.Process(target=lambda: os._exit(detect(*arguments, **options)))
    child.start()
    return child


def tables(out):
    """All that a user sees but detect.json, and the parts of the journal."""
    wanted = [*out.glob("*.csv"), *out.rglob("*.parquet"), *out.glob("raven/**/*.txt")]
    return {str(path.relative_to(out)): path.read_bytes() for path in wanted}


def rows(path):
    with path.open() as lines:
        return list(csv.DictReader(lines))


def events(out):
    return rows(out / "events.csv")


@pytest.fixture
def whole(card, model_dir, tmp_path):
    """What an uninterrupted run writes, and how long it takes."""
    started = time.perf_counter()
    assert detect(card, model_dir, tmp_path / "whole", "--format", "csv", "--format", "raven") == 3
    seconds = time.perf_counter() - started
    found = tables(tmp_path / "whole")
    assert len(events(tmp_path / "whole")) > 100 and len(found) > 140
    assert len(found["scores.csv"].splitlines()) == 140  # a header, and all but the one that is no audio
    return found, seconds


def test_killed_twenty_times_at_random_moments_the_tables_are_the_same(card, model_dir, tmp_path, whole):
    expected, seconds = whole
    out = tmp_path / "killed"
    rng = random.Random(int(os.environ.get("RFCX_SSL_KILL_SEED", "0")))
    parts = []
    for kill in range(KILLS):
        child = in_a_child(card, model_dir, out, "--format", "csv", "--format", "raven", readers=kill % 5 == 4)
        time.sleep(rng.uniform(0, 1.2 * seconds / 3))
        child.kill()
        child.join()
        parts.append(len(list(out.glob("journal/parts/*"))))
    assert detect(card, model_dir, out, "--format", "csv", "--format", "raven") == 3
    assert tables(out) == expected
    assert not [path for path in out.rglob("*.tmp")]


def test_workers_and_processes_side_by_side_write_the_same_bytes(card, model_dir, tmp_path, whole):
    expected, _ = whole
    more = ("--format", "csv", "--format", "raven")
    assert detect(card, model_dir, tmp_path / "workers", *more, "--workers", 2) == 3
    assert tables(tmp_path / "workers") == expected
    children = [in_a_child(card, model_dir, tmp_path / "beside", *more) for _ in range(4)]
    for child in children:
        child.join()
        assert child.exitcode == 3
    assert tables(tmp_path / "beside") == expected


def test_what_is_finished_is_left_alone_and_what_is_new_is_added(card, model_dir, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.move(card / "site1", tmp_path / "later")
    assert detect(card, model_dir, out) == 3
    before, parts = events(out), {path: path.stat().st_mtime_ns for path in out.glob("journal/parts/*")}
    capsys.readouterr()
    assert detect(card, model_dir, out) == 3
    assert "nothing new to hear" in capsys.readouterr().err
    shutil.move(tmp_path / "later", card / "site1")
    assert detect(card, model_dir, out) == 3
    after = events(out)
    assert after[: len(before)] == before and len(after) > len(before)
    assert all(path.stat().st_mtime_ns == at for path, at in parts.items())
    assert json.loads((out / "detect.json").read_text())["recordings"] == 140


def test_a_kill_between_list_and_plan_forgets_no_recording(card, model_dir, tmp_path, monkeypatch):
    out = tmp_path / "out"
    shutil.move(card / "site1", tmp_path / "later")
    assert detect(card, model_dir, out) == 3
    shutil.move(tmp_path / "later", card / "site1")

    def killed(self, plan):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "write_plan", killed)
        assert detect(card, model_dir, out) == 130
    assert detect(card, model_dir, out) == 3
    assert len(rows(out / "scores.csv")) == 139  # one has no audio


def test_other_settings_another_model_and_changed_files_are_refused_or_heard_again(card, model_dir, tmp_path, capsys):
    out = tmp_path / "out"
    assert detect(card, model_dir, out) == 3
    capsys.readouterr()
    assert detect(card, model_dir, out, "--set", "merge_gap_s=0.4") == 2
    assert "merge_gap_s=null, now 0.4; choose another folder, or hear all again with --redo" in capsys.readouterr().err
    other = tmp_path / "other"
    shutil.copytree(model_dir, other)
    settings = json.loads((other / "config.json").read_text())
    settings["windows"] = {"window_s": 1.5}
    (other / "config.json").write_text(json.dumps(settings))
    assert detect(card, other, out) == 2
    assert "another model" in capsys.readouterr().err
    assert detect(card, other, out, "--redo") == 3
    elsewhere = tmp_path / "elsewhere"
    assert detect(card, other, elsewhere) == 3
    assert tables(out) == tables(elsewhere)
    changed = card / "site0" / "020.wav"
    soundfile.write(changed, np.zeros(RATE_HZ, np.float32), RATE_HZ)
    capsys.readouterr()
    assert detect(card, other, out) == 2
    assert "020.wav: has changed since it was heard" in capsys.readouterr().err
    assert tables(out) == tables(elsewhere)
    assert detect(card, other, out, "--redo") == 3
    scores = {row["recording"]: row for row in rows(out / "scores.csv")}
    assert float(scores["site0/020"]["heard_s"]) == 1.0


def test_a_disk_that_comes_back_is_heard_then(card, model_dir, tmp_path, capsys):
    out = tmp_path / "out"
    names = tmp_path / "names.txt"
    names.write_text("".join(f"{path}\n" for path in sorted(card.rglob("*.wav"))))
    shutil.move(card / "site1", tmp_path / "gone")
    arguments = ["detect", "--list", str(names), "--model", str(model_dir), "--out", str(out), "--readers", "0"]
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2 and "cannot be reached" in capsys.readouterr().err
    shutil.move(tmp_path / "gone", card / "site1")
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 3  # the two broken ones
    assert json.loads((out / "detect.json").read_text())["unreadable"] == 2


@pytest.fixture
def small(tmp_path):
    """Three recordings."""
    folder = tmp_path / "small"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", rng.normal(0, 0.1, 2 * RATE_HZ).astype(np.float32), RATE_HZ)
    return folder


def test_a_folder_keeps_the_same_of_every_recording(small, model_dir, tmp_path):
    out, later = tmp_path / "out", tmp_path / "2.wav"
    shutil.move(small / "2.wav", later)
    everything = ("--save", "windows", "--save", "clips", "--picture")
    assert detect(small, model_dir, out, *everything) == 0
    shutil.move(later, small / "2.wav")
    assert detect(small, model_dir, out) == 0
    assert detect(small, model_dir, out, *everything) == 0
    assert {row["recording"] for row in rows(out / "windows.csv")} == {"0", "1", "2"}
    assert len(list(out.glob("pictures/*.png"))) == 3
    clips = [row["file"] for row in rows(out / "clips.csv")]
    assert clips and all((out / clip).is_file() for clip in clips)


def own_files(out):
    return {path.relative_to(out) for kind in ("clips", "pictures", "raven") for path in out.glob(f"{kind}/**/*.*")}


def test_files_of_recordings_that_are_heard_again_are_those_of_a_new_folder(small, model_dir, tmp_path):
    out, more = tmp_path / "out", ("--save", "clips", "--picture", "--format", "csv", "--format", "raven")
    assert detect(small, model_dir, out, *more) == 0
    before = own_files(out)
    (out / "raven" / "notes.txt").write_text("mine")
    soundfile.write(small / "1.wav", np.zeros(RATE_HZ, np.float32), RATE_HZ)  # nothing to hear, and no events
    (small / "2.wav").write_bytes(b"no audio any more")
    assert detect(small, model_dir, out, *more, "--redo") == 3
    assert detect(small, model_dir, tmp_path / "new", *more) == 3
    after = own_files(out)
    assert after - {Path("raven/notes.txt")} == own_files(tmp_path / "new") and before - after
    assert detect(small, model_dir, out, *more, "--set", "min_duration_s=5", "--redo") == 3
    assert not list(out.glob("clips/**/*.flac")) and (out / "raven" / "notes.txt").is_file()


def test_another_site_of_a_recording_is_noticed_where_scores_depend_on_it(small, model_dir, tmp_path, capsys):
    out, places, occurrence = (tmp_path / name for name in ("out", "places.csv", "occurrence.csv"))
    species = rfcx_species().names[0]
    occurrence.write_text(f"species,site,occurs\n{species},ridge,0\n")
    more = ("--recordings", places, "--set", f"occurrence={occurrence}")
    shutil.move(small / "2.wav", tmp_path / "2.wav")
    places.write_text("recording,site\n0,ridge\n1,valley\n")
    assert detect(small, model_dir, out, *more) == 0
    shutil.move(tmp_path / "2.wav", small / "2.wav")
    places.write_text("recording,site\n2,ridge\n1,valley\n0,ridge\n")  # a night more
    assert detect(small, model_dir, out, *more) == 0
    places.write_text("recording,site\n0,valley\n1,valley\n2,ridge\n")
    capsys.readouterr()
    assert detect(small, model_dir, out, *more) == 2
    assert "another site or time of recordings that were heard; choose another folder" in capsys.readouterr().err
    assert detect(small, model_dir, out, *more, "--redo") == 0
    silent = {row["recording"]: float(row[species]) == 0 for row in rows(out / "scores.csv")}
    assert silent == {"0": False, "1": False, "2": True}


def test_frames_as_zarr_are_those_of_parquet(small, model_dir, tmp_path):
    pytest.importorskip("zarr")
    out = tmp_path / "out"
    assert detect(small, model_dir, out, "--save", "frames") == 0
    assert detect(small, model_dir, out, "--save", "frames_zarr") == 0, "the journal has them: nothing is heard again"
    found, expected = (list(read_frames(out / name)) for name in ("frames.zarr", "frames.parquet"))
    for ours, theirs in zip(found, expected, strict=True):
        assert ours[:4] == theirs[:4] and np.array_equal(ours.scores, theirs.scores)


def test_tables_that_were_removed_are_made_again(small, model_dir, tmp_path):
    out, formats = tmp_path / "out", ("--format", "csv", "--format", "raven")
    assert detect(small, model_dir, out, *formats) == 0
    found = tables(out)
    (out / "scores.csv").unlink()
    shutil.rmtree(out / "raven")
    (out / "detect.json").write_text("{")
    assert detect(small, model_dir, out, *formats) == 0
    assert tables(out) == found


def test_an_output_folder_among_the_recordings_is_none_of_them(small, model_dir):
    out = small / "found"
    for source in (small, f"{small}/**/*"):
        assert detect(source, model_dir, out, "--save", "clips") == 0
        assert list(out.glob("clips/**/*.flac")) and len(rows(out / "scores.csv")) == 3


def test_a_plan_of_another_version_is_replaced_with_redo(small, model_dir, tmp_path, capsys):
    plan = tmp_path / "out/journal/plan.json"
    assert detect(small, model_dir, tmp_path / "out") == 0
    plan.write_text('{"format": "rfcx-ssl detection/0"}')
    assert detect(small, model_dir, tmp_path / "out") == 2
    assert "start again with --redo" in capsys.readouterr().err
    assert detect(small, model_dir, tmp_path / "out", "--redo") == 0


def test_a_file_that_stays_away_costs_its_neighbours_no_second_hearing(small, model_dir, tmp_path, capsys):
    names, out = tmp_path / "names.txt", tmp_path / "out"
    names.write_text("".join(f"{path}\n" for path in sorted(small.glob("*.wav"))))
    (small / "1.wav").rename(tmp_path / "1.wav")
    for said in ("4 s of audio", "nothing new to hear"):
        capsys.readouterr()
        assert listed(names, model_dir, out) == 3
        assert said in capsys.readouterr().err
    (tmp_path / "1.wav").rename(small / "1.wav")
    assert listed(names, model_dir, out) == 0
    assert len(rows(out / "scores.csv")) == 3


@pytest.mark.parametrize(
    "place",
    ["detection.writers.tables.ScoreCsv.add", "detection.clips.write_flac", "detection.journal.Journal.write_plan"],
)
def test_a_disk_that_is_full_is_told_in_one_line(small, model_dir, tmp_path, capsys, monkeypatch, place):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(f"rfcx_ssl.{place}", full)
        assert detect(small, model_dir, tmp_path / "out", "--save", "clips") == 2
    assert "cannot be written (No space left on device); what was heard is kept" in capsys.readouterr().err
    assert detect(small, model_dir, tmp_path / "out", "--save", "clips") == 0


def test_a_name_in_another_encoding_is_heard(small, model_dir, tmp_path):
    os.rename(small / "1.wav", os.fsencode(small) + b"/\xe9.wav")  # noqa: PTH104 - a name of any bytes
    assert detect(small, model_dir, tmp_path / "out", "--format", "csv", "--format", "birdnet") == 0
    assert [row["recording"] for row in rows(tmp_path / "out/scores.csv")] == ["0", "2", "%E9"]


def test_a_card_that_was_taken_out_does_not_stop_the_next_one(card, model_dir, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:

        def stopped(self, part, results):
            raise KeyboardInterrupt

        patch.setattr(Journal, "add_group", stopped)
        assert detect(card / "site1", model_dir, out) == 130
    shutil.move(card / "site1", tmp_path / "gone")
    assert detect(card / "site0", model_dir, out) == 3
    assert len(rows(out / "scores.csv")) == 69 and len(rows(out / "errors.csv")) == 71


def test_accelerate_launch_shares_the_work(card, model_dir, tmp_path, whole):
    expected, _ = whole
    out = tmp_path / "launched"
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--cpu", "-m", "rfcx_ssl"]
    arguments = ["detect", card, "--model", model_dir, "--out", out, "--threshold", 0.52, "--threads", 1]
    formats = ["--format", "csv", "--format", "raven"]
    run = subprocess.run(
        [*command, *map(str, [*arguments, *formats])], capture_output=True, text=True, env=environment
    )
    assert run.returncode in (1, 3), run.stderr  # the launcher's own code for a process that ended with 3
    assert tables(out) == expected
    assert Path(out / "detect.json").exists()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_dask_cluster_writes_the_same_bytes(card, model_dir, tmp_path, whole):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        more = ("--format", "csv", "--format", "raven", "--dask", cluster.scheduler_address)
        assert detect(card, model_dir, tmp_path / "cluster", *more) == 3
    assert tables(tmp_path / "cluster") == whole[0]
