"""A Hugging Face hub for tests: the parts of its HTTP protocol that huggingface_hub's client speaks for models.

Repositories, commits, tags, large files by content (LFS), downloads by revision. Tokens say who may do what. What arrives is
counted, and an upload can be held in the middle. Point the client at it with ``environment(...)`` in a process of its own: the
client reads ``HF_ENDPOINT`` when it is imported. Xet, the hub's newer way to send large files, is not spoken.
"""

import base64
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

WRITE, READ, FOREIGN = "hf_" + "w" * 34, "hf_" + "r" * 34, "hf_" + "f" * 34  # tokens
LARGE = (".safetensors", ".onnx", ".bin", ".parquet")


class Refused(Exception):
    """An answer that is an error: status, and the hub's code for it."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass
class File:
    content: bytes
    large: bool

    @property
    def blob_id(self) -> str:
        pointer = f"oid sha256:{self.sha256}\nsize {len(self.content)}\n".encode()
        content = pointer if self.large else self.content
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.large else self.blob_id


@dataclass
class Repository:
    private: bool
    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, File], message: str) -> str:
        listing = sorted((path, file.blob_id) for path, file in files.items())
        oid = hashlib.sha1(repr([listing, message, len(self.commits)]).encode()).hexdigest()
        self.commits[oid], self.branches["main"] = files, oid
        self.messages.append(message)
        return oid

    def resolve(self, revision: str) -> str:
        oid = self.branches.get(revision) or self.tags.get(revision) or revision
        if oid not in self.commits:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return oid


class Hub:
    """The state of the hub, and what was done to it."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}  # large files that have arrived, by SHA-256
        self.verified: list[str] = []
        self.uploads: list[str] = []  # SHA-256 of every large file that arrived, as often as it did
        self.downloads: list[str] = []  # paths of every file that was sent
        self.held: set[str] = set()  # SHA-256 of uploads that wait, when they have arrived in part, for ``released``
        self.waiting, self.released = threading.Event(), threading.Event()
        self.lock = threading.RLock()
        self.endpoint = ""

    def may(self, token: str | None, repo_id: str, *, write: bool) -> Repository:
        """The repository, where the token lets one see it (or write to it); errors as the hub has them."""
        repository = self.repositories.get(repo_id)
        if token is None and (write or repository is None or repository.private):
            raise Refused(401, "" if write else "RepoNotFound", "Invalid username or password.")
        if repository is None or (repository.private and token == FOREIGN):
            raise Refused(404, "RepoNotFound", "Repository not found")
        if write and token != WRITE:
            raise Refused(403, "", "you don't have the right permission")
        return repository

    def files(self, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        """Content of a version by path."""
        repository = self.repositories[repo_id]
        return {path: file.content for path, file in repository.commits[repository.resolve(revision)].items()}


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub on a port of this machine, as long as the block lasts."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.released.set()
        server.shutdown()
        server.server_close()


def environment(hub: Hub, home: Path, token: str | None = WRITE) -> dict[str, str]:
    """Variables of a process that knows no other hub than this one, and has nothing in its cache."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    own = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "OMP_NUM_THREADS": "1"}
    own |= {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DISABLE_SAFETENSORS_CONVERSION": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    return kept | own | ({"HF_TOKEN": token} if token else {})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        self._answer("GET")

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def log_message(self, *_: object) -> None:
        pass

    @property
    def token(self) -> str | None:
        said = self.headers.get("Authorization") or ""
        return said.removeprefix("Bearer ") or None

    def _answer(self, method: str) -> None:
        address = urlsplit(self.path)
        self.query = parse_qs(address.query)
        try:
            for routed, pattern, action in ROUTES:
                if method in routed and (found := re.fullmatch(pattern, address.path)):
                    action(self, **{name: unquote(value) for name, value in found.groupdict().items()})
                    return
            raise Refused(404, "", f"no route for {method} {self.path}")
        except Refused as refused:
            self._body()
            headers = {"X-Error-Code": refused.code, "X-Error-Message": refused.message}
            self._send(refused.status, json.dumps({"error": refused.message}).encode(), headers)
        except ConnectionError:  # the client is gone
            self.close_connection = True

    def _send(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | (headers or {})).items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _json(self, value: object, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _body(self) -> bytes:
        if not hasattr(self, "_read") or self._read is not self.headers:
            self._read = self.headers
            self._content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return self._content

    def _asked(self) -> dict:
        return json.loads(self._body() or b"{}")

    # what the hub does

    def create(self) -> None:
        asked = self._asked()
        if self.token is None:
            raise Refused(401, "", "Invalid username or password.")
        if self.token != WRITE:
            raise Refused(403, "", "You don't have the rights to create a model under this namespace")
        repo_id = f"{asked['organization']}/{asked['name']}"
        new = repo_id not in self.hub.repositories
        if new:
            repository = self.hub.repositories[repo_id] = Repository(asked.get("visibility") == "private")
            repository.commit({".gitattributes": File(b"*.safetensors filter=lfs\n", False)}, "initial commit")
        self._json({"url": f"{self.hub.endpoint}/{repo_id}", "id": repo_id}, 200 if new else 409)

    def info(self, repo: str, revision: str = "main") -> None:
        repository = self.hub.may(self.token, repo, write=False)
        oid = repository.resolve(revision)
        siblings = [{"rfilename": path} for path in repository.commits[oid]]
        self._json({"id": repo, "modelId": repo, "sha": oid, "private": repository.private, "siblings": siblings})

    def tree(self, repo: str, revision: str) -> None:
        repository = self.hub.may(self.token, repo, write=False)
        listing = []
        for path, file in repository.commits[repository.resolve(revision)].items():
            entry = {"type": "file", "path": path, "size": len(file.content), "oid": file.blob_id}
            large = {"oid": file.sha256, "size": len(file.content), "pointerSize": 130}
            listing.append(entry | ({"lfs": large} if file.large else {}))
        self._json(listing)

    def refs(self, repo: str) -> None:
        repository = self.hub.may(self.token, repo, write=False)
        named = {"branches": ("heads", repository.branches), "tags": ("tags", repository.tags)}
        self._json(
            {"converts": []}
            | {
                key: [{"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": oid} for name, oid in refs.items()]
                for key, (kind, refs) in named.items()
            }
        )

    def validate(self) -> None:
        block = re.match(r"---\n(.*?)\n---\n", self._asked()["content"], re.DOTALL)
        errors = [] if block and isinstance(yaml.safe_load(block[1]), dict) else [{"message": "no metadata"}]
        self._json({"errors": errors, "warnings": []}, 400 if errors else 200)

    def preupload(self, repo: str, revision: str) -> None:
        files = self.hub.may(self.token, repo, write=True)
        there = files.commits[files.resolve(revision)]
        answers = []
        for asked in self._asked()["files"]:
            mode = "lfs" if asked["path"].endswith(LARGE) else "regular"
            known = there.get(asked["path"])
            oid = known.etag if known else None
            answers.append({"path": asked["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._json({"files": answers})

    def batch(self, repo: str) -> None:
        self.hub.may(self.token, repo, write=True)
        objects = []
        for asked in self._asked()["objects"]:
            place = f"{self.hub.endpoint}/objects/{asked['oid']}"
            actions = {"upload": {"href": place}, "verify": {"href": f"{place}/verify"}}
            objects.append(asked | ({} if asked["oid"] in self.hub.objects else {"actions": actions}))
        self._json({"transfer": "basic", "objects": objects})

    def upload(self, oid: str) -> None:
        if oid in self.hub.held:
            self.hub.waiting.set()
            self.hub.released.wait(60)
        content = self._body()
        if hashlib.sha256(content).hexdigest() != oid:
            raise Refused(400, "", "the content is not that of its name")
        with self.hub.lock:
            self.hub.objects[oid] = content
            self.hub.uploads.append(oid)
        self._send(200)

    def verify(self, oid: str) -> None:
        asked = self._asked()
        if oid not in self.hub.objects or len(self.hub.objects[oid]) != asked["size"]:
            raise Refused(404, "", "not there")
        self.hub.verified.append(oid)
        self._send(200)

    def commit(self, repo: str, revision: str) -> None:
        repository = self.hub.may(self.token, repo, write=True)
        files, message = dict(repository.commits[repository.resolve(revision)]), ""
        for line in self._body().splitlines():
            value, key = json.loads(line)["value"], json.loads(line)["key"]
            if key == "header":
                message = value["summary"]
            elif key == "file":
                files[value["path"]] = File(base64.b64decode(value["content"]), False)
            elif key == "lfsFile":
                if value["oid"] not in self.hub.objects:
                    raise Refused(400, "", f"{value['path']}: its content never arrived")
                files[value["path"]] = File(self.hub.objects[value["oid"]], True)
            elif key == "deletedFile":
                del files[value["path"]]
        oid = repository.commit(files, message)
        self._json({"success": True, "commitOid": oid, "commitUrl": f"{self.hub.endpoint}/{repo}/commit/{oid}"})

    def tag(self, repo: str, revision: str) -> None:
        repository = self.hub.may(self.token, repo, write=True)
        name = self._asked()["tag"]
        if name in repository.tags:
            raise Refused(409, "", "Tag reference exists already")
        repository.tags[name] = repository.resolve(revision)
        self._send(200)

    def resolve(self, repo: str, revision: str, path: str) -> None:
        repository = self.hub.may(self.token, repo, write=False)
        oid = repository.resolve(revision)
        file = repository.commits[oid].get(path)
        if file is None:
            raise Refused(404, "EntryNotFound", "Entry not found")
        headers = {"ETag": f'"{file.etag}"', "X-Repo-Commit": oid, "Accept-Ranges": "bytes"}
        if file.large:
            headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(len(file.content))}
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(file.content) - 1}/{len(file.content)}"
        if self.command == "GET":
            self.hub.downloads.append(path)
        self._send(206 if start else 200, file.content[start:], headers)


_REPO, _REV = r"(?P<repo>[^/]+/[^/]+)", r"(?P<revision>[^/]+)"
ROUTES = (
    ("POST", "/api/repos/create", Handler.create),
    ("POST", "/api/validate-yaml", Handler.validate),
    ("GET", f"/api/models/{_REPO}", Handler.info),
    ("GET", f"/api/models/{_REPO}/revision/{_REV}", Handler.info),
    ("GET", f"/api/models/{_REPO}/tree/{_REV}", Handler.tree),
    ("GET", f"/api/models/{_REPO}/refs", Handler.refs),
    ("POST", f"/api/models/{_REPO}/preupload/{_REV}", Handler.preupload),
    ("POST", f"/api/models/{_REPO}/commit/{_REV}", Handler.commit),
    ("POST", f"/api/models/{_REPO}/tag/{_REV}", Handler.tag),
    ("POST", f"/{_REPO}[.]git/info/lfs/objects/batch", Handler.batch),
    ("PUT", "/objects/(?P<oid>[0-9a-f]{64})", Handler.upload),
    ("POST", "/objects/(?P<oid>[0-9a-f]{64})/verify", Handler.verify),
    (("GET", "HEAD"), f"/{_REPO}/resolve/{_REV}/(?P<path>.+)", Handler.resolve),
)
