import json
import shutil

import pyarrow.parquet
import pytest

from rfcx_ssl.audio import read_audio, write_flac
from rfcx_ssl.errors import ManifestError
from rfcx_ssl.manifest.validate import validate_folder
from rfcx_ssl.workers import this_process


@pytest.fixture
def folder(recordings, tmp_path, build):
    build(tmp_path / "out", recordings)
    return tmp_path / "out"


@pytest.fixture
def virtual(recordings, tmp_path, build):
    build(tmp_path / "virtual", recordings, virtual=True)
    return tmp_path / "virtual"


def problems(folder, **options):
    return [str(problem) for problem in validate_folder(folder, this_process(), **options)]


def line(folder, number, split="train"):
    """Path and text of one line of a TSV."""
    root, *rows = (folder / f"{split}.tsv").read_text().splitlines()
    relpath, frames = rows[number - 2].split("\t")
    return folder / "audio" / relpath, f"{root}/{relpath}", int(frames)


def replace_line(folder, number, text):
    path = folder / "train.tsv"
    lines = path.read_text().splitlines()
    lines[number - 1] = text
    path.write_text("\n".join(lines) + "\n")


def test_what_was_built_is_sound(folder, virtual):
    assert problems(folder) == []
    assert problems(virtual) == []


@pytest.mark.parametrize(
    "text,expected",
    [
        ("no tab here", "train.tsv:5: line='no tab here': must be relpath<TAB>frames"),
        ("a.flac\tmany", "train.tsv:5: frames='many': must be a whole number above 0"),
        ("a.flac\t-3", "train.tsv:5: frames='-3': must be a whole number above 0"),
        ("a.flac\t16001", "train.tsv:5: frames='16001': must be at most 16000 (segment_s)"),
        ("/etc/a.flac\t9", "train.tsv:5: path='/etc/a.flac': must be relative to the root and stay below it"),
    ],
)
def test_a_bad_line_is_named(folder, text, expected):
    replace_line(folder, 5, text)
    assert expected in problems(folder)


def test_a_wrong_frame_count_is_named(folder):
    path, shown, frames = line(folder, 3)
    replace_line(folder, 3, f"{path.relative_to(folder / 'audio')}\t{frames - 1}")
    assert f"train.tsv:3: frames='{frames - 1}': {shown} has {frames} samples" in problems(folder)


def test_missing_damaged_and_foreign_files_are_named(folder):
    missing, shown_missing, _ = line(folder, 2)
    damaged, shown_damaged, _ = line(folder, 3)
    foreign, shown_foreign, _ = line(folder, 4)
    missing.unlink()
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    write_flac(foreign, read_audio(foreign), 16_000)
    first, second, third = problems(folder)
    assert first == f"train.tsv:2: path='{shown_missing}': cannot be read as audio (No such file or directory)"
    assert second.startswith(f"train.tsv:3: path='{shown_damaged}': ")
    assert third == f"train.tsv:4: path='{shown_foreign}': its sample rate is 16000 Hz, must be 8000 Hz"


def test_headers_alone_do_not_see_damage_inside(folder):
    damaged, *_ = line(folder, 3)
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    assert len(problems(folder)) == 1
    assert problems(folder, decode=False) == []


def test_a_moved_folder_says_what_to_do(folder, recordings, tmp_path, build):
    shutil.move(folder, tmp_path / "moved")
    (first, *_) = problems(tmp_path / "moved")
    assert first.startswith(f"train.tsv:1: root='{folder}/audio': no such folder; after a move")
    assert build(tmp_path / "moved", recordings).prepared == 0
    assert problems(tmp_path / "moved") == []


def test_leaks_and_disagreements_with_the_table_are_found(folder):
    path = folder / "segments.parquet"
    table = pyarrow.parquet.read_table(path)
    rows = table.to_pylist()
    valid = next(row for row in rows if row["split"] == "valid")
    train = next(row for row in rows if row["split"] == "train")
    train["group"] = valid["group"]
    train["audio_hash"] = valid["audio_hash"]
    rows.remove(next(row for row in rows if row["split"] == "train" and row is not train))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, table.schema), path)
    found = problems(folder)
    assert any("segments.parquet:0: train=" in problem and "the train manifest lists" in problem for problem in found)
    leak = "is in train and in valid: validation would be leaked"
    assert f"segments.parquet:0: group='{valid['group']}': {leak}" in found
    assert f"segments.parquet:0: audio_hash='{valid['audio_hash']}': {leak}" in found


def test_a_changed_recording_below_virtual_rows_is_named(virtual, recordings, make_noise):
    make_noise(recordings / "SITE0_20210301_050000.wav", 1.0, seed=1)
    found = problems(virtual)
    assert found
    assert all("SITE0_20210301_050000.wav ends at 8000" in problem for problem in found)


def test_an_unbatchable_side_is_a_problem(folder):
    path = folder / "manifest.json"
    summary = json.loads(path.read_text())
    path.write_text(json.dumps(summary | {"valid_segments": 7}))
    (problem,) = problems(folder)
    assert "valid_segments='7': fairseq needs at least 8" in problem


def test_a_foreign_folder_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"not the manifest\.json of a manifest folder"):
        problems(tmp_path)
