import numpy as np
import pytest
import torch
from scipy.stats import beta

from rfcx_ssl.augment.mixup import MixupAugmentation, MixupSettings
from rfcx_ssl.augment.states import States, blend, union


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0, 5.0])
def test_shares_follow_the_beta_distribution(alpha, make_batch) -> None:
    module = MixupAugmentation(MixupSettings(p=1.0, alpha=alpha, min_share=0.0))
    batch = make_batch(size=5_000, samples=1, outputs=1)
    share = module.draw(batch, torch.Generator().manual_seed(0))["share"]
    points = np.linspace(0.01, 0.99, 99)  # nearer to 1, float32 cannot tell shares apart
    below = (share.double().numpy()[:, None] <= points).mean(0)
    assert np.abs(below - beta(alpha, alpha).cdf(points)).max() < 1.95 / np.sqrt(5_000)  # Kolmogorov, 0.1 %


def test_shares_respect_the_least_share(make_batch) -> None:
    module = MixupAugmentation(MixupSettings(p=1.0, alpha=0.2, min_share=0.3))
    share = module.draw(make_batch(size=500, samples=1, outputs=1), torch.Generator().manual_seed(0))["share"]
    assert share.min() >= 0.3 and share.max() <= 0.7


@pytest.mark.parametrize("size", [2, 3, 8, 33])
def test_partners_are_one_cycle(size, make_batch) -> None:
    module = MixupAugmentation(MixupSettings(p=1.0))
    for seed in range(5):
        batch = make_batch(size=size, samples=1, outputs=1)
        partner = module.draw(batch, torch.Generator().manual_seed(seed))["partner"].tolist()
        visited, crop = [], 0
        for _ in range(size):
            crop = partner[crop]
            visited.append(crop)
        assert sorted(visited) == list(range(size)) and visited[-1] == 0


@pytest.mark.parametrize(("labels", "match"), [("union", False), ("linear", True)])
def test_matches_a_loop_over_crops(labels, match, make_batch, changed_crops) -> None:
    batch = make_batch(size=6, samples=3_200)
    batch.waveform.mul_(torch.tensor([1.0, 0.2, 3.0, 0.01, 1.0, 0.0])[:, None])
    module = MixupAugmentation(MixupSettings(p=0.6, alpha=1.0, labels=labels, match_level=match))
    draws = module.draw(batch, torch.Generator().manual_seed(1))
    mixed = module.transform(batch, draws)
    chosen = changed_crops(draws, 6)
    assert 3 <= chosen.sum() <= 4
    shares = torch.zeros(6).scatter(0, draws["rows"], draws["share"])
    for crop in range(6):
        if not chosen[crop]:
            assert all(torch.equal(after[crop], before[crop]) for after, before in zip(mixed, batch, strict=True))
            continue
        other, share = int(draws["partner"][crop]), shares[crop].item()
        own_level, level = (max(batch.waveform[row].square().mean().item(), 1e-12) ** 0.5 for row in (crop, other))
        gain = min(max(own_level / level, 0.1), 10.0) if match else 1.0
        expected = share * batch.waveform[crop].double() + (1 - share) * gain * batch.waveform[other].double()
        torch.testing.assert_close(mixed.waveform[crop].double(), expected, rtol=0, atol=1e-6)
        for target, known in (("target", "known"), ("clip_target", "clip_known")):
            own = States(getattr(batch, target)[crop], getattr(batch, known)[crop])
            partner = States(getattr(batch, target)[other], getattr(batch, known)[other])
            rule = union(own, partner) if labels == "union" else blend(own, partner, shares[crop])
            torch.testing.assert_close(getattr(mixed, target)[crop], rule.target)
            torch.testing.assert_close(getattr(mixed, known)[crop], rule.known)


def test_stays_in_range_and_leaves_the_batch_alone(make_batch) -> None:
    batch = make_batch(size=5, samples=640)
    batch.waveform.uniform_(-1, 1)
    copy = [field.clone() for field in batch]
    mixed = MixupAugmentation(MixupSettings(p=1.0, match_level=False))(batch, torch.Generator().manual_seed(2))
    assert mixed.waveform.abs().max() <= 1.0
    assert all(torch.equal(before, after) for before, after in zip(copy, batch, strict=True))
    assert torch.equal(mixed.index, batch.index)


def test_a_batch_of_one_meets_itself(make_batch) -> None:
    batch = make_batch(size=1, samples=640)
    mixed = MixupAugmentation(MixupSettings(p=1.0))(batch, torch.Generator().manual_seed(3))
    torch.testing.assert_close(mixed, batch)


@pytest.mark.parametrize("values", [{"p": -0.1}, {"alpha": 0.0}, {"min_share": 0.6}])
def test_wrong_settings_are_refused(values) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        MixupSettings(**{"p": 1.0, **values})
