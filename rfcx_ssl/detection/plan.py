"""What the results of a folder depend on: models and settings. A folder holds results of one plan."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from rfcx_ssl.config import settings_dict
from rfcx_ssl.detection.score_rules import files_of
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.errors import RunError, some_of
from rfcx_ssl.provenance import hash_files

#: Settings that no result depends on.
FREE = ("picture_s", "block_s")
SHOWN = 4


def wanted_plan(models: Sequence[Path], settings: DetectSettings, keep: Collection[str]) -> dict[str, Any]:
    """The plan that a command asks for; ``models`` are their folders or files.

    A model is known by the hashes of its files, not by its name: a retrained one in the same place is another.
    """
    plain = {key: value for key, value in settings_dict(settings).items() if key not in FREE}
    plain["files"] = sorted(hash_files(files_of(settings)).values())
    return {
        "models": [sorted(hash_files([folder]).values()) for folder in models],
        "settings": plain,
        "keep": sorted(keep),
    }


def refuse_other(made: Mapping[str, Any], wanted: Mapping[str, Any], out: Path) -> None:
    """Refuse to go on with another model or other settings than those of the results that are there.

    Raises:
        RunError: naming what differs.
    """
    if differing := differences(made, wanted):
        raise RunError(
            f"--out {out}: its results were made otherwise: {some_of(differing, SHOWN)}; choose another folder, or hear all "
            "again with --redo"
        )


def differences(made: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What differs between two plans, each in a few words."""
    found = []
    if made["models"] != wanted["models"]:
        found.append("another model")
    for key in sorted({*made["settings"], *wanted["settings"]}):
        before, now = made["settings"].get(key), wanted["settings"].get(key)
        if before != now:
            found.append(
                f"{key}={json.dumps(before)}, now {json.dumps(now)}"
                if key != "files"
                else "another table of species or occurrence"
            )
    if made.get("places") != wanted.get("places"):
        found.append("another site or time of recordings that were heard")
    if lacking := sorted({*wanted["keep"]} - {*made["keep"]}):
        found.append(f"without {', '.join(lacking)}")
    return found
