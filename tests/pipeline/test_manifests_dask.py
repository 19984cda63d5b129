"""manifests/build.py on a Dask cluster of two worker processes: the same bytes as on one machine."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

distributed = pytest.importorskip("distributed")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def cluster():
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as running:
        yield running


def build(audio, out, *options):
    command = [sys.executable, "manifests/build.py", str(audio), "--out", str(out), "--set", "segment_s=1", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    files = (path for path in sorted(out.rglob("*")) if path.is_file() and ".state" not in path.parts)
    return {path.relative_to(out): path.read_bytes().replace(bytes(out), b"OUT") for path in files}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_cluster_gives_the_same_bytes(cluster, tmp_path):
    audio = tmp_path / "audio"
    audio.mkdir()
    rng = np.random.default_rng(0)
    for number in range(6):
        soundfile.write(audio / f"S{number}_20210301_050000.wav", rng.normal(0, 0.1, 48_000 * 7), 48_000)
    (audio / "broken.flac").write_text("not audio")
    on_cluster = build(audio, tmp_path / "cluster", "--dask", cluster.scheduler_address)
    here = build(audio, tmp_path / "here", "--workers", "1")
    assert on_cluster == here
    assert sum(path.suffix == ".flac" for path in here) == 42
