import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import soundfile
import soxr

from rfcx_ssl.errors import AudioError, ManifestError
from rfcx_ssl.manifest.virtual import SCHEMA, VirtualRow, find_split, load_virtual, split_file, virtual_writer


@pytest.fixture
def recording(tmp_path):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (48_000 * 4, 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.flac", samples, 48_000)
    return tmp_path / "a.flac"


def write(path, rows, channel=None):
    columns = [pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)]
    with virtual_writer(path, sample_rate_hz=32_000, channel=channel) as writer:
        for _ in range(3):  # several row groups, each with its own dictionary
            writer.write_table(pa.Table.from_arrays(columns, schema=writer.schema))
    return load_virtual(path)


def test_crops_are_slices_of_the_whole_recording(recording, tmp_path):
    manifest = write(
        tmp_path / "train.parquet", [(str(recording), 0, 64_000, 48_000), (str(recording), 64_000, 64_000, 48_000)]
    )
    whole = soxr.resample(soundfile.read(recording, dtype="float32")[0].mean(axis=1), 48_000, 32_000)
    assert (len(manifest), manifest.sample_rate_hz) == (6, 32_000)
    assert manifest.sizes.tolist() == [64_000] * 6
    assert manifest[5] == VirtualRow(recording, 64_000, 64_000, 48_000)
    np.testing.assert_allclose(manifest.read_crop(3, 1_000, 5_000), whole[65_000:70_000], atol=1e-5)
    np.testing.assert_allclose(manifest.read_crop(2), whole[:64_000], atol=1e-5)


def test_a_channel_is_kept_in_the_file(recording, tmp_path):
    manifest = write(tmp_path / "train.parquet", [(str(recording), 0, 64_000, 48_000)], channel=1)
    right = soxr.resample(soundfile.read(recording, dtype="float32")[0][:, 1], 48_000, 32_000)
    np.testing.assert_allclose(manifest.read_crop(0, 0, 9_000), right[:9_000], atol=1e-5)


def test_a_crop_stays_in_its_segment_and_a_recording_keeps_its_rate(recording, tmp_path):
    manifest = write(tmp_path / "train.parquet", [(str(recording), 0, 64_000, 44_100)])
    with pytest.raises(ValueError, match=r"crop \[60000, 64001\) leaves segment 0 of 64000 samples"):
        manifest.read_crop(0, 60_000, 4_001)
    with pytest.raises(AudioError, match="sample rate is 48000 Hz, the manifest says 44100 Hz"):
        manifest.read_crop(0, 0, 100)


def test_the_prepared_form_is_read_alike(recordings, tmp_path, build):
    build(tmp_path / "prepared", recordings)
    build(tmp_path / "virtual", recordings, virtual=True)
    for split in ("train", "valid"):
        prepared = load_virtual(tmp_path / f"prepared/{split}.tsv")
        virtual = load_virtual(tmp_path / f"virtual/{split}.parquet")
        assert prepared.sample_rate_hz == virtual.sample_rate_hz == 8_000
        np.testing.assert_array_equal(prepared.sizes, virtual.sizes)
        for index in range(len(prepared)):
            difference = prepared.read_crop(index, 100, 500) - virtual.read_crop(index, 100, 500)
            assert np.abs(difference).max() <= 0.51 / 32768


def test_a_tsv_of_another_tool_takes_its_rate_from_the_audio(recording, tmp_path):
    (tmp_path / "train.tsv").write_text(f"{tmp_path}\na.flac\t192000\n")
    manifest = load_virtual(tmp_path / "train.tsv")
    assert (manifest.sample_rate_hz, len(manifest.read_crop(0, 5))) == (48_000, 191_995)
    (tmp_path / "empty.tsv").write_text(f"{tmp_path}\n")
    with pytest.raises(ManifestError, match=r"no rows and no manifest\.json"):
        load_virtual(tmp_path / "empty.tsv")


def test_an_empty_side_is_a_list_of_nothing(tmp_path, make_noise, build):
    make_noise(tmp_path / "audio/a.wav", 2, seed=0)
    build(tmp_path / "out", tmp_path / "audio")
    assert len(load_virtual(tmp_path / "out/valid.tsv")) == 0
    build(tmp_path / "virtual", tmp_path / "audio", virtual=True)
    assert len(load_virtual(tmp_path / "virtual/valid.parquet")) == 0


def test_foreign_files_are_named(tmp_path):
    (tmp_path / "text.parquet").write_text("no")
    pyarrow.parquet.write_table(pa.table({"path": ["a"]}), tmp_path / "other.parquet")
    (tmp_path / "bad.tsv").write_text("/data\na.flac\tmany\n")
    for name, message in (
        ("text.parquet", "not a Parquet file"),
        ("other.parquet", "rfcx_ssl.kind=None, need 'virtual/1'"),
        ("bad.tsv", "rows must be relpath<TAB>frames"),
        ("missing.tsv", "no such manifest"),
    ):
        with pytest.raises(ManifestError, match=message):
            load_virtual(tmp_path / name)


def test_a_split_is_found_in_its_virtual_form_first(tmp_path):
    assert find_split(tmp_path, "train") == tmp_path / "train.tsv"
    for virtual in (False, True):
        path = split_file(tmp_path, "train", virtual=virtual)
        path.touch()
        assert find_split(tmp_path, "train") == path
    assert find_split(tmp_path, "valid") == tmp_path / "valid.tsv"
