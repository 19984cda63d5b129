"""Listening in blocks gives what the whole recording at once gives; damage and low rates are reported."""

import hypothesis.strategies as st
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given

from rfcx_ssl.audio import read_audio
from rfcx_ssl.decoding.decisions import decisions_in_force
from rfcx_ssl.decoding.hysteresis import EventDecoder
from rfcx_ssl.detection.hear import Ear, listen, rate_warning
from rfcx_ssl.detection.read_ahead import open_readers
from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.predict import predict_recording
from rfcx_ssl.inference.scorer import TorchScorer, WindowScores
from rfcx_ssl.inference.settings import WindowSettings
from rfcx_ssl.inference.windows import Windows
from rfcx_ssl.species import rfcx_species


@pytest.fixture(scope="module")
def model(model_dir):
    return load_model(str(model_dir))


def noise_bursts(duration_s, rate_hz, seed=0):
    rng = np.random.default_rng(seed)
    loudness = np.repeat(rng.choice([0.001, 0.03, 0.3], round(duration_s) * 4), rate_hz // 4)
    return (rng.normal(size=len(loudness)) * loudness).clip(-1, 1).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025])
@pytest.mark.parametrize("aggregate", ["max", "mean"])
def test_blocks_give_the_events_of_the_whole_recording(model, tmp_path, rate_hz, aggregate):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise_bursts(23, rate_hz)[: 23 * rate_hz - 777], rate_hz)
    waveform = torch.from_numpy(read_audio(path, sample_rate_hz=8_000))
    scores = predict_recording(model, waveform, WindowSettings(aggregate=aggregate))
    threshold = float(scores.frame.quantile(0.8))
    options = DetectSettings(threshold=threshold, low_threshold=0.9 * threshold, aggregate=aggregate, block_s=3.0)
    decoder = EventDecoder(decisions_in_force(None, options, model.space.species_names), model.grid)
    expected = sorted(
        decoder.push(scores.frame.numpy()) + decoder.finish(), key=lambda event: (event.start, event.species)
    )
    heard = listen(model, path, options)
    assert heard.problem is None and heard.heard_s == pytest.approx(len(waveform) / 8_000)
    assert len(expected) > 20, "the test needs events"
    assert len({e.start for e in expected}) > 5, "... that come and go"
    names = model.space.species_names
    assert [(e.species, e.score) for e in heard.events] == [
        (names[e.species], pytest.approx(e.score, abs=2e-3)) for e in expected
    ]
    np.testing.assert_allclose([e.box.start_s for e in heard.events], [e.start * model.grid.frame_s for e in expected])
    assert max(e.box.end_s for e in heard.events) <= heard.heard_s
    np.testing.assert_allclose(heard.clip, scores.clip.numpy(), atol=2e-3)


def test_damage_keeps_what_came_before(model, tmp_path):
    soundfile.write(tmp_path / "whole.flac", noise_bursts(20, 8_000), 8_000)
    data = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(data[: len(data) // 2])
    heard = listen(model, tmp_path / "cut.flac", DetectSettings(threshold=0.01))
    assert "cut.flac" in heard.problem
    assert 5 < heard.heard_s < 14 and heard.events and heard.clip is not None
    assert all(e.box.end_s <= heard.heard_s for e in heard.events)


def test_opus_is_heard_like_any_other_audio(model, tmp_path):
    path = tmp_path / "a.opus"
    soundfile.write(path, noise_bursts(7, 8_000), 8_000, format="OGG", subtype="OPUS")
    heard = listen(model, path, DetectSettings(threshold=0.01))
    assert heard.problem is None and heard.heard_s == pytest.approx(7.0) and heard.events


def test_what_is_left_of_a_cut_wav_is_heard_and_the_cut_is_named(model, tmp_path):
    soundfile.write(tmp_path / "cut.wav", noise_bursts(20, 8_000), 8_000)
    data = (tmp_path / "cut.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(data[: len(data) // 2])
    heard = listen(model, tmp_path / "cut.wav", DetectSettings(threshold=0.01, block_s=3.0))
    assert "cut.wav: truncated: its header states 320000 bytes of audio" in heard.problem
    assert heard.heard_s == pytest.approx(10, abs=0.01) and heard.events and heard.clip is not None


@pytest.mark.parametrize("content", [b"", b"this is no audio"])
def test_no_audio_is_a_problem_not_a_crash(model, tmp_path, content):
    (tmp_path / "x.wav").write_bytes(content)
    heard = listen(model, tmp_path / "x.wav", DetectSettings())
    assert heard.events == [] and heard.clip is None and heard.heard_s == 0 and "x.wav" in heard.problem


def test_a_file_without_samples_is_a_problem(model, tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(0, dtype=np.float32), 8_000)
    assert "has no samples" in listen(model, tmp_path / "x.wav", DetectSettings()).problem


def test_a_blink_of_audio_is_heard(model, tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(3, dtype=np.float32), 8_000)
    heard = listen(model, tmp_path / "x.wav", DetectSettings())
    assert heard.problem is None and len(heard.clip) == 24


@pytest.mark.parametrize("num_samples", [5, 8, 23_995, 23_999])
def test_no_event_without_length_and_none_beyond_the_end(model, tmp_path, num_samples):
    soundfile.write(tmp_path / "x.wav", noise_bursts(3, 8_000)[:num_samples], 8_000)
    heard = listen(model, tmp_path / "x.wav", DetectSettings(threshold=0.01, min_duration_s=0.0))
    assert bool(heard.events) == (num_samples >= 8), "five samples are less than a millisecond"
    for event in heard.events:
        shown_start, shown_end = float(f"{event.box.start_s:.3f}"), float(f"{event.box.end_s:.3f}")
        assert 0 <= shown_start < shown_end <= num_samples / 8_000
        assert (event.box.start_s, event.box.end_s) == (shown_start, shown_end), "tables hold what Python sees"


def test_low_rates_are_warned_about_with_the_species_that_are_lost(model):
    species = model.space.species
    assert rate_warning(8_000, 8_000, species) is None
    assert rate_warning(48_000, 8_000, species) is None
    assert rate_warning(0, 8_000, species) is None
    text = rate_warning(4_000, 8_000, species)
    assert "recorded at 4000 Hz, the model expects 8000" in text and "above 2 kHz" in text
    assert "Nesospingus speculiferus" in text and "Megascops nudipes" not in text


@pytest.fixture(scope="module")
def survey(model, tmp_path_factory):
    """Short recordings of several lengths around two long ones, and one that is none."""
    folder = tmp_path_factory.mktemp("survey")
    lengths_s = [2.0, 2.0, 1.1, 2.0, 2.0, 14.0, 0.4, 0.4, 2.0, 3.1, 14.5, 2.0, 1.1]
    for number, seconds in enumerate(lengths_s):
        soundfile.write(folder / f"{number:02d}.wav", noise_bursts(15, 8_000, number)[: round(seconds * 8_000)], 8_000)
    (folder / "06.wav").write_bytes(b"none")
    return sorted(folder.iterdir())


def hear(ear, paths):
    places = [((n, Recording(p.stem, str(p))), ear.stretch_of(Recording(p.stem, str(p)))) for n, p in enumerate(paths)]
    with open_readers(0) as readers:
        return [[heard.result for heard in group] for group in ear.hear(readers.open_all(places))]


def test_short_recordings_share_batches_and_answer_as_alone(model, survey):
    batches = []

    class Counting(TorchScorer):
        def __call__(self, waveform):
            batches.append(tuple(waveform.shape))
            return super().__call__(waveform)

    settings = DetectSettings(threshold=0.5, batch_size=4)
    groups = hear(Ear((Counting(model, ""),), settings), survey)
    together = [result for group in groups for result in group]
    assert [result.index for result in together] == list(range(len(survey)))
    assert max(size for size, samples in batches if samples == 16_000) == 4
    assert len(batches) < sum(1 for _ in survey) + 6, "windows were not scored one by one"
    for path, result in zip(survey, together, strict=True):
        alone = listen(model, path, settings)
        assert (alone.problem, alone.heard_s) == (result.problem, result.heard_s)
        if alone.clip is not None:
            np.testing.assert_allclose(result.clip, alone.clip, atol=1e-6)
        assert [(e.species, e.box.start_s, e.box.end_s) for e in result.events] == [
            (e.species, e.box.start_s, e.box.end_s) for e in alone.events
        ]


def test_groups_do_not_depend_on_where_one_starts(model, survey):
    """A run that was stopped behind a group goes on with the very batches it would have had."""
    ear = Ear((TorchScorer(model, ""),), DetectSettings(batch_size=4))
    groups = hear(ear, survey)
    assert len(groups) > 3
    done = 0
    for number, group in enumerate(groups):
        rest = hear(ear, survey[done:])
        assert [len(g) for g in rest] == [len(g) for g in groups[number:]]
        for one, other in zip(group, rest[0], strict=True):
            np.testing.assert_array_equal(one.clip, other.clip)
            assert [e[1:] for e in one.events] == [e[1:] for e in other.events]
        done += len(group)


def test_a_model_gives_the_very_scores_it_was_validated_with(model, survey):
    whole = torch.from_numpy(read_audio(survey[5], sample_rate_hz=8_000))
    scores = predict_recording(model, whole)
    ear = Ear((TorchScorer(model, ""),), DetectSettings(), keep=frozenset({"frames"}))
    results = [result for group in hear(ear, survey) for result in group]
    np.testing.assert_array_equal(results[5].clip, scores.clip.numpy())
    np.testing.assert_array_equal(results[5].arrays["frames"], scores.frame.numpy().astype(np.float16))


class EnergyScorer:
    """Hears one species wherever a frame is loud, and knows nothing of the rest of its window."""

    name, embedding_dim = "", 1
    grid = FrameGrid(8_000, 160)
    windows = Windows(2.0, 0.5, "max")
    device, train_prevalence, scaled_prevalence = torch.device("cpu"), None, None
    species = rfcx_species()

    def __call__(self, waveform):
        padded = torch.nn.functional.pad(waveform, (0, -waveform.shape[1] % 160))
        loud = padded.unflatten(1, (-1, 160)).abs().amax(dim=2)
        frame = torch.zeros(*loud.shape, 24)
        frame[:, :, 3] = loud.clamp(max=0.9)
        return WindowScores(frame, frame.amax(dim=1), loud.mean(dim=1, keepdim=True))


@given(st.integers(0, 40_000), st.lists(st.integers(0, 100_000), min_size=1, max_size=4, unique=True))
def test_no_seam_shows_events_move_with_their_sound(tmp_path_factory, offset, starts):
    """Wherever windows and blocks begin and end: silence in front moves every event by its length, to a frame."""
    path = tmp_path_factory.mktemp("seam") / "a.wav"
    sound = np.zeros(110_000, np.float32)
    for start in starts:
        sound[start : start + 4_000] = np.resize([0.8, -0.8], 4_000)[: 110_000 - start]
    settings = DetectSettings(block_s=1.7, median_s=0.0, merge_gap_s=0.0, batch_size=3)
    ear = Ear((EnergyScorer(),), settings)
    found = []
    for samples in (sound, np.concatenate([np.zeros(offset, np.float32), sound])):
        soundfile.write(path, samples, 8_000, subtype="FLOAT")
        found.append([(e.box.start_s, e.box.end_s) for e in hear(ear, [path])[0][0].events])
    edges = np.flatnonzero(np.diff(np.abs(sound) > 0, prepend=False, append=False)) / 8_000
    assert len(found[0]) >= 1
    np.testing.assert_allclose(np.ravel(found[0])[[0, -1]], edges[[0, -1]], atol=0.0205)
    if all(gap > 0.04 for gap in edges[2::2] - edges[1:-1:2]):  # shorter silences may fall between frames, or not
        np.testing.assert_allclose(np.array(found[1]) - offset / 8_000, found[0], atol=0.0205)


def test_what_is_kept_beside_events(model, survey):
    settings = DetectSettings(batch_size=4)
    ear = Ear((TorchScorer(model, ""),), settings, keep=frozenset({"windows", "embeddings"}))
    result = hear(ear, survey[5:6])[0][0]
    window, step = ear.scorer.windows.on_grid(model.grid)
    waveform = torch.from_numpy(read_audio(survey[5], sample_rate_hz=8_000))
    hop = model.grid.hop_samples
    starts = [*range(0, len(waveform) - window, step), -(-(len(waveform) - window) // hop) * hop]
    np.testing.assert_allclose(result.arrays["windows_s"], np.array(starts) / 8_000)
    with torch.inference_mode():
        for row, start in enumerate(starts):
            piece = waveform[start : start + window]
            output = model(torch.nn.functional.pad(piece, (0, window - len(piece)))[None])
            np.testing.assert_allclose(result.arrays["embeddings"][row], output.embedding[0], atol=1e-5)
            np.testing.assert_allclose(
                result.arrays["window_scores"][row].max(), output.clip_logits.sigmoid().max(), atol=1e-5
            )


def test_scores_that_are_no_numbers_are_a_problem_of_their_recording_alone(model, survey):
    class Broken(EnergyScorer):
        def __call__(self, waveform):
            scores = super().__call__(waveform)
            scores.frame[waveform.abs().amax(dim=1) > 0.999] = float("nan")
            return scores

    results = [result for group in hear(Ear((Broken(),), DetectSettings()), survey) for result in group]
    loud = [np.abs(read_audio(path)).max() > 0.999 if path.name != "06.wav" else False for path in survey]
    assert 0 < sum(loud) < len(survey) - 1
    for path, result, bad in zip(survey, results, loud, strict=True):
        if bad:
            assert str(path) in result.problem and result.clip is None and not result.events
        elif path.name != "06.wav":
            assert result.problem is None and np.isfinite(result.clip).all()
