"""What must not leave this machine: secrets, absolute paths, names of people. Rewritten where the meaning survives, else refused.

Records (settings, run.json, decisions) are written anew by :func:`portable`: a path below the working folder or below the
data set becomes relative to it, any other keeps its last part. :func:`check_folder` then reads every byte that is to be
pushed, and refuses what is left. An error never repeats a secret.
"""

import getpass
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from rfcx_ssl.errors import HubError

TEXT_SUFFIXES = (".json", ".jsonl", ".yaml", ".md", ".csv", ".py", ".txt", ".cff")
SECRETS = {  # what it is -> its form
    "a token of Hugging Face": rb"\b(?:hf|api_org)_[A-Za-z0-9]{30,}",
    "a key of AWS": rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a secret key of AWS": rb"(?i:aws_secret_access_key)\W{1,5}[A-Za-z0-9/+=]{40}",
    "a private key": rb"-----BEGIN [A-Z ]*PRIVATE KEY",
    "a token of GitHub": rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22,})",
    "a token of Slack": rb"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "a key of Google": rb"\bAIza[0-9A-Za-z_-]{35}",
    "a secret key": rb"\bsk-[A-Za-z0-9_-]{32,}",
    "a key of Weights & Biases": rb"(?i:wandb_api_key)\W{1,5}[0-9a-f]{40}",
    "a password": rb"(?i:\b(?:password|passwd|secret)[\"']?\s*[:=]\s*)[^\s,}]{6,}|://[^/\s:@]{1,64}:[^/\s:@]{1,64}@",
}
_PART = r"[^\s/\\\"'`<>|,;:()\[\]{}=*?]+"
_PATH = re.compile(
    rf"file:/+{_PART}(?:/{_PART})*/?"
    rf"|(?<![\w.:/\\~)\]}}>*<-])(?:~[\w.-]*)?/(?:{_PART}/)*{_PART}/?"
    rf"|(?<![\w./])(?:\.\./)+(?:{_PART}/)*{_PART}"
    rf"|\b[A-Za-z]:[\\/]+(?:{_PART}[\\/]+)*{_PART}"
    rf"|\\\\(?:[\w.$-]+\\+)+[\w.$-]+"
)
_BINARY_PATH = rb"/(?:home|Users)/[A-Za-z][\w.-]*/"
_BLOCK, _OVERLAP = 16 << 20, 4096


def portable(value: Any, roots: Iterable[Path] = ()) -> Any:  # noqa: ANN401 - any JSON value
    """The same plain value with every absolute path in it made relative, in keys, too.

    Args:
        value: mappings, lists, text, numbers.
        roots: folders that a path may be relative to, tried in this order, before the working folder.
    """
    places = [*(root.absolute() for root in roots), Path.cwd()]

    def rewrite(item: Any) -> Any:  # noqa: ANN401
        match item:
            case str():
                return _without_paths(item, places)
            case Mapping():
                return _with_keys({key: rewrite(inner) for key, inner in item.items()}, places)
            case list() | tuple():
                return [rewrite(inner) for inner in item]
        return item

    return rewrite(value)


def check_folder(folder: Path, allowed: str = "") -> None:
    """Refuse secrets in any file of ``folder``, and in text absolute paths and user names that are part of a path.

    Args:
        folder: what is to be pushed.
        allowed: the name of the model on the hub, which may hold a user name; not as a part of a longer path.

    Raises:
        HubError: naming the file, the line and what was found.
    """
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix in TEXT_SUFFIXES:
            check_text(name, path.read_text(encoding="utf-8"), allowed)
        else:
            _check_bytes(name, path)


def check_text(name: str, text: str, allowed: str = "") -> None:
    """The rules of :func:`check_folder` for the text of one file."""
    content = text.encode()
    for what, secret in SECRETS.items():
        if hidden := re.search(secret, content):
            line = content.count(b"\n", 0, hidden.start()) + 1
            raise HubError(f"{name}:{line}: holds {what}; nothing was pushed")
    kept = re.sub(rf"(?<![\w./\\~-]){re.escape(allowed)}", "", text) if "/" in allowed else text
    for form, what in ((_PATH, "the path"), *((form, "in a path the user name") for form in _user_forms())):
        if found := form.search(kept):
            line = kept.count("\n", 0, found.start()) + 1
            raise HubError(f"{name}:{line}: holds {what} {found[0]!r} of this machine; nothing was pushed")


def _check_bytes(name: str, path: Path) -> None:
    """Weights and graphs: secrets, and the folders of people, this one's first."""
    places = [re.escape(str(place).encode()) + rb"/" for place in {Path.home(), Path.cwd()} if len(place.parts) > 2]
    forms = {**SECRETS, "a path of this machine": b"|".join([_BINARY_PATH, *places])}
    forms.pop("a password")  # too short a form for gigabytes of numbers
    with path.open("rb") as file:
        block = tail = b""
        while block := file.read(_BLOCK):
            for what, form in forms.items():
                if re.search(form, tail + block):
                    raise HubError(f"{name}: holds {what}; nothing was pushed")
            tail = block[-_OVERLAP:]


def _without_paths(text: str, places: list[Path]) -> str:
    """``text`` with its paths rewritten; one that is a path as a whole may hold spaces."""
    if _PATH.match(text) and "\n" not in text and (text[0] in "/~." or PureWindowsPath(text).drive):
        return _shorter(text, places)
    return _PATH.sub(lambda found: _shorter(found[0], places), text)


def _shorter(path: str, places: list[Path]) -> str:
    """A path relative to the first place that it is below, else its last part."""
    path = re.sub(r"^file:/+", "/", path)
    for place in places:
        if len(place.parts) > 1 and PurePosixPath(path).is_relative_to(place):
            relative = PurePosixPath(path).relative_to(place).as_posix()
            return place.name if relative == "." else relative
    return PureWindowsPath(path).name or "root"


def _with_keys(values: dict[Any, Any], places: list[Path]) -> dict[Any, Any]:
    """Keys may be paths, too; two that become the same stay apart."""
    renamed: dict[Any, Any] = {}
    for key, value in values.items():
        new = _without_paths(key, places) if isinstance(key, str) else key
        count = 1
        while new in renamed:
            count += 1
            new = f"{_without_paths(str(key), places)} ({count})"
        renamed[new] = value
    return renamed


def _user_forms() -> list[re.Pattern[str]]:
    """The name of who runs this, where it is a part of a path or stands before a host."""
    names = [re.escape(name) for name in sorted({_user(), Path.home().name} - {"", "root"})]
    return [re.compile(rf"(?<=[/\\]){name}(?=[/\\])|(?<![\w.]){name}(?=@)") for name in names]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without such a user
        return ""
