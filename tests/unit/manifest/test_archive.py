import argparse
import sys
import types

import pytest

from rfcx_ssl.commands import download as command
from rfcx_ssl.errors import ManifestError, MissingExtraError
from rfcx_ssl.manifest.archive import ArchiveLayout, fetch_archive, verify_archive
from rfcx_ssl.workers import this_process

LAYOUT = ArchiveLayout(
    true_positives=2, false_positives=3, train_recordings=3, test_recordings=2, sample_rate_hz=8_000
)
HEADER = "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\n"


@pytest.fixture
def write_archive(make_noise):
    """Writes RFCX's layout in small."""

    def write(root):
        for seed, name in enumerate(("train/aa", "train/bb", "train/cc", "test/dd", "test/ee")):
            make_noise(root / f"{name}.flac", 1, seed=seed)
        boxes = {"train_tp.csv": ("aa", "bb"), "train_fp.csv": ("aa", "bb", "cc")}
        for table, ids in boxes.items():
            (root / table).write_text(HEADER + "".join(f"{name},1,1,0.1,10,0.2,20\n" for name in ids))
        (root / "sample_submission.csv").write_text("recording_id,s0\ndd,0.5\nee,0.5\n")
        return root

    return write


def verify(root, layout=LAYOUT, **options):
    return verify_archive(root, this_process(), layout=layout, **options)


def test_a_complete_archive_has_no_problems(write_archive, tmp_path):
    root = write_archive(tmp_path / "rfcx")
    assert verify(root) == []
    assert verify(root, layout=None) == []
    assert len(verify(root, layout=ArchiveLayout())) == 3 + 2 + 5


def test_everything_missing_or_damaged_is_named(write_archive, tmp_path):
    root = write_archive(tmp_path / "rfcx")
    (root / "train/bb.flac").unlink()
    (root / "train_tp.csv").write_text("recording_id,species\naa,1\n")
    (root / "sample_submission.csv").unlink()
    data = bytearray((root / "test/dd.flac").read_bytes())
    data[30] ^= 1  # in the checksum
    (root / "test/dd.flac").write_bytes(data)
    whole = (root / "test/ee.flac").read_bytes()
    (root / "test/ee.flac").write_bytes(whole[: len(whole) // 2])
    text = "\n".join(verify(root))
    assert f"{root}/train: 1 recordings of the tables are missing, e.g. bb" in text
    assert f"{root}/train: 2 recordings, must be 3" in text
    assert "train_tp.csv:1: missing column species_id, songtype_id" in text
    assert "sample_submission.csv: cannot be read" in text
    assert f"{root}/test/dd.flac: its samples do not have the checksum in its header" in text
    assert f"{root}/test/ee.flac" in text
    assert "dd.flac" not in "\n".join(verify(root, checksums=False))


def fake_kagglehub(monkeypatch, download):
    module = types.ModuleType("kagglehub")
    module.competition_download = download
    exceptions = types.ModuleType("kagglehub.exceptions")
    for name in ("UnauthenticatedError", "CredentialError", "KaggleApiHTTPError"):
        setattr(exceptions, name, type(name, (Exception,), {}))
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    monkeypatch.setitem(sys.modules, "kagglehub.exceptions", exceptions)
    return exceptions


def test_the_archive_is_fetched_then_verified(monkeypatch, write_archive, tmp_path, capsys):
    asked = []

    def download(handle, *, output_dir):
        asked.append(handle)
        return str(write_archive(tmp_path / output_dir))

    fake_kagglehub(monkeypatch, download)
    monkeypatch.setattr(command, "ArchiveLayout", lambda: LAYOUT)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    command.run(parser.parse_args([str(tmp_path / "new"), "--workers", "1"]))
    assert asked == ["rfcx-species-audio-detection"]
    assert f"complete. Use it as data.root={tmp_path}/new" in capsys.readouterr().out
    (tmp_path / "new/test/dd.flac").unlink()
    with pytest.raises(ManifestError, match="2 problems"):
        command.run(parser.parse_args(["--verify", str(tmp_path / "new"), "--workers", "1"]))
    for arguments in ([], ["a", "--verify", "b"], ["--verify", str(tmp_path / "nowhere")]):
        with pytest.raises(ManifestError, match=r"needs OUT|no such folder"):
            command.run(parser.parse_args(arguments))


@pytest.mark.parametrize(
    "kind,message",
    [
        ("UnauthenticatedError", "accept the rules.*KAGGLE_API_TOKEN.*kaggle.json"),
        ("KaggleApiHTTPError", "403 Forbidden.*accept the rules"),
        (ValueError, "accept the rules"),
        (ConnectionError, "is this machine offline"),
    ],
)
def test_failures_say_what_to_do_in_one_line(monkeypatch, tmp_path, kind, message):
    def download(handle, *, output_dir):
        error = kind if isinstance(kind, type) else getattr(exceptions, kind)
        raise error("403 Forbidden\nlong text")

    exceptions = fake_kagglehub(monkeypatch, download)
    with pytest.raises(ManifestError, match=message) as caught:
        fetch_archive(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(MissingExtraError, match=r"rfcx-ssl\[download\]"):
        fetch_archive(tmp_path)
