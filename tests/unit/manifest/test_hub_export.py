import datasets
import pytest

from rfcx_ssl.errors import ManifestError
from rfcx_ssl.manifest.hub_export import export_folder, push_folder


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_an_export_loads_as_a_data_set_with_the_same_audio(recordings, tmp_path, build, segments_of):
    report = build(tmp_path / "out", recordings)
    counts = export_folder(tmp_path / "out", tmp_path / "export")
    assert counts == {"train": report.split.train_segments, "validation": report.split.valid_segments}
    by_place = {(row["recording_id"], row["start_samples"]): row for row in segments_of(tmp_path / "out")}
    for split, name in (("train", "train"), ("valid", "validation")):
        loaded = datasets.load_dataset(str(tmp_path / "export"), split=name, streaming=True)
        undecoded = loaded.cast_column("audio", datasets.Audio(decode=False)).with_format("arrow")
        rows = [row for table in undecoded.iter(batch_size=10) for row in table.to_pylist()]
        assert len(rows) == counts[name]
        for row in rows:
            original = by_place[row["recording_id"], row["start_samples"]]
            assert original["split"] == split
            assert row["audio_hash"] == original["audio_hash"]
            with open(row["audio"]["path"], "rb") as file:  # noqa: PTH123
                assert file.read() == (tmp_path / "out/audio" / original["segment"]).read_bytes()


def test_nothing_of_this_machine_is_published(recordings, tmp_path, build):
    build(tmp_path / "out", recordings)
    export_folder(tmp_path / "out", tmp_path / "export")
    for path in (tmp_path / "export").rglob("*"):
        if path.is_file():
            assert bytes(tmp_path) not in path.read_bytes(), path
    loaded = datasets.load_dataset(str(tmp_path / "export"), split="train", streaming=True)
    assert "source" not in loaded.features
    assert "Recordings are divided by site" in (tmp_path / "export/README.md").read_text()


def test_wrong_folders_are_refused(recordings, tmp_path, build):
    build(tmp_path / "virtual", recordings, virtual=True)
    with pytest.raises(ManifestError, match="build a prepared one"):
        export_folder(tmp_path / "virtual", tmp_path / "export")
    build(tmp_path / "out", recordings)
    with pytest.raises(ManifestError, match="exists; choose a new folder"):
        export_folder(tmp_path / "out", recordings)


def test_a_failed_upload_says_why(tmp_path):
    with pytest.raises(ManifestError, match=r"a/b: cannot be uploaded \(.*offline"):
        push_folder(tmp_path, "a/b", private=True)
