"""Vectors of recordings against a slow loop through the model."""

import argparse
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import torch

from rfcx_ssl.audio import read_audio
from rfcx_ssl.commands.embed import add_arguments, run
from rfcx_ssl.detection.detect import IncompleteError
from rfcx_ssl.detection.embed import embed_recording
from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.inference.embedder import open_embedder
from rfcx_ssl.inference.load import load_model

RATE = 8_000  # of ``model_dir``: windows of 2 s, each half over the next


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    """Recordings of 0.7, 5.3 and 2 s at another rate than the model's."""
    folder = tmp_path_factory.mktemp("card")
    rng = np.random.default_rng(0)
    (folder / "deep").mkdir()
    for name, seconds in (("deep/short", 0.7), ("long", 5.3), ("one", 2.0)):
        soundfile.write(folder / f"{name}.wav", rng.uniform(-0.1, 0.1, round(seconds * 12_000)), 12_000)
    return folder


def command(*words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    run(parser.parse_args([str(word) for word in words]))


def embed(source, model_dir, out, *more):
    command(source, "--model", model_dir, "--out", out, "--device", "cpu", *more)


def table(path):
    rows = pq.read_table(path).to_pylist()
    return [(row["recording"], row["start_s"], row["end_s"]) for row in rows], np.array([r["vector"] for r in rows])


def frames_of(model, samples):
    """Features of one window, from the model's own layers."""
    features = model.encoder(samples[None], model.grid.num_frames(len(samples)))
    return model.temporal(features)[0]


def test_windows_are_what_a_loop_says(card, model_dir, tmp_path):
    command(
        card,
        "--model",
        model_dir,
        "--out",
        tmp_path / "out",
        "--batch-size",
        2,
        "--format",
        "parquet",
        "--format",
        "npz",
        "--device",
        "cpu",
        "--threads",
        1,
    )
    model = load_model(str(model_dir))
    hop = model.grid.hop_samples
    said, vectors = table(tmp_path / "out" / "embeddings.parquet")
    expected_rows, expected = [], []
    for name in ("deep/short", "long", "one"):
        samples = torch.from_numpy(read_audio(card / f"{name}.wav", sample_rate_hz=RATE))
        length = -(-2 * RATE // hop) * hop
        step = RATE // hop * hop
        starts = [0]
        if len(samples) > length:
            last = -(-(len(samples) - length) // hop) * hop
            starts = list(dict.fromkeys([*range(0, len(samples) - length, step), last]))
        for start in starts:
            window = samples[start : start + length]
            if len(samples) > length:
                window = torch.nn.functional.pad(window, (0, length - len(window)))
            with torch.no_grad():
                expected.append(model(window[None]).embedding[0].numpy())
            end_s = min(start + length, len(samples)) / RATE
            expected_rows.append((name, start / RATE, end_s))
    assert [row[0] for row in said] == [row[0] for row in expected_rows]
    np.testing.assert_allclose([row[1:] for row in said], [row[1:] for row in expected_rows], atol=1e-9)
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-6)
    npz = np.load(tmp_path / "out" / "embeddings.npz")
    assert np.array_equal(npz["vector"], vectors.astype(np.float32))
    assert npz["recording"].tolist() == ["deep/short", "long", "one"]
    record = json.loads((tmp_path / "out" / "embed.json").read_text())
    assert record["recordings"] == 3 and record["vectors"] == len(vectors) and record["dim"] == 8
    assert record["audio_s"] == pytest.approx(8.0) and record["windows"]["window_s"] == 2.0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "embed.json",
        "embeddings.npz",
        "embeddings.parquet",
    ]


def test_events_are_the_mean_of_their_frames_in_windows_around_them(card, model_dir, tmp_path):
    events = [
        ("long", 0.1, 0.4),
        ("long", 2.5, 2.9),
        ("one", 0.0, 2.0),
        ("long", 1.0, 5.25),
        ("long", 5.2999, 5.3),
        ("deep/short", 0.3, 0.35),
    ]
    lines = ["recording,start_s,end_s,species", *(f"{name},{a},{b},owl" for name, a, b in events)]
    (tmp_path / "events.csv").write_text("\n".join(lines) + "\n")
    embed(card, model_dir, tmp_path / "out", "--events", tmp_path / "events.csv", "--threads", 1, "--batch-size", 3)
    said, vectors = table(tmp_path / "out" / "embeddings.parquet")
    assert sorted(said) == sorted(events)
    model = load_model(str(model_dir))
    hop = model.grid.hop_samples
    window = -(-2 * RATE // hop)
    for (name, start_s, end_s), vector in zip(said, vectors, strict=True):
        samples = torch.from_numpy(read_audio(card / f"{name}.wav", sample_rate_hz=RATE))
        num_frames = -(-len(samples) // hop)
        first, stop = int(start_s * RATE) // hop, min(-(-round(end_s * RATE) // hop), num_frames)
        heard = []
        for begin in range(first, stop, window):
            end = min(begin + window, stop)
            if len(samples) <= window * hop:
                offset, audio = 0, samples
            else:
                offset = max(min((begin + end - window) // 2, num_frames - window), 0)
                audio = samples[offset * hop : (offset + window) * hop]
                audio = torch.nn.functional.pad(audio, (0, window * hop - len(audio)))
            with torch.no_grad():
                heard.append(frames_of(model, audio)[begin - offset : end - offset])
        np.testing.assert_allclose(vector, torch.cat(heard).mean(0).numpy(), rtol=1e-4, atol=1e-6)


def test_damaged_files_are_listed_and_the_rest_goes_on(card, model_dir, tmp_path):
    folder = tmp_path / "card"
    folder.mkdir()
    (folder / "a.wav").write_bytes(b"no sound")
    (folder / "b.wav").write_bytes((card / "one.wav").read_bytes())
    with pytest.raises(IncompleteError, match=r"1 of 2 recordings could not be read whole: .*errors\.csv") as raised:
        embed(folder, model_dir, tmp_path / "out")
    assert raised.value.exit_code == 3
    assert "a.wav" in (tmp_path / "out" / "errors.csv").read_text()
    assert {row[0] for row in table(tmp_path / "out" / "embeddings.parquet")[0]} == {"b"}


def test_an_event_after_the_end_is_a_problem_of_its_recording(card, model_dir, tmp_path):
    embedder = open_embedder(str(model_dir), device="cpu")
    recording = Recording("one", str(card / "one.wav"))
    result = embed_recording(embedder, 0, recording, [(0.5, 1.0), (2.0, 3.0)], 4, tmp_path)
    assert "has 2.000 s, but an event from 2 to 3 s" in result.problem and not result.arrays
    assert embed_recording(embedder, 0, recording, [], 4, tmp_path).problem is None


def test_silent_events_have_no_vector_and_the_others_have_theirs(model_dir, tmp_path):
    noise = np.random.default_rng(1).uniform(-0.1, 0.1, 2 * RATE)
    soundfile.write(tmp_path / "half.wav", np.r_[np.zeros(2 * RATE), noise, np.full(2 * RATE + 5, 0.5)], RATE)
    embedder, recording = open_embedder(str(model_dir), device="cpu"), Recording("half", str(tmp_path / "half.wav"))
    events = [(0.5, 1.0), (2.5, 3.0), (0.0, 3.5), (4.5, 6.1)]
    result = embed_recording(embedder, 0, recording, events, 4, tmp_path)
    assert result.arrays["windows_s"].tolist() == [2.5, 0.0] and result.arrays["windows_end_s"].tolist() == [3.0, 3.5]
    for vector, event in zip(result.arrays["embeddings"], events[1:3], strict=True):
        alone = embed_recording(embedder, 0, recording, [event], 4, tmp_path)
        np.testing.assert_allclose(vector, alone.arrays["embeddings"][0], rtol=1e-5, atol=1e-6)
        assert not alone.warnings
    assert ["without any signal" in line for line in result.warnings] == [True]
    assert not embed_recording(embedder, 0, recording, events[:1], 4, tmp_path).arrays


def test_features_that_are_no_numbers_are_a_problem_too(card, model_dir, tmp_path):
    embedder = open_embedder(str(model_dir), device="cpu")
    with torch.no_grad():
        embedder.model.encoder.fc1.bias.fill_(float("inf"))
        embedder.model.encoder.fc1.bias[0] = -float("inf")
    result = embed_recording(embedder, 0, Recording("one", str(card / "one.wav")), None, 4, tmp_path)
    assert result.problem == "one: the model's features are not numbers" and not result.arrays


def test_nothing_is_written_after_a_mistake(card, model_dir, tmp_path):
    (tmp_path / "events.csv").write_text("recording,start_s,end_s\nelsewhere,1,2\n")
    with pytest.raises(AnnotationError, match="no such recording among FILES: elsewhere"):
        embed(card, model_dir, tmp_path / "out", "--events", tmp_path / "events.csv")
    with pytest.raises(ConfigError, match="exists; choose a new folder"):
        embed(card, model_dir, tmp_path)
    with pytest.raises(ConfigError, match=r"overlap=1.5 must be in \[0, 1\)"):
        command(card, "--model", model_dir, "--out", tmp_path / "out", "--overlap", 1.5)
    assert [path.name for path in tmp_path.iterdir()] == ["events.csv"]
