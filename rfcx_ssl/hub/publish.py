"""From a folder that is made here to a model on the hub, or only the folder (``--dry-run``)."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rfcx_ssl.errors import HubError
from rfcx_ssl.files import atomic_folder
from rfcx_ssl.hub.upload import check_target, push_folder


@dataclass(frozen=True)
class Target:
    """Where to, and how: ``--repo-id``, ``--private``, ``--revision``, ``--dry-run``."""

    repo_id: str
    private: bool = False
    tag: str | None = None
    dry_run: Path | None = None

    def __post_init__(self) -> None:
        check_target(self.repo_id, self.tag)
        if self.dry_run is not None and self.dry_run.exists():
            raise HubError(f"--dry-run {self.dry_run} exists; choose a new folder")


def publish(target: Target, write: Callable[[Path], None]) -> str:
    """Let ``write`` fill an empty folder, and push it; with a dry run the folder stays here. Returns where it is.

    Raises:
        HubError: as :func:`rfcx_ssl.hub.upload.push_folder`.
    """
    if target.dry_run is not None:
        target.dry_run.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(target.dry_run) as folder:
            write(folder)
        return str(target.dry_run)
    with tempfile.TemporaryDirectory(prefix="rfcx-push-") as name:
        write(Path(name))
        return push_folder(Path(name), target.repo_id, private=target.private, tag=target.tag)
