"""The manifests as fairseq's own dataset reads them (a whole fairseq-hydra-train run is tested with pretraining)."""

import numpy as np
import pytest
import soundfile

from rfcx_ssl.manifest.build import Build, build_manifest
from rfcx_ssl.manifest.roots import parse_roots
from rfcx_ssl.manifest.settings import FlagSettings, ManifestSettings

pytest.importorskip("fairseq")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")  # fairseq's own crop, on torch 2.11
def test_fairseq_finds_every_segment_with_the_length_we_state(tmp_path):
    from fairseq.data.audio.raw_audio_dataset import FileAudioDataset

    (tmp_path / "audio").mkdir()
    rng = np.random.default_rng(0)
    for number in range(12):
        soundfile.write(tmp_path / f"audio/a {number}.wav", rng.normal(0, 0.1, 44_100 * 3 + number), 44_100)
    settings = ManifestSettings(segment_s=1.0, flags=FlagSettings(short_s=0.1))
    report = build_manifest(
        Build(roots=parse_roots([str(tmp_path / "audio")]), out=tmp_path / "out", settings=settings)
    )
    assert report.split.valid_segments >= 8
    for split, expected in (("train", report.split.train_segments), ("valid", report.split.valid_segments)):
        dataset = FileAudioDataset(tmp_path / f"out/{split}.tsv", sample_rate=32_000, normalize=True)
        assert len(dataset) == expected
        for index in range(0, len(dataset), 5):
            assert len(dataset[index]["source"]) == dataset.size(index)
        batch = dataset.collater([dataset[index] for index in range(8)])
        assert batch["net_input"]["source"].shape[0] == 8
