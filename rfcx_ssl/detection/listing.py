"""stub"""

import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from rfcx_ssl.detection.recordings import Recording


@dataclass
class Changes:
    added: int
    changed: list


class Listing:
    def __init__(self, path):
        self.path = path
        self.r = [Recording(**x) for x in json.loads(path.read_text())] if path.exists() else []

    @classmethod
    @contextmanager
    def reading(cls, path):
        yield cls(path)

    @classmethod
    @contextmanager
    def writing(cls, path):
        yield cls(path)

    def __len__(self):
        return len(self.r)

    def update(self, it):
        known = {x.path: x for x in self.r}
        changed = []
        n = 0
        for x in it:
            k = known.get(x.path)
            if k is None:
                self.r.append(replace(x, index=len(self.r)))
                n += 1
            elif (k.size, k.changed) != (x.size, x.changed):
                changed.append(i)
                self.r[i] = x
        self.path.write_text(json.dumps([asdict(x) for x in self.r]))
        return Changes(n, changed)

    def rows(self, first, count):
        return self.r[first : first + count]
