"""Several models at several speeds as one, against a loop over whole arrays."""

from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.batches import Batches, RecordingStream, ScoreError
from rfcx_ssl.inference.ensemble import Ensemble, combined
from rfcx_ssl.inference.scorer import WindowScores
from rfcx_ssl.inference.settings import EnsembleSettings
from rfcx_ssl.inference.windows import Windows
from rfcx_ssl.species import SpeciesTable


class Toy:
    """A frame is as loud as its first sample says, less what the window says; species hear with signs of their own."""

    def __init__(self, name, rate=100, hop=10, window_s=0.6, species=("a", "b"), aggregate="max"):
        self.name, self.grid, self.windows = name, FrameGrid(rate, hop), Windows(window_s, 0.5, aggregate)
        self.species, self.embedding_dim, self.device = SpeciesTable.of_names(species), 1, torch.device("cpu")
        self.signs = torch.tensor([{"a": 1.0, "b": -1.0, "c": 0.5}[name] for name in species])

    def __call__(self, waveform):
        scores = [self.score(row[None]) for row in waveform]  # one by one: equal to the bit in any batch
        return WindowScores(*map(torch.cat, zip(*scores, strict=True)))

    def score(self, waveform):
        pad = -waveform.shape[1] % self.grid.hop_samples
        rows = torch.nn.functional.pad(waveform, (0, pad)).unflatten(1, (-1, self.grid.hop_samples))
        mean = waveform.mean(1, keepdim=True)
        frame = ((rows[:, :, :1] + 0.1 * mean[:, :, None]) * self.signs).sigmoid()
        return WindowScores(frame, (mean * self.signs).sigmoid(), mean)


def audio(rate, seconds, seed=0):
    """Some sound as it would be read at ``rate``: a sum of waves, so that rates agree about it."""
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return sum(torch.sin(2 * np.pi * f * time + seed) for f in (0.7, 1.9, 3.1)).float()


def stream_all(stream, ensemble, blocks):
    """Push pairs of rate and block; all pieces."""
    pieces = []
    for rate, block in blocks:
        stream.push({rate: block})
        pieces.append(stream.ready())
    stream.end()
    ensemble.flush()
    assert stream.complete
    pieces.append(stream.ready())
    assert stream.ready() is None
    return [piece for piece in pieces if piece is not None]


def alone(scorer, samples):
    """Whole scores (T, S) and (S,) of one model hearing one array."""
    stream = RecordingStream(Batches(scorer, 3))
    stream.push(samples)
    stream.end()
    stream._batches.flush()
    piece = stream.ready()
    return piece.frame.double().numpy(), piece.clip.double().numpy()


def reference(members, num_frames, grid, how, names):
    """Every frame by itself: ``members`` are (scorer, rate, weight, samples)."""
    frames, clips, weights = [], [], []
    for scorer, rate, weight, samples in members:
        order = [scorer.species.names.index(name) for name in names]
        rows, clip = alone(scorer, samples)
        rows, clip = rows[:, order], clip[order]
        length, wanted = Fraction(scorer.grid.hop_samples, rate), Fraction(grid.hop_samples, grid.sample_rate_hz)
        mine = []
        for j in range(num_frames):
            shared = [
                max(min((j + 1) * wanted, (k + 1) * length) - max(j * wanted, k * length), 0) for k in range(len(rows))
            ]
            total = sum(shared)
            mine.append(sum(float(s / total) * r for s, r in zip(shared, rows, strict=True)) if total else rows[-1])
        frames.append(np.array(mine))
        clips.append(clip)
        weights.append(weight / sum(m[2] for m in members))

    def pool(values):
        if how == "mean":
            return sum(w * v for w, v in zip(weights, values, strict=True))
        odds = np.prod([(v / (1 - v)) ** w for w, v in zip(weights, values, strict=True)], axis=0)
        return odds / (1 + odds)

    return pool(frames), pool(clips)


CASES = {
    "two models": ([Toy("x"), Toy("y", window_s=0.4)], (1.0,), "mean", None),
    "another rate, finer frames": ([Toy("x"), Toy("y", rate=160, hop=7)], (1.0,), "geometric", None),
    "coarser frames, weights": ([Toy("x"), Toy("y", hop=33, window_s=1.0)], (1.0,), "mean", (1.0, 3.0)),
    "speeds": ([Toy("x")], (0.9, 1.0, 1.1), "mean", None),
    "all": ([Toy("x"), Toy("y", rate=160, hop=9, species=("b", "a"))], (1.0, 1.1), "geometric", (2.0, 1.0)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("seconds", [0.31, 2.0, 5.237])
def test_it_is_what_a_loop_over_whole_arrays_says(case, seconds):
    scorers, speeds, how, weights = case
    ensemble = Ensemble(
        [Batches(scorer, 4) for scorer in scorers], EnsembleSettings(speeds=speeds, combine=how, weights=weights)
    )
    heard = {rate: audio(rate, seconds) for rate in ensemble.rates_hz}
    members = [
        (scorer, round(scorer.grid.sample_rate_hz / speed), (weights or (1.0, 1.0))[place], None)
        for place, scorer in enumerate(scorers)
        for speed in speeds
    ]
    members = [(scorer, rate, weight, heard[rate]) for scorer, rate, weight, _ in members]
    assert set(heard) == {rate for _, rate, _, _ in members}
    num_frames = scorers[0].grid.num_frames(len(heard[scorers[0].grid.sample_rate_hz]))
    frame, clip = reference(members, num_frames, scorers[0].grid, how, scorers[0].species.names)
    pieces = stream_all(ensemble.open(), ensemble, heard.items())
    np.testing.assert_allclose(torch.cat([p.frame for p in pieces]).numpy(), frame, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(pieces[-1].clip.numpy(), clip, rtol=1e-5, atol=1e-6)


@settings(max_examples=40)
@given(
    st.sampled_from(sorted(CASES)),
    st.integers(1, 400),
    st.integers(1, 150),
    st.integers(1, 9),
    st.randoms(use_true_random=False),
)
def test_blocks_may_be_cut_anywhere_and_rates_may_run_ahead(name, hundredths, block, batch, random):
    scorers, speeds, how, weights = CASES[name]
    options = EnsembleSettings(speeds=speeds, combine=how, weights=weights)
    whole, parts = (Ensemble([Batches(scorer, size) for scorer in scorers], options) for size in (4, batch))
    heard = {rate: audio(rate, hundredths / 100) for rate in whole.rates_hz}
    expected = stream_all(whole.open(), whole, heard.items())
    queues = {rate: list(samples.split(block)) for rate, samples in heard.items()}
    cut = []
    while any(queues.values()):
        rate = random.choice([rate for rate, queue in queues.items() if queue])
        cut.append((rate, queues[rate].pop(0)))
    pieces = stream_all(parts.open(), parts, cut)
    assert torch.equal(torch.cat([p.frame for p in pieces]), torch.cat([p.frame for p in expected]))
    assert torch.equal(pieces[-1].clip, expected[-1].clip)
    assert [p.first_frame for p in pieces] == np.cumsum([0, *(len(p.frame) for p in pieces)])[:-1].tolist()


def test_one_model_at_one_speed_is_a_recording_stream():
    scorer, samples, seen = Toy("x", aggregate="mean"), audio(100, 4.03), []
    ensemble = Ensemble([Batches(scorer, 3)])
    stream = ensemble.open(lambda start, window: seen.append((start, float(window.clip[0]))))
    batches = Batches(scorer, 3)
    plain, watched = None, []
    plain = RecordingStream(batches, lambda start, window: watched.append((start, float(window.clip[0]))))
    for block in samples.split(37):
        stream.push({100: block})
        plain.push(block)
        for ours, theirs in zip(stream.ready() or (), plain.ready() or (), strict=True):
            assert torch.equal(torch.as_tensor(ours), torch.as_tensor(theirs))
    stream.end(), plain.end()
    ensemble.flush(), batches.flush()
    for ours, theirs in zip(stream.ready(), plain.ready(), strict=True):
        assert torch.equal(torch.as_tensor(ours), torch.as_tensor(theirs))
    assert seen == watched and ensemble.rates_hz == (100,)


def test_recordings_share_the_batches_and_only_the_first_speed_is_watched():
    seen, sizes = [], []

    class Counting(Toy):
        def __call__(self, waveform):
            sizes.append(len(waveform))
            return super().__call__(waveform)

    ensemble = Ensemble([Batches(Counting("x"), 4)], EnsembleSettings(speeds=(1.1, 1.0)))
    streams = [ensemble.open(lambda start, window: seen.append(start), f"r{i}") for i in range(2)]
    for stream in streams:
        stream.push({rate: audio(rate, 0.6 / 100 * rate) for rate in ensemble.rates_hz})
        stream.end()
    ensemble.flush()
    assert all(len(stream.ready().frame) == 6 for stream in streams)
    assert sum(sizes) == 4 and seen == [0, 0]


def test_a_member_that_hears_no_sample_has_no_say():
    slow = EnsembleSettings(speeds=(1.0, 2.0))
    ensemble = Ensemble([Batches(Toy("x"), 4)], slow)
    stream = ensemble.open()
    samples = torch.tensor([1.0, -1.0])
    stream.push({100: samples, 50: torch.zeros(0)})
    stream.end()
    ensemble.flush()
    assert torch.equal(stream.ready().frame, Toy("x")(samples[None]).frame[0])


def test_what_is_not_a_number_is_named():
    ensemble = Ensemble([Batches(Toy("good"), 4), Batches(Toy("bad", rate=90, hop=9), 4)])
    stream = ensemble.open(name="night 1")
    stream.push({100: torch.zeros(100), 90: torch.full((90,), float("nan"))})
    stream.end()
    ensemble.flush()
    with pytest.raises(ScoreError, match="night 1: model bad gives scores that are not numbers"):
        stream.ready()


def test_species_must_be_the_same_but_not_their_order():
    with pytest.raises(
        ConfigError, match="models x and y do not know the same species, as an ensemble must: only y knows c"
    ):
        Ensemble([Batches(Toy("x"), 4), Batches(Toy("y", species=("b", "c", "a")), 4)])
    with pytest.raises(ConfigError, match="only x knows b"):
        Ensemble([Batches(Toy("x"), 4), Batches(Toy("y", species=("a",)), 4)])


def test_one_weight_per_model():
    with pytest.raises(ConfigError, match=r"weights=\[1.0, 2.0\]: need one for each of 1 models"):
        Ensemble([Batches(Toy("x"), 4)], EnsembleSettings(weights=(1.0, 2.0)))


def test_pools_of_known_numbers():
    scores = [torch.tensor([0.5, 0.0, 1.0]), torch.tensor([0.9, 0.5, 1.0])]
    torch.testing.assert_close(combined(scores, [1.0, 1.0], "mean"), torch.tensor([0.7, 0.25, 1.0]))
    odds = combined(scores, [1.0, 1.0], "geometric")
    torch.testing.assert_close(odds[0], torch.tensor(0.75))  # the root of odds 1 and 9 is 3
    assert 0 < odds[1] < 0.001 and odds[2] > 0.999 and torch.isfinite(odds).all()
    assert combined(scores[:1], [5.0], "geometric") is scores[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"speeds": (0.9, 1.1)}, r"speeds=\[0.9, 1.1\] must name 1"),
        ({"speeds": (1.0, 1.1, 1.1)}, "no speed twice"),
        ({"speeds": (1.0, 3.0)}, r"must be in \[0.5, 2.0\]"),
        ({"combine": "rank"}, "combine='rank' must be 'mean' or 'geometric'"),
        ({"weights": (1.0, 0.0)}, "must be above 0 and finite"),
    ],
)
def test_settings_without_a_meaning_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        EnsembleSettings(**values)
