"""A web server and a hub on this machine, and a bucket in memory."""

import json
import threading
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder with its pages of links; counts what was asked, fails with the codes it is told."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.server.failures:
            self.send_error(self.server.failures.pop())
        else:
            super().do_GET()

    def end_headers(self):
        if "." in self.path.rpartition("/")[2]:
            self.send_header("ETag", f'"{self.path.partition("?")[0]}-{self.server.version}"')
        super().end_headers()

    def log_message(self, *_):
        pass


TREE = {  # of the hub's data set
    "": [{"type": "directory", "path": "a", "oid": "1"}, {"type": "file", "path": "README.md", "oid": "2", "size": 3}],
    "/a": [{"type": "file", "path": "a/1.wav", "oid": "abc", "size": 5}],
}


class HubHandler(BaseHTTPRequestHandler):
    """Answers what the client of the hub asks about ``me/birds``, which holds ``a/1.wav``."""

    def do_GET(self):
        path = self.path.partition("?")[0]
        tree = "/api/datasets/me/birds/tree/main"
        if path == "/api/datasets/me/birds":
            self.answer(json.dumps({"id": "me/birds", "sha": "f" * 40}).encode())
        elif path.startswith(tree) and path.removeprefix(tree) in TREE:
            self.answer(json.dumps(TREE[path.removeprefix(tree)]).encode())
        elif path == "/datasets/me/birds/resolve/main/a/1.wav":
            self.answer(b"sound")
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if "birds" in path else "RepoNotFound")
            self.end_headers()

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def serving(handler):
    """A server in a thread, with its ``url``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def web(tmp_path):
    """``web.url`` serves ``web.folder``."""
    pytest.importorskip("aiohttp")
    folder = tmp_path / "web"
    folder.mkdir()
    with serving(partial(Handler, directory=str(folder))) as server:
        server.folder, server.asked, server.failures, server.version = folder, [], [], 1
        yield server


@pytest.fixture
def hub(monkeypatch):
    """A hub with the data set ``me/birds``."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # as `make test` has it; this hub is here
    import fsspec

    with serving(HubHandler) as server:
        monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": server.url})
        yield server


@pytest.fixture
def bucket():
    """fsspec's file system in memory, empty."""
    import fsspec

    filesystem = fsspec.filesystem("memory")
    yield filesystem
    filesystem.rm("/", recursive=True)
