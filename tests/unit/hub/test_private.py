"""What must not leave this machine is rewritten, or refused by file and line without being repeated."""

import getpass
import re
from pathlib import Path

import pytest

from rfcx_ssl.errors import HubError
from rfcx_ssl.hub import private
from rfcx_ssl.hub.private import check_folder, check_text, portable
from rfcx_ssl.models.export_code import exported_source, needed_modules
from rfcx_ssl.models.wav2vec2_mel import AUTO_CLASSES

SECRETS = {
    "Hugging Face": "token: hf_" + "aB3" * 12,
    "AWS": "AKIA" + "ABCDEFGH12345678",
    "secret key of AWS": "aws_secret_access_key = " + "aB3/" * 10,
    "private key": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "GitHub": "ghp_" + "a1" * 18,
    "Slack": "xoxb-123456789012-abc",
    "Google": "AIza" + "a" * 35,
    "a secret key": "sk-" + "a" * 40,
    "Weights & Biases": "WANDB_API_KEY=" + "0a" * 20,
    "password": "s3://user:hunter22@host/bucket",
}
PATHS = {
    "/home/bob/data/rfcx": "rfcx",
    "/data": "data",
    "/mnt/my data/rfcx 2": "rfcx 2",
    "~/rfcx": "rfcx",
    "~bob/rfcx": "rfcx",
    "../../bob/rfcx": "rfcx",
    "file:///home/bob/x.flac": "x.flac",
    "C:\\Users\\bob\\rfcx": "rfcx",
    "D:/rfcx": "rfcx",
    "\\\\server\\share\\rfcx": "rfcx",
    "data.root=/home/bob/rfcx": "data.root=rfcx",
}
HARMLESS = (
    "encoders/base32k",
    "USER/NAME",
    "https://example.org/a/b",
    "hf://datasets/a/b",
    "lwlrap/s3 and auc / 2",
    "</div>",
    "2026-11-30T22:00:00+0000",
    "0.5/1.0 s",
    "~5 dB",
    "task.data=data/manifests",
)


@pytest.mark.parametrize("what", SECRETS)
def test_secrets_are_refused_and_not_repeated(tmp_path, what):
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "config.yaml").write_text(f"a: 1\nb: {SECRETS[what]}\n")
    with pytest.raises(HubError, match=rf"training/config\.yaml:2: holds .*{re.escape(what)}") as told:
        check_folder(tmp_path)
    assert SECRETS[what][-12:] not in str(told.value)


@pytest.mark.parametrize("path", PATHS)
def test_paths_are_made_relative_in_values_and_keys_and_refused_in_text(path):
    assert portable({path: [path, 1, None]}) == {PATHS[path]: [PATHS[path], 1, None]}
    with pytest.raises(HubError, match=r"README\.md:1: holds the path"):
        check_text("README.md", f'"{path}"')
    check_text("README.md", f'"{PATHS[path]}"')


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_path_stays_as_it_is(text):
    assert portable(text) == text
    check_text("README.md", text)


def test_paths_below_the_data_or_the_working_folder_keep_their_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = Path("/mnt/rfcx")
    assert portable([str(tmp_path / "encoders" / "base"), "/mnt/rfcx/train/a.flac", "/mnt/rfcx"], [root]) == [
        "encoders/base",
        "train/a.flac",
        "rfcx",
    ]
    hashes = {"/mnt/rfcx/train_tp.csv": "a", "/b/train_tp.csv": "b", "/c/train_tp.csv": "c"}
    assert portable(hashes, [root]) == {"train_tp.csv": "a", "train_tp.csv (2)": "b", "train_tp.csv (3)": "c"}


def test_a_user_name_in_a_path_is_refused_but_not_the_name_on_the_hub(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "alice")
    check_text("README.md", "--model alice/frogs, made by alice", allowed="alice/frogs")
    for text in ("volumes/alice/rfcx", "alice@laptop"):
        with pytest.raises(HubError, match="user name 'alice'"):
            check_text("training/run.json", text, allowed="alice/frogs")


def test_the_name_on_the_hub_hides_no_path():
    for name in ("home/bob", "home", "bob/rfcx"):
        with pytest.raises(HubError, match=r"holds the path '/home/bob/rfcx'"):
            check_text("README.md", "from /home/bob/rfcx", allowed=name)


def test_large_files_are_read_to_the_end_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(private, "_BLOCK", 1000)
    monkeypatch.setattr(private, "_OVERLAP", 100)
    for start in (0, 980, 2500):
        content = bytearray(3000)
        (tmp_path / "model.safetensors").write_bytes(content)
        check_folder(tmp_path)
        secret = b" hf_" + b"a" * 34
        content[start : start + len(secret)] = secret
        (tmp_path / "model.safetensors").write_bytes(content)
        with pytest.raises(HubError, match=r"model\.safetensors: holds a token of Hugging Face"):
            check_folder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\0/home/bob/rfcx_ssl/models/panns.py\0")
    with pytest.raises(HubError, match=r"holds a path of this machine"):
        check_folder(tmp_path)


def test_the_code_that_goes_with_models_passes():
    entries = {kind.__module__ for kind in AUTO_CLASSES.values()} | {"rfcx_ssl.models.modeling"}
    for module in {name for entry in entries for name in needed_modules(entry)}:
        check_text(f"{module}.py", exported_source(module))
