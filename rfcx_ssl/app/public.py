"""What visitors read calls files as they know them; where those lie on this machine is nobody's business."""

import re
from collections.abc import Iterable
from pathlib import Path

_FOLDERS = re.compile(r"(?<![\w:/])/(?:[^/\s'\":]+/)+")  # of an absolute path, all but its last part


class PublicText:
    """Takes places out of messages: what lies below one of ``folders`` is called by its path from there, other files by their names."""

    def __init__(self, folders: Iterable[Path]) -> None:
        places = {f"{place}/" for folder in folders for place in (folder.absolute(), folder.resolve())}
        self._places = sorted(places, key=len, reverse=True)  # a folder in another one first

    def __call__(self, text: str) -> str:
        """``text`` without places."""
        for place in self._places:
            text = text.replace(place, "")
        return _FOLDERS.sub("", text)
