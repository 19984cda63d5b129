"""``manifest.json``: what a manifest folder holds and how it was made, checked when it is read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rfcx_ssl.errors import ManifestError, first_line

KINDS = ("prepared", "virtual")
_COUNTS = ("train_segments", "valid_segments")


def load_summary(folder: Path) -> dict[str, Any]:
    """``manifest.json`` of a manifest folder.

    Raises:
        ManifestError: it is not there, or a value in it that programs need is not what a build writes.
    """
    path = folder / "manifest.json"
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ManifestError(f"{path}: not the manifest.json of a manifest folder ({first_line(error)})") from None
    problem = _problem(summary)
    if problem:
        raise ManifestError(f"{path}: not the manifest.json of a manifest folder ({problem})")
    found: dict[str, Any] = summary
    return found


def _problem(summary: Any) -> str:  # noqa: ANN401 - any JSON value
    """What is wrong with a summary, or nothing."""
    if not isinstance(summary, Mapping) or summary.get("kind") not in KINDS:
        return f"kind must be {' or '.join(KINDS)}"
    settings = summary.get("settings")
    split = settings.get("split") if isinstance(settings, Mapping) else None
    if not isinstance(settings, Mapping) or not isinstance(split, Mapping):
        return "settings and settings.split must be there"
    whole = {"sample_rate_hz": summary.get("sample_rate_hz"), "split.batch_multiple": split.get("batch_multiple")}
    whole |= {key: summary.get(key) for key in _COUNTS}
    for key, value in whole.items():
        if type(value) is not int or not (key not in _COUNTS) <= value < 2**31:
            return f"{key}={str(value)[:40]!r} must be a whole number"
    segment_s: Any = settings.get("segment_s")
    if type(segment_s) not in (int, float) or not 0 < segment_s < 1e6:
        return f"segment_s={str(segment_s)[:40]!r} must be seconds above 0"
    return ""
