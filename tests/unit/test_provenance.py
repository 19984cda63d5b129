"""Who made a result, with what, from what."""

import hashlib
import json
import subprocess
import sys

from rfcx_ssl.pretraining.record import record_run
from rfcx_ssl.provenance import git_commit, hash_files, new_record, session_record
from rfcx_ssl.training.run_folder import RunFolder


def test_files_are_hashed_by_path_and_folders_file_by_file(tmp_path):
    for folder in ("one", "two/deep"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "calls.csv").write_text(folder)
    found = hash_files([tmp_path / "one" / "calls.csv", tmp_path / "two", tmp_path / "absent.csv"])
    assert list(found) == [str(tmp_path / "one/calls.csv"), str(tmp_path / "two/deep/calls.csv")]
    assert found[str(tmp_path / "one/calls.csv")] == hashlib.sha256(b"one").hexdigest()
    (tmp_path / "two" / "another.csv").write_text("")
    assert hash_files([tmp_path / "two"]) != found


def test_an_installed_package_claims_no_commit_of_the_repository_around_it(tmp_path):
    assert git_commit(tmp_path / "site-packages" / "rfcx_ssl") is None


def test_runs_of_both_kinds_have_the_same_keys(tmp_path, toy):
    (tmp_path / "pretraining").mkdir()
    record_run(tmp_path / "pretraining", {"task": {"data": str(tmp_path)}, "model": {}}, ["fairseq-hydra-train"])
    folder = RunFolder(tmp_path / "fine-tuning")
    folder.create()
    folder.open(toy.toy_settings(f"output_dir={folder.path}", "max_steps=1"), {"data": {}})
    records = [json.loads((tmp_path / kind / "run.json").read_text()) for kind in ("pretraining", "fine-tuning")]
    assert records[0].keys() == records[1].keys() == new_record("x", {}, {}).keys()
    assert records[0]["sessions"][0].keys() == records[1]["sessions"][0].keys()
    assert records[0]["sessions"][0].keys() == session_record({}, None, sys.argv).keys()


def test_commit_of_a_checkout(tmp_path):
    assert git_commit(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    commit = git_commit(tmp_path)
    assert commit is not None
    assert len(commit) == 40
    (tmp_path / "file").write_text("")
    subprocess.run([*git, "add", "file"], check=True)
    assert git_commit(tmp_path) == f"{commit}-dirty"
