"""Send a folder to the hub as one commit, and tag it; run again after an interruption, it sends only what is missing.

Large files are sent first and kept by their content; the one commit at the end names them. So a model on the hub is never half
of one version and half of another, and a push that died goes on: what has arrived is not sent again.
"""

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.hf_api import RepoFile

import rfcx_ssl
from rfcx_ssl.errors import HubError
from rfcx_ssl.hub.card import check_id
from rfcx_ssl.hub_id import hub_complaint

logger = logging.getLogger(__name__)

#: Files that an earlier push may have written; those that the new version lacks are removed, others are left alone.
OURS = (
    "*.safetensors",
    "*.safetensors.index.json",
    "rainforest_*.py",
    "model.onnx",
    "*.json",
    "species.csv",
    "training/*",
)


def check_target(repo_id: str, tag: str | None) -> None:
    """Before any work: is that the name of a model, and could it have such a tag?

    Raises:
        HubError: it is not, or could not.
    """
    check_id(repo_id, "--repo-id")
    if tag is not None and not re.fullmatch(r"(?!.*(\.\.|@\{))[\w][\w./+-]*(?<![./])", tag):
        raise HubError(f"--revision {tag!r}: need the name of a tag, such as v1.0")


def push_folder(folder: Path, repo_id: str, *, private: bool, tag: str | None) -> str:
    """Make ``repo_id`` hold what ``folder`` holds, and return its address.

    Args:
        folder: what is pushed, see :mod:`rfcx_ssl.hub.folder`.
        repo_id: ``USER/NAME``; it is made where it does not exist.
        private: it must not be seen by others.
        tag: of the version that is pushed.

    Raises:
        HubError: not logged in, not allowed, not reachable; it exists and is public; the tag names another version.
    """
    api = HfApi(library_name="rfcx-ssl", library_version=rfcx_ssl.__version__)
    with _in_a_line(repo_id):
        address = str(api.create_repo(repo_id, private=private or None, exist_ok=True))
        if private and not api.model_info(repo_id).private:
            raise HubError(
                f"{repo_id}: exists and everyone can see it; make it private in its settings, or choose another name"
            )
        there = {item.path: item for item in api.list_repo_tree(repo_id, recursive=True) if isinstance(item, RepoFile)}
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        changed = [name for name, path in files.items() if name not in there or not _is_same(path, there[name])]
        stale = [name for name in there if name not in files and any(fnmatch(name, pattern) for pattern in OURS)]
        head = api.model_info(repo_id).sha
        tags = {ref.name: ref.target_commit for ref in api.list_repo_refs(repo_id).tags}
        if tag in tags and (changed or stale or tags[tag] != head):
            raise HubError(
                f"--revision {tag}: {repo_id} has such a tag, of another version; choose another, versions stay as they are"
            )
        if changed or stale:
            adds = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=files[name]) for name in changed]
            deletes = [CommitOperationDelete(path_in_repo=name) for name in stale]
            done = api.create_commit(
                repo_id, [*adds, *deletes], commit_message=f"rfcx-ssl {rfcx_ssl.__version__}: {tag or 'push'}"
            )
            head = done.oid
        else:
            logger.info("%s holds all of it already", repo_id)
        if tag is not None and tag not in tags:
            api.create_tag(repo_id, tag=tag, revision=head)
    return address


@contextmanager
def _in_a_line(repo_id: str) -> Iterator[None]:
    """Errors of the hub and of the way to it, in the words of :func:`hub_complaint`."""
    try:
        yield
    except HubError:
        raise
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, ValueError, RuntimeError) as error:
        raise HubError(f"{repo_id}: cannot be pushed ({hub_complaint(error, repo_id)})") from None
    except Exception as error:
        if not type(error).__module__.startswith("httpx"):  # connections: a package that the hub's client may change
            raise
        raise HubError(f"{repo_id}: cannot be pushed ({hub_complaint(error, repo_id)})") from None


def _is_same(path: Path, there: RepoFile) -> bool:
    """Whether a file on the hub has this content: by SHA-256 where it is a large one, else by git's own hash."""
    if there.size != path.stat().st_size:
        return False
    with path.open("rb") as file:
        if there.lfs is not None:
            return hashlib.file_digest(file, "sha256").hexdigest() == there.lfs.sha256
        content = file.read()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == there.blob_id
