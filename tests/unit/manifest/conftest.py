from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import soundfile

from rfcx_ssl.config import check_settings
from rfcx_ssl.manifest.build import Build, build_manifest
from rfcx_ssl.manifest.roots import parse_roots
from rfcx_ssl.manifest.settings import ManifestSettings

RATE_HZ = 8_000


def write_noise(path: Path, seconds: float, seed: int, rate_hz: int = RATE_HZ, **format_options) -> Path:
    """A recording of pink-ish noise that no other seed gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate_hz)).clip(-0.9, 0.9)
    if not format_options.get("subtype"):  # whole numbers, so that every lossless format holds the same audio
        samples = np.rint(samples * 32_768).astype(np.int16)
    soundfile.write(path, samples, rate_hz, **{"subtype": "PCM_16", **format_options})
    return path


def build_folder(out: Path, *roots, virtual=False, excluded=(), places=None, retry=False, workers=None, **settings):
    """Build with small settings: 8 kHz, segments of at most 2 s."""
    values = {"sample_rate_hz": RATE_HZ, "segment_s": 2.0, **settings}
    options = {} if workers is None else {"workers": workers}
    return build_manifest(
        Build(
            roots=parse_roots([str(root) for root in roots]),
            out=out,
            settings=check_settings(ManifestSettings, values, source="test"),
            virtual=virtual,
            excluded=excluded,
            places=places or {},
            retry=retry,
            **options,
        )
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Every file a build writes, but its state."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".state" not in path.parts
    }


@pytest.fixture
def make_noise():
    return write_noise


@pytest.fixture
def build():
    return build_folder


@pytest.fixture
def read_folder():
    return contents


@pytest.fixture
def segments_of():
    """Rows of segments.parquet as dictionaries."""
    return lambda folder: pyarrow.parquet.read_table(folder / "segments.parquet").to_pylist()


@pytest.fixture
def recordings(tmp_path):
    """Twelve recordings of three sites, 3 to 8 s long."""
    root = tmp_path / "audio"
    for number in range(12):
        name = f"SITE{number % 3}_202103{number + 1:02d}_050000.wav"
        write_noise(root / name, 3 + number % 6, seed=number)
    return root
