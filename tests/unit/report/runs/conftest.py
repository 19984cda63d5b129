"""A small data set in RFCX's layout, without complete truth."""

import numpy as np
import pytest

from rfcx_ssl.audio import write_flac

HEADER = "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\n"


@pytest.fixture
def forest_of_labels(tmp_path):
    """Twelve recordings of a second, each with one present and one absent box."""
    root = tmp_path / "labels"
    (root / "train").mkdir(parents=True)
    for name, first in (("tp", 0), ("fp", 3)):
        rows = [f"rec{i:02d},{first + i % 3},1,0.2,1000,0.7,2000\n" for i in range(12)]
        (root / f"train_{name}.csv").write_text(HEADER + "".join(rows))
    for i in range(12):
        write_flac(root / "train" / f"rec{i:02d}.flac", np.zeros(16_000, np.float32), 16_000)
    return root
