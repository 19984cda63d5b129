"""A small labelled forest of noise: 12 recordings of 4 s at 48 kHz, in RFCX's layout with sites."""

import numpy as np
import pytest
import soundfile

from rfcx_ssl.data import DataSettings

HEADER = "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\n"


@pytest.fixture(scope="session")
def forest(tmp_path_factory):
    root = tmp_path_factory.mktemp("forest")
    rng = np.random.default_rng(0)
    (root / "train").mkdir()
    present, absent, sites = [], [], []
    for i in range(12):
        samples = rng.integers(-3000, 3000, 4 * 48_000).astype(np.int16)
        soundfile.write(root / "train" / f"rec{i:02d}.flac", samples, 48_000)
        sites.append(f"rec{i:02d},train,site{i % 4},4.0")
        if i < 8:
            start = 0.2 + 0.3 * i
            present.append(f"rec{i:02d},{i % 3},1,{start:.2f},1000,{start + 0.5:.2f},2000")
        absent += [f"rec{i:02d},{s},1,{0.5 + s / 4:.2f},1000,{1.5 + s / 4:.2f},2000" for s in (3 + i % 2, 5)]
    (root / "train_tp.csv").write_text(HEADER + "\n".join(present) + "\n")
    (root / "train_fp.csv").write_text(HEADER + "\n".join(absent) + "\n")
    (root / "recordings.csv").write_text("recording_id,split,site,duration_s\n" + "\n".join(sites) + "\n")
    return root


@pytest.fixture
def settings_of(forest):
    def make(**changes):
        return DataSettings(**{"root": forest, "sample_rate_hz": 16_000, "crop_s": 1.0, "num_folds": 3, **changes})

    return make
