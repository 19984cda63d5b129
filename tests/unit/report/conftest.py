"""A test set of three short recordings with complete truth."""

import numpy as np
import pytest

from rfcx_ssl.audio import write_flac

RATE_HZ = 32_000
TRUTH = """recording_id,split,species_id,songtype_id,t_min,f_min,t_max,f_max,snr_db
aa,test,3,1,0.5,1031,1.2,2812,3.0
aa,test,0,1,0.2,5906,0.9,8250,5.0
bb,test,3,1,1.0,1031,1.7,2812,8.0
aa,test,3,1,1.5,1031,1.9,2812,1.0
zz,train,5,1,0.5,4781,1.0,11250,1.0
"""


@pytest.fixture
def forest(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "test").mkdir()
    for name in ("aa", "bb", "cc"):
        write_flac(tmp_path / "test" / f"{name}.flac", rng.normal(0, 0.01, 2 * RATE_HZ).astype(np.float32), RATE_HZ)
    (tmp_path / "truth.csv").write_text(TRUTH)
    return tmp_path
