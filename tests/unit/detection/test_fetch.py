"""Copies of files of other machines, and what happens when they do not come."""

import errno

import pytest

from rfcx_ssl.detection import fetch
from rfcx_ssl.detection.fetch import UnreachableError, local_copy
from rfcx_ssl.errors import AudioError


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    waited = []
    monkeypatch.setattr(fetch.time, "sleep", waited.append)
    return waited


@pytest.fixture
def here(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def content_of(path, folder):
    with local_copy(path, folder) as copy:
        content = copy.read_bytes()
    return content


def test_local_files_pass_through(tmp_path, here):
    (tmp_path / "1.wav").write_bytes(b"sound")
    with local_copy(str(tmp_path / "1.wav"), here) as copy:
        assert copy == tmp_path / "1.wav" and list(here.iterdir()) == []
    assert copy.exists()


def test_a_copy_is_there_as_long_as_it_is_needed(bucket, here):
    bucket.pipe_file("/birds/1.wav", b"sound" * 10**6)
    with local_copy("memory://birds/1.wav", here) as copy:
        assert copy.read_bytes() == b"sound" * 10**6 and copy.parent == here
    assert list(here.iterdir()) == []


def test_errors_about_the_copy_name_the_address(bucket, here):
    bucket.pipe_file("/birds/1.wav", b"sound")
    with pytest.raises(AudioError, match=r"^memory://birds/1\.wav: cannot be read as audio$"):
        with local_copy("memory://birds/1.wav", here) as copy:
            raise AudioError(f"{copy}: cannot be read as audio")
    assert list(here.iterdir()) == []


def test_what_is_not_there_is_not_tried_again(web, here, pauses):
    with pytest.raises(AudioError, match=r"/1\.wav: no such file$"):
        content_of(f"{web.url}/1.wav", here)
    assert web.asked == ["/1.wav"] and pauses == [] and list(here.iterdir()) == []


def test_a_server_that_fails_is_asked_again(web, here, pauses):
    (web.folder / "1.wav").write_bytes(b"sound")
    web.failures = [503, 429]
    assert content_of(f"{web.url}/1.wav?key=1", here) == b"sound"
    assert pauses == [1.0, 5.0]
    web.failures = [503] * 10
    with pytest.raises(UnreachableError, match=r"^http://.*/1\.wav: cannot be fetched, in 4 tries \(503") as caught:
        content_of(f"{web.url}/1.wav", here)
    assert "\n" not in str(caught.value) and len(web.failures) == 6 and list(here.iterdir()) == []


def test_a_server_that_refuses_is_not_asked_again(web, here, pauses):
    web.failures = [403]
    with pytest.raises(AudioError, match=r"^http://.*/1\.wav: cannot be fetched \(403") as caught:
        content_of(f"{web.url}/1.wav", here)
    assert not isinstance(caught.value, UnreachableError) and pauses == []


def test_a_server_that_is_not_there(web, here):
    web.server_close()
    with pytest.raises(UnreachableError, match="cannot be fetched, in 4 tries"):
        content_of("http://127.0.0.1:9/1.wav", here)


def test_half_a_file_is_none(web, here, monkeypatch):
    (web.folder / "1.wav").write_bytes(b"sound")

    def cut_off(self, source, outputfile):
        outputfile.write(b"sou")
        outputfile.flush()
        self.connection.close()

    monkeypatch.setattr(web.RequestHandlerClass.func, "copyfile", cut_off)
    with pytest.raises(UnreachableError, match="cannot be fetched"):
        content_of(f"{web.url}/1.wav", here)


def test_a_full_disk_is_not_the_files_fault(bucket, here, monkeypatch):
    bucket.pipe_file("/birds/1.wav", b"sound")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(bucket), "get_file", full)
    with pytest.raises(OSError, match="No space left"):
        content_of("memory://birds/1.wav", here)


def test_files_of_the_hub(hub, here):
    assert content_of("hf://datasets/me/birds/a/1.wav", here) == b"sound"
    with pytest.raises(AudioError, match=r"a/2\.wav: no such file"):
        content_of("hf://datasets/me/birds/a/2.wav", here)
    assert list(here.iterdir()) == []
