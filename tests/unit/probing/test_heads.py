import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from rfcx_ssl.data.budget import order
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.probing.features import Features, Frames
from rfcx_ssl.probing.heads import (
    FEW_STEPS,
    LinearPerLayer,
    MixedPrototypes,
    choose_steps,
    fit,
    masked_loss,
    predict,
    prior_of,
)
from rfcx_ssl.probing.scores import Held, difference, floors, score

RECORDINGS, EACH, OUTPUTS, DIM = 40, 20, 3, 16


def make_frames(seed=0):
    rng = np.random.default_rng(seed)
    number = RECORDINGS * EACH
    return Frames(
        FrameGrid(16_000, 1600),
        tuple(f"rec{i:02d}" for i in range(RECORDINGS)),
        np.repeat(np.arange(RECORDINGS), EACH),
        np.tile(np.arange(EACH), RECORDINGS),
        (rng.random((number, OUTPUTS)) < 0.3).astype(np.float32),
        (rng.random((number, OUTPUTS)) < 0.6).astype(np.float32),
    )


def make_features(frames, strength, seed=1):
    """One state of noise, and one that carries the labels along directions of its own."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(2, len(frames.target), DIM))
    noise[1] += strength * frames.target @ np.eye(OUTPUTS, DIM)
    return Features(np.concatenate(noise, axis=1).astype(np.float16), 0, 2)


def held_out(frames, rows):
    return Held(frames.target[rows] > 0, frames.known[rows] > 0, frames.recording[rows])


@pytest.fixture
def frames():
    return make_frames()


@pytest.fixture
def sides(frames):
    return frames.of(frames.recording_ids[:30]), frames.of(frames.recording_ids[30:])


def test_features_that_carry_the_label_are_found(frames, sides):
    train, held = sides
    features = make_features(frames, 12)
    fitted = fit(MixedPrototypes, features, frames, train, seed=0)
    assert score(held_out(frames, held), fitted.predict(features, held)).ap > 0.97
    weights = fitted.head.mix.weight.softmax(0)
    assert weights[1] > weights[0]
    layers = fit(LinearPerLayer, features, frames, train, seed=0).predict(features, held)
    noise, label = (score(held_out(frames, held), layer[None]).ap for layer in layers)
    assert label > 0.97 > 0.5 > noise


def test_noise_gives_an_interval_that_covers_zero(frames, sides):
    train, held = sides
    logits = []
    for seed in (1, 2):
        features = make_features(frames, 0, seed)
        fitted = fit(MixedPrototypes, features, frames, train, seed=0)
        logits.append(fitted.predict(features, held))
    gap = difference(held_out(frames, held), *logits, rng=np.random.default_rng(0), resamples=200)
    assert gap.low < 0 < gap.high


def test_unknown_cells_teach_nothing(frames, sides):
    train, held = sides
    features = make_features(frames, 3)
    other = np.where(frames.known > 0, frames.target, 1 - frames.target)
    changed = Frames(frames.grid, frames.recording_ids, frames.recording, frames.place, other, frames.known)
    one, two = (fit(MixedPrototypes, features, it, train, seed=0, steps=10) for it in (frames, changed))
    np.testing.assert_array_equal(one.predict(features, held), two.predict(features, held))


def test_held_out_frames_teach_nothing(frames, sides):
    train, held = sides
    features = make_features(frames, 3)
    target, table = frames.target.copy(), features.table.copy()
    target[held] = 1 - target[held]
    table[held] += 1
    changed = Frames(frames.grid, frames.recording_ids, frames.recording, frames.place, target, frames.known)
    one = fit(MixedPrototypes, features, frames, train, seed=0)
    two = fit(MixedPrototypes, Features(table, 0, 2), changed, train, seed=0)
    assert one.steps == two.steps
    np.testing.assert_array_equal(one.predict(features, held), two.predict(features, held))


def test_shuffled_held_out_features_score_at_the_floor(frames, sides):
    train, held = sides
    features = make_features(frames, 12)
    fitted = fit(MixedPrototypes, features, frames, train, seed=0)
    table = features.table.copy()
    table[held] = table[np.random.default_rng(0).permutation(held)]
    found = score(held_out(frames, held), fitted.predict(Features(table, 0, 2), held))
    assert abs(found.ap - floors(held_out(frames, held)).chance) < 0.1
    assert abs(found.auc - 0.5) < 0.1


def test_a_seed_is_a_seed_and_leaves_the_global_generator_alone(frames, sides):
    train, held = sides
    features = make_features(frames, 3)
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    one, same, other = (fit(MixedPrototypes, features, frames, train, seed=seed, steps=5) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(one.predict(features, held), same.predict(features, held))
    assert not np.array_equal(one.predict(features, held), other.predict(features, held))


def test_the_steps_chosen_rank_the_frames_left_out_best(frames, monkeypatch):
    """Trained anew for every look, and scored by scikit-learn."""
    monkeypatch.setattr("rfcx_ssl.probing.heads.MAX_STEPS", 80)
    monkeypatch.setattr("rfcx_ssl.probing.heads.INNER_FEWEST", 8)
    features, rows = make_features(frames, 2), np.arange(len(frames.target))
    names = sorted(frames.recording_ids, key=lambda name: order(name, 0))
    inner, outer = frames.of(names[:8]), frames.of(names[8:])
    found = {}
    for steps in (20, 40, 60, 80):
        (logits,) = fit(MixedPrototypes, features, frames, outer, seed=0, steps=steps).predict(features, inner)
        cells = [(frames.target[inner, k], logits[:, k], frames.known[inner, k] > 0) for k in range(OUTPUTS)]
        found[steps] = np.mean([average_precision_score(truth[known], one[known]) for truth, one, known in cells])
    best = max(found, key=found.get)
    assert choose_steps(MixedPrototypes, features, frames, rows, seed=0) == best
    assert fit(MixedPrototypes, features, frames, rows, seed=0).steps == best


def test_few_recordings_choose_nothing(frames):
    features = make_features(frames, 3)
    for names in (["rec01"], frames.recording_ids):  # a fifth of forty is too few
        assert choose_steps(MixedPrototypes, features, frames, frames.of(names), seed=0) == FEW_STEPS


def test_masked_loss_is_the_mean_over_known_cells():
    rng = np.random.default_rng(0)
    logits, target = rng.normal(0, 3, (7, 2, 3)), rng.integers(0, 2, (7, 3)).astype(float)
    known = rng.random((7, 3)) * (rng.random((7, 3)) < 0.6)
    total = weight = 0.0
    for n, h, k in np.ndindex(logits.shape):
        z = logits[n, h, k]
        total += known[n, k] * np.log1p(np.exp(-z if target[n, k] else z))
        weight += known[n, k]
    found = masked_loss(*(torch.tensor(array) for array in (logits, target, known)))
    assert found.item() == pytest.approx(total / weight)


def test_a_head_starts_near_the_prior(frames, sides):
    prior = prior_of(frames, sides[0])
    target, known = frames.target[sides[0]], frames.known[sides[0]]
    expected = [(target[known[:, k] > 0, k].sum() + 0.5) / ((known[:, k] > 0).sum() + 1) for k in range(OUTPUTS)]
    np.testing.assert_allclose(prior, expected, rtol=1e-5)


def test_prediction_in_parts_is_prediction(frames):
    features = make_features(frames, 3)
    head = MixedPrototypes(features, prior_of(frames, np.arange(len(frames.target)))).eval()
    rows = np.tile(np.arange(len(frames.target)), 4)
    whole = predict(head, features, rows)
    assert whole.shape == (len(rows), 1, OUTPUTS)
    torch.testing.assert_close(whole[:5], head(features.states(rows[:5])))
