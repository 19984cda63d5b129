"""A corpus of own recordings: nested folders at 44.1 kHz, Raven tables, own species."""

import dataclasses

import numpy as np
import pytest
import soundfile

from rfcx_ssl.data import CropDataset, load_corpus
from rfcx_ssl.data.corpus import load_tables
from rfcx_ssl.data.settings import load_data_settings
from rfcx_ssl.errors import AnnotationError, AudioError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.provenance import hash_files

HEAD = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation\n"
SMALL = ["sample_rate_hz=16000", "crop_s=1.0", "num_folds=2"]


@pytest.fixture
def pond(tmp_path):
    """Six recordings of 3 s in two folders, with a Raven table beside each; the names repeat from folder to folder."""
    root = tmp_path / "pond"
    rng = np.random.default_rng(0)
    for number in range(6):
        folder = root / f"site {number % 2}" / "wav"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"night{number // 2}"
        soundfile.write(folder / f"{name}.wav", rng.normal(0, 0.1, 3 * 44_100), 44_100)
        rows = f"1\tSpectrogram 1\t1\t0.5\t1.5\t900\t2500\tHyla {number % 2}\n"
        (folder / f"{name}.Table.1.selections.txt").write_text(HEAD + rows)
    return root


def settings_of(root, *words):
    return load_data_settings(root, "annotations", [*SMALL, *words])


def test_crops_of_own_recordings(pond):
    corpus = load_corpus(settings_of(pond, "complete=tables", "cache=true"))
    assert sorted(corpus.recording_of) == sorted(f"site {n % 2}/wav/night{n // 2}" for n in range(6))
    assert corpus.space.species_names == ("Hyla 0", "Hyla 1") and corpus.space.num_outputs == 2
    grid = FrameGrid(16_000, 320)
    target, known = corpus.frame_labels("site 1/wav/night0", grid)
    assert known[:, 0].all() and not target[:, 0].any() and target[30:70, 1].all()
    crops = CropDataset(corpus, 0, grid)
    assert crops[0].waveform.shape == (16_000,)
    direct = load_corpus(settings_of(pond, "complete=tables"))
    name = "site 0/wav/night1"
    np.testing.assert_allclose(corpus.read(name), direct.read(name), atol=0.75 / 32768)
    assert (
        load_corpus(settings_of(pond, "complete=tables", "cache=true")).cache.verify(corpus.recording_of.values())
        == []
    )


def test_tables_alone_give_the_same_labels_and_folds(pond):
    chosen = settings_of(pond)
    tables, corpus = load_tables(chosen), load_corpus(chosen)
    assert tables.folds == corpus.folds and tables.space == corpus.space
    assert tables.annotations.table.equals(corpus.annotations.table)


def test_a_tag_ends_with_its_recording_and_a_box_must(pond):
    (pond / "tags.csv").write_text("file,label\nsite 0/wav/night0.wav,Hyla 1\n")
    (tag,) = [event for event in load_corpus(settings_of(pond)).annotations.events("site 0/wav/night0") if event.weak]
    assert (tag.start_s, tag.end_s, tag.species_id) == (0.0, 3.0, 1)
    (pond / "tags.csv").write_text("file,label,start_s,end_s\nsite 0/wav/night0.wav,Hyla 1,2,3.2\n")
    with pytest.raises(AnnotationError, match=r"tags\.csv:2: t_max=3.2 lies outside the recording site 0/wav/night0"):
        load_corpus(settings_of(pond))


def test_sites_come_from_recordings_csv_by_path_or_name(pond):
    (pond / "recordings.csv").write_text(
        "file,site\n" + "".join(f"site {n % 2}\\wav\\night{n // 2}.WAV,{'ab'[n % 2]}\n" for n in range(6)) + "gone,c\n"
    )
    corpus = load_corpus(settings_of(pond, "group_by=site"))
    assert {item.recording_id[:6]: item.site for item in corpus.recording_of.values()} == {
        "site 0": "a",
        "site 1": "b",
    }


def test_a_new_table_changes_what_a_run_learns_from(pond):
    chosen = settings_of(pond)
    load_corpus(chosen)
    before = hash_files(chosen.label_files)
    assert len(before) == 7  # six tables and the species
    (pond / "more.csv").write_text("file,label\nsite 0/wav/night0,Hyla 1\n")
    assert set(hash_files(chosen.label_files)) - set(before) == {str(pond / "more.csv")}


def test_missing_audio_is_named_or_left_out(pond, caplog):
    (pond / "site 0" / "wav" / "night0.wav").unlink()
    with pytest.raises(AnnotationError, match=r"night0\.Table\.1\.selections\.txt:2: no audio file 'night0' below"):
        load_corpus(settings_of(pond))
    (pond / "site 1" / "wav" / "night0.wav").unlink()
    assert len(load_corpus(settings_of(pond, "allow_missing_audio=true")).recording_of) == 4
    assert "2 label rows are left out: about recordings whose audio file is not there" in caplog.text


def test_the_layout_decides_what_may_be_said(pond):
    with pytest.raises(ValueError, match="complete and program need layout=annotations"):
        dataclasses.replace(settings_of(pond, "complete=all"), layout="rfcx")


def test_an_mp3_without_exact_time_is_refused(pond, bare_mp3):
    (pond / "quiet.mp3").write_bytes(bare_mp3.read_bytes())
    load_corpus(settings_of(pond, "complete=all"))
    (pond / "quiet.txt").write_text("0\t1\tHyla 0\n")
    with pytest.raises(AudioError, match="MP3 without a LAME delay tag"):
        load_corpus(settings_of(pond))
