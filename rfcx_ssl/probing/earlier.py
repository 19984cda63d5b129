"""Results of another probe in the same folder are kept, never written over."""

from itertools import count
from pathlib import Path

RESULTS = ("probe.json", "table.csv", "report.html", "*.png")
FOLDER = "earlier"


def set_aside(out: Path, findings: str) -> Path | None:
    """Move results in ``out`` whose probe.json is not ``findings`` into ``out/earlier/N``; None where there are none."""
    before = out / "probe.json"
    if not before.is_file() or before.read_text(encoding="utf-8") == findings:
        return None
    target = next(place for n in count(1) if not (place := out / FOLDER / f"{n:03d}").exists())
    target.mkdir(parents=True)
    for path in [path for pattern in reversed(RESULTS) for path in sorted(out.glob(pattern))]:
        path.rename(target / path.name)  # probe.json last: a stop in between leaves it here, to be set aside again
    return target
