import datasets
import pyarrow as pa
import pyarrow.parquet
import pytest

from rfcx_ssl.config import check_settings
from rfcx_ssl.errors import ManifestError
from rfcx_ssl.manifest.build import Build
from rfcx_ssl.manifest.hub_source import HubSource, build_from_hub
from rfcx_ssl.manifest.settings import ManifestSettings


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def from_hub(out, path, settings=None, **source):
    values = {"sample_rate_hz": 8_000, "segment_s": 2.0, **(settings or {})}
    build = Build(
        roots=(),
        out=out,
        settings=check_settings(ManifestSettings, values, source="test"),
    )
    return build_from_hub(build, HubSource(path=str(path), **source))


def audio_of(segments):
    """Each recording's segments, without the names that differ between a folder and a data set."""
    kept = ("start_samples", "num_samples", "peak", "rms", "audio_hash", "status")
    return sorted(tuple(row[name] for name in kept) for row in segments)


@pytest.fixture
def files(recordings):
    return sorted(recordings.glob("*.wav"))


def parquet(folder, files):
    """Rows with the encoded bytes inside, as on the hub."""
    rows = [{"audio": {"bytes": path.read_bytes(), "path": path.name}, "place": path.name[:5]} for path in files]
    folder.mkdir()
    data = datasets.Dataset.from_list(rows).cast_column("audio", datasets.Audio(decode=False))
    data.to_parquet(folder / "train.parquet")
    return folder


def saved(folder, files):
    rows = {"audio": [str(path) for path in files]}
    datasets.Dataset.from_dict(rows).cast_column("audio", datasets.Audio()).save_to_disk(folder)
    return folder


def audiofolder(folder, files):
    for path in files:
        target = folder / "train" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize("form", [parquet, saved, audiofolder])
def test_every_form_of_a_data_set_gives_the_segments_of_its_files(
    form, files, recordings, tmp_path, build, segments_of
):
    build(tmp_path / "here", recordings)
    report = from_hub(tmp_path / "hub", form(tmp_path / "data", files))
    assert report.recordings == 12
    assert audio_of(segments_of(tmp_path / "hub")) == audio_of(segments_of(tmp_path / "here"))
    assert {row["site"] for row in segments_of(tmp_path / "hub")} == {"SITE0", "SITE1", "SITE2"}
    assert not (tmp_path / "hub/.state/incoming").exists()


def test_a_second_run_does_nothing_again_and_new_settings_do(files, tmp_path, read_folder):
    data = parquet(tmp_path / "data", files)
    from_hub(tmp_path / "out", data)
    first = read_folder(tmp_path / "out")
    again = from_hub(tmp_path / "out", data)
    assert (again.scanned, again.prepared) == (0, 0)
    assert read_folder(tmp_path / "out") == first
    assert from_hub(tmp_path / "out", data, {"segment_s": 1.0}).prepared == 12
    assert from_hub(tmp_path / "out", data, {"segment_s": 1.0}, limit=5).recordings == 5


def test_rows_are_named_by_their_place_and_sites_by_a_column(files, tmp_path, segments_of):
    data = parquet(tmp_path / "data", files)
    from_hub(tmp_path / "out", data, site_column="place")
    row = segments_of(tmp_path / "out")[0]
    assert row["source"] == f"{data}#train/0/{files[0].name}"
    assert row["recording_id"] == f"data/00000000/{files[0].name}"
    assert row["site"] == "SITE0"


def test_rounds_keep_few_recordings_on_disk(files, tmp_path, monkeypatch):
    monkeypatch.setattr("rfcx_ssl.manifest.hub_source.ROWS_PER_ROUND", 5)
    assert from_hub(tmp_path / "out", parquet(tmp_path / "data", files)).prepared == 12


def test_damaged_rows_are_quarantined(files, tmp_path):
    files[3].write_bytes(b"not audio")
    assert from_hub(tmp_path / "out", parquet(tmp_path / "data", files)).quarantined == 1
    assert f"#train/3/{files[3].name}" in (tmp_path / "out/quarantine.csv").read_text()


def test_a_row_that_names_a_file_of_this_machine_is_quarantined(files, tmp_path):
    rows = [{"audio": {"bytes": None, "path": str(path)}} for path in files[:1]]
    rows.append({"audio": {"bytes": files[1].read_bytes(), "path": "x" * 290 + ".wav"}})
    (tmp_path / "data").mkdir()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "data/train.parquet")
    report = from_hub(tmp_path / "out", tmp_path / "data", column="audio")
    assert (report.recordings, report.quarantined) == (1, 1)
    assert "neither in the data set nor at an address" in (tmp_path / "out/quarantine.csv").read_text()
    with pytest.raises(ManifestError, match="no column 'place' among audio"):
        from_hub(tmp_path / "other", tmp_path / "data", column="audio", site_column="place")


def test_mistakes_are_named(files, tmp_path):
    data = parquet(tmp_path / "data", files)
    with pytest.raises(ManifestError, match="cannot be opened as a data set"):
        from_hub(tmp_path / "out", data, split="test")
    with pytest.raises(ManifestError, match="cannot be opened as a data set"):
        from_hub(tmp_path / "out", tmp_path / "nowhere")
    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(tmp_path / "text")
    with pytest.raises(ManifestError, match=r"0 audio columns among \['text'\]; choose one with --column"):
        from_hub(tmp_path / "out", tmp_path / "text")
