"""What a folder of rounds knows of itself: self_train.json, replaced as a whole after every stage."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rfcx_ssl
from rfcx_ssl.errors import RunError
from rfcx_ssl.evaluation.runs import read_json
from rfcx_ssl.files import write_text
from rfcx_ssl.training.run_folder import flatten

FREE = frozenset({"resamples"})  # settings that may change: no model depends on them


class RoundsState:
    """The file, and what it says of every arm: its settings, and which stages are done."""

    def __init__(self, out: Path) -> None:
        self.path = out / "self_train.json"
        self._values: dict[str, Any] = {"rfcx_ssl": rfcx_ssl.__version__, "arms": {}, **read_json(self.path)}

    def require(self, settings: Mapping[str, Any]) -> None:
        """Take the settings of this start.

        Raises:
            RunError: the folder was made with others.
        """
        self._require("", settings, self._values.get("settings"))
        self._values["settings"] = dict(settings)
        self.write()

    def require_arm(self, name: str, config: Mapping[str, Any]) -> None:
        """The same for the composed settings of an arm, which its words and the files in configs/ make."""
        self._require(f"{name}: ", config, self.arm(name).get("config"))
        self.record(name, config=dict(config))

    def arm(self, name: str) -> Mapping[str, Any]:
        """What is known of an arm."""
        found: Mapping[str, Any] = self._values["arms"].get(name, {})
        return found

    def record(self, name: str, **facts: Any) -> None:  # noqa: ANN401 - any JSON value
        """Add facts to an arm."""
        self._values["arms"][name] = {**self.arm(name), **facts}
        self.write()

    def finish(self, **facts: Any) -> None:  # noqa: ANN401 - any JSON value
        """Add facts about the whole."""
        self._values |= facts
        self.write()

    def write(self) -> None:
        """Replace the file."""
        write_text(self.path, json.dumps(self._values, indent=1, ensure_ascii=False) + "\n", durable=True)

    def _require(self, whose: str, now: Mapping[str, Any], before: Mapping[str, Any] | None) -> None:
        if before is None:
            return
        flat_now = flatten(json.loads(json.dumps(now)))
        flat_before = flatten(before)
        differing = [
            f"{key}: {flat_before.get(key)!r} -> {flat_now.get(key)!r}"
            for key in sorted(flat_now.keys() | flat_before.keys())
            if key not in FREE and flat_now.get(key) != flat_before.get(key)
        ]
        if differing:
            raise RunError(
                f"{self.path.parent} holds rounds with other settings ({whose}{'; '.join(differing)}); use a new --out"
            )
