"""perch-hoplite reads what was written for it."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.detection.result import unheard
from rfcx_ssl.detection.writers.hoplite import HopliteDatabase
from rfcx_ssl.errors import MissingExtraError

HOPLITE = "perch_hoplite.db.sqlite_usearch_impl"


def result(name, starts_s, vectors):
    empty = replace(unheard(0, Recording(name, f"/{name}.wav"), ""), problem=None, heard_s=10.0)
    arrays = {"windows_s": np.array(starts_s), "embeddings": np.array(vectors, np.float32)}
    return replace(empty, arrays=arrays) if starts_s else empty


def test_hoplite_finds_every_window_again(tmp_path):
    hoplite = pytest.importorskip(HOPLITE)
    vectors = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    with HopliteDatabase(tmp_path / "hoplite", 5.0, 6, "runs/frogs/model") as writer:
        writer.add(result("site1/a", [0.0, 5.0, 7.5], vectors[:3]))
        writer.add(result("nothing", [], []))
        writer.add(result("b", [0.0, 2.5], vectors[3:]))
    (tmp_path / "hoplite").rename(tmp_path / "moved")
    database = hoplite.SQLiteUSearchDB.create(str(tmp_path / "moved"))
    assert database.count_embeddings() == 5 and database.get_all_projects() == ["rfcx-ssl"]
    (deployment,) = database.get_all_deployments()
    names = {recording.id: recording.filename for recording in database.get_all_recordings()}
    assert deployment.name == "runs/frogs/model" and sorted(names.values()) == ["b", "site1/a"]
    windows = database.get_all_windows(include_embedding=True)
    found = [(names[window.recording_id], *window.offsets) for window in windows]
    assert found == [("site1/a", 0, 5), ("site1/a", 5, 10), ("site1/a", 7.5, 10), ("b", 0, 5), ("b", 2.5, 7.5)]
    np.testing.assert_allclose([window.embedding for window in windows], vectors, rtol=1e-3, atol=1e-3)  # float16


def test_an_error_leaves_what_the_folder_around_it_removes(tmp_path):
    pytest.importorskip(HOPLITE)
    with pytest.raises(RuntimeError, match="stop"), HopliteDatabase(tmp_path / "hoplite", 5.0, 6, "m"):
        raise RuntimeError("stop")


def test_without_the_package_the_writer_says_so(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, HOPLITE, None)
    with pytest.raises(MissingExtraError, match="perch_hoplite"):
        HopliteDatabase(tmp_path, 5.0, 6, "m")
