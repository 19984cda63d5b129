import numpy as np
import pytest
import torch

from rfcx_ssl.augment.cutmix import CallCutMixAugmentation, CallCutMixSettings
from rfcx_ssl.augment.states import States, union
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Batch

HOP, MARGIN = 640, 5


def span_by_loop(
    batch: Batch, draws: dict[str, torch.Tensor], crop: int, row: int | None, noise: int | None
) -> tuple[int, int, int] | None:
    """(first frame in the crop, first frame in the partner, length) of the paste, or None."""
    partner = int(draws["partner"][crop])
    whole = batch.waveform.shape[1] // HOP
    call = ((batch.known[partner] > 0) & (batch.target[partner] >= 0.5))[:whole].numpy()
    if noise is not None:
        call[:, noise] = False
    cells = np.argwhere(call)
    if row is None or len(cells) == 0:
        return None
    lots = draws["lot"][row].numpy()
    at, output = cells[np.argmax([lots[frame, column] for frame, column in cells])]
    start, stop = at, at + 1
    while start > 0 and call[start - 1, output]:
        start -= 1
    while stop < whole and call[stop, output]:
        stop += 1
    start, stop = max(start - MARGIN, 0), min(stop + MARGIN, whole)
    return int(draws["place"][row].item() * (whole - (stop - start) + 1)), start, stop - start


@pytest.mark.parametrize("samples", [32_000, 32_500])
@pytest.mark.parametrize("noise", [None, 0])
def test_matches_a_loop(samples, noise, grid, make_batch, changed_crops) -> None:
    batch = make_batch(size=6, samples=samples, outputs=3)
    batch.target[3] = 0.0  # no call to give
    module = CallCutMixAugmentation(
        CallCutMixSettings(p=0.8), grid, coverage=0.5, edge_tolerance_s=0.1, noise_output=noise
    )
    draws = module.draw(batch, torch.Generator().manual_seed(6))
    draws["partner"] = torch.tensor([1, 2, 3, 4, 5, 0])
    mixed = module.transform(batch, draws)
    pasted, chosen = 0, changed_crops(draws, 6)
    rows = draws["rows"].tolist()
    for crop in range(6):
        span = span_by_loop(batch, draws, crop, rows.index(crop) if chosen[crop] else None, noise)
        if span is None:
            assert all(torch.equal(after[crop], before[crop]) for after, before in zip(mixed, batch, strict=True))
            continue
        pasted += 1
        first, start, length = span
        partner = int(draws["partner"][crop])
        waveform, target, known = (batch[field][crop].clone() for field in range(3))
        for step in range(length):
            frame, source = first + step, start + step
            own = States(target[frame].clone(), known[frame].clone())
            other = States(batch.target[partner, source], batch.known[partner, source])
            both = union(own, other, noise) if step in (0, length - 1) else other
            target[frame], known[frame] = both.target, both.known
        weight = torch.ones(length * HOP)
        weight[:HOP] = (torch.arange(HOP) + 0.5) / HOP
        weight[-HOP:] = weight[:HOP].flip(0)
        place = slice(first * HOP, (first + length) * HOP)
        piece = batch.waveform[partner, start * HOP : (start + length) * HOP]
        waveform[place] = waveform[place] * (1 - weight) + piece * weight
        torch.testing.assert_close(mixed.waveform[crop], waveform, rtol=0, atol=1e-6)
        torch.testing.assert_close(mixed.target[crop], target)
        torch.testing.assert_close(mixed.known[crop], known)
    assert pasted >= 3


def small_batch() -> Batch:
    """Two crops of ten frames; crop 1 calls with output 0 (frames 4 and 5), crop 0 with output 1 (frames 2 to 5)."""
    target, known = torch.zeros(2, 10, 4), torch.ones(2, 10, 4)
    target[1, 4:6, 0] = 1.0
    target[0, 2:6, 1] = 1.0
    known[1, :, 2] = 0.0  # nobody knows whether crop 1 holds output 2
    clip_known = torch.ones(2, 4)
    clip_known[1, 2] = 0.0
    return Batch(torch.randn(2, 100), target, known, target.amax(1), clip_known, torch.arange(2))


@pytest.mark.parametrize(
    ("place", "coverage", "expected"),
    [
        (
            0.0,
            0.5,
            ["present", "present", "unknown", "absent"],
        ),  # lands on frames 0 to 3: half of the old call remains
        (0.0, 0.6, ["present", "unknown", "unknown", "absent"]),
        (0.99, 0.6, ["present", "present", "unknown", "absent"]),  # lands on frames 6 to 9, clear of the old call
    ],
)
def test_clip_labels_are_what_remains_and_what_came(place, coverage, expected) -> None:
    batch = small_batch()
    config, grid = CallCutMixSettings(p=1.0), FrameGrid(1_000, 10)
    module = CallCutMixAugmentation(config, grid, coverage=coverage, edge_tolerance_s=0.01)
    draws = {
        "rows": torch.arange(2),
        "active": torch.tensor([True, False]),
        "partner": torch.tensor([1, 0]),
        "lot": torch.rand(2, 10, 4),
        "place": torch.tensor([place, 0.0]),
    }
    mixed = module.transform(batch, draws)
    names = {(1.0, 1.0): "present", (0.0, 1.0): "absent", (0.0, 0.0): "unknown"}
    pairs = zip(mixed.clip_target[0].tolist(), mixed.clip_known[0].tolist(), strict=True)
    assert [names[pair] for pair in pairs] == expected
    assert torch.equal(mixed.clip_target[1], batch.clip_target[1])


def test_noise_is_no_longer_noise_once_a_call_lands_on_it() -> None:
    batch = small_batch()
    batch.target[0] = 0.0
    batch.target[0, :, 3] = batch.clip_target[0, 3] = 1.0  # output 3 says: nothing calls in crop 0
    batch.clip_target[0, 1] = 0.0
    config, grid = CallCutMixSettings(p=1.0), FrameGrid(1_000, 10)
    module = CallCutMixAugmentation(config, grid, coverage=0.5, edge_tolerance_s=0.01, noise_output=3)
    draws = {
        "rows": torch.arange(2),
        "partner": torch.tensor([1, 0]),
        "lot": torch.rand(2, 10, 4),
        "place": torch.zeros(2),
    }
    mixed = module.transform(batch, draws)
    assert mixed.clip_target[0].tolist() == [1.0, 0.0, 0.0, 0.0] and mixed.clip_known[0].tolist() == [1, 1, 0, 1]
    assert mixed.target[0, :, 3].tolist() == [0.0] * 4 + [1.0] * 6
    assert torch.equal(mixed.waveform[1], batch.waveform[1])  # its partner has only noise to give


@pytest.mark.parametrize(("edge_tolerance_s", "margin_frames"), [(0.0, 1), (0.01, 1), (0.011, 2), (0.1, 10)])
def test_the_span_takes_in_the_edges_that_labels_leave_unknown(edge_tolerance_s, margin_frames) -> None:
    config, grid = CallCutMixSettings(p=1.0), FrameGrid(1_000, 10)
    module = CallCutMixAugmentation(config, grid, coverage=0.5, edge_tolerance_s=edge_tolerance_s)
    target = torch.zeros(2, 40, 1)
    target[1, 18:21] = 1.0
    clip = target.amax(1)
    waveform = torch.stack([torch.zeros(400), torch.ones(400)])
    batch = Batch(waveform, target, torch.ones(2, 40, 1), clip, torch.ones(2, 1), torch.arange(2))
    draws = {
        "rows": torch.arange(2),
        "partner": torch.tensor([1, 0]),
        "lot": torch.rand(2, 40, 1),
        "place": torch.zeros(2),
    }
    mixed = module.transform(batch, draws)
    heard = (mixed.waveform[0].view(40, 10).mean(1) > 0.25).sum()  # half of either edge frame is crossfaded
    assert int(heard) == 3 + 2 * margin_frames
    assert mixed.target[0, :, 0].sum() == 3


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"p=2\.0"):
        CallCutMixSettings(p=2.0)


def test_a_tag_keeps_what_the_paste_leaves_of_its_crop_and_gives_nothing_sure_away() -> None:
    """Crop 0 is tagged with output 2 (no call frame), crop 1 with output 0; crop 1 gives a call of output 1."""
    batch = small_batch()
    for field in batch[1:5]:
        field.zero_()
    batch.target[1, 4:6, 1] = batch.known[1, 4:6, 1] = batch.clip_target[1, 1] = batch.clip_known[1, 1] = 1.0
    batch.clip_target[0, 2], batch.clip_known[0, 2] = 1.0, 0.5
    batch.clip_known[0, 0] = 1.0  # absent in crop 0, and somewhere in crop 1
    batch.clip_target[1, 0], batch.clip_known[1, 0] = 1.0, 0.5
    module = CallCutMixAugmentation(
        CallCutMixSettings(p=1.0), FrameGrid(1_000, 10), coverage=0.5, edge_tolerance_s=0.01
    )
    draws = {
        "rows": torch.arange(2),
        "active": torch.tensor([True, False]),
        "partner": torch.tensor([1, 0]),
        "lot": torch.rand(2, 10, 4),
        "place": torch.zeros(2),
    }
    mixed = module.transform(batch, draws)  # four of ten frames are replaced
    np.testing.assert_allclose(mixed.clip_known[0, :3].numpy(), [0.0, 1.0, 0.3], rtol=1e-6)
    assert mixed.clip_target[0, :3].tolist() == [0.0, 1.0, 1.0]
