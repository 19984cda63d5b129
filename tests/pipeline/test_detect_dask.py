"""``rfcx-ssl detect`` on a Dask cluster of two worker processes: the same bytes as one process."""

import numpy as np
import pytest
import soundfile
import torch

from rfcx_ssl.cli import main
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.panns import MelSettings, PannsSettings
from rfcx_ssl.species import label_space, rfcx_species

distributed = pytest.importorskip("distributed")
RATE_HZ = 8_000


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    torch.manual_seed(0)
    mel = MelSettings(n_mels=16, f_max_hz=RATE_HZ / 2)
    settings = PannsSettings(
        sample_rate_hz=RATE_HZ, channels=(4,), time_pools=(4,), freq_pools=(2,), embedding_dim=8, mel=mel, window_s=1.0
    )
    model = build_model(settings, label_space(rfcx_species()))
    with torch.no_grad():
        model.head.classify.bias.zero_()
    folder = tmp_path_factory.mktemp("model")
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def card(tmp_path):
    folder = tmp_path / "card"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(140):
        soundfile.write(folder / f"{number:03d}.wav", rng.normal(0, 0.1, RATE_HZ), RATE_HZ)
    (folder / "100.wav").write_bytes(b"no audio")
    return folder


def detect(card, model_dir, out, *more):
    """The command in this process; its exit code."""
    arguments = [
        "detect",
        card,
        "--model",
        model_dir,
        "--out",
        out,
        "--readers",
        0,
        "--threads",
        1,
        "--threshold",
        0.5,
    ]
    with pytest.raises(SystemExit) as stop:
        main([*map(str, [*arguments, *more])])
    return stop.value.code


def tables(out):
    wanted = [*out.glob("*.csv"), *out.rglob("*.parquet")]
    return {str(path.relative_to(out)): path.read_bytes() for path in wanted}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_cluster_gives_the_same_bytes(card, model_dir, tmp_path):
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        assert detect(card, model_dir, tmp_path / "cluster", "--dask", cluster.scheduler_address) == 3
    assert detect(card, model_dir, tmp_path / "here") == 3
    found = tables(tmp_path / "here")
    assert tables(tmp_path / "cluster") == found
    assert len(found["scores.csv"].splitlines()) == 140  # a header, and all but the one that is no audio
