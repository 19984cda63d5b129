"""Names of models on the Hugging Face hub, and what its errors mean. Needs the standard library only."""

from collections.abc import Iterator
from pathlib import Path

from rfcx_ssl.errors import CheckpointError, first_line

_STATUS = {  # HTTP status -> what a person can do about it; {} is the name of the model
    401: "not logged in, or the token is no longer valid: `hf auth login` sets it (or HF_TOKEN)",
    403: "the token may not do that: it needs the right to it on {}",
    404: "there is no such model or revision on the hub, or it is private and the token may not see it",
    429: "the hub has had too many requests from here; try again in some minutes",
}
_OFFLINE = ("OfflineModeIsEnabled", "LocalEntryNotFoundError", "IncompleteSnapshotError")
_UNREACHABLE = ("ConnectError", "ConnectTimeout", "ReadTimeout", "ReadError", "RemoteProtocolError", "ConnectionError")


def split_revision(source: str) -> tuple[str, str | None]:
    """``id@revision`` of the hub -> id and revision (a branch, tag or commit); None where a source has none.

    What exists on this machine is a path, whatever its name.

    Raises:
        CheckpointError: a part is empty.
    """
    name, at, revision = source.rpartition("@")
    if Path(source).exists() or not at:
        return source, None
    if not name or not revision:
        raise CheckpointError(f"model {source}: need an id before @ and a revision after it")
    return name, revision


def hub_complaint(error: BaseException, name: str) -> str:
    """What an error of the hub, or of a library that asked it, means for the user who wanted ``name``; in one line."""
    causes = list(_causes(error))
    for cause in causes:
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status in _STATUS:
            return f"{_STATUS[status].format(name)} (HTTP {status})"
    kinds = {kind.__name__ for cause in causes for kind in type(cause).__mro__}
    if kinds & set(_OFFLINE):
        return "it is not complete on this machine, and the hub cannot be asked: offline, or HF_HUB_OFFLINE is set"
    if kinds & set(_UNREACHABLE):
        return "the hub cannot be reached; the same command goes on when it can"
    return first_line(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__
