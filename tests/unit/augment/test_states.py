import itertools

import pytest
import torch

from rfcx_ssl.augment.states import States, blend, clip_after_loss, forget, presence, select, union

PRESENT, ABSENT, UNKNOWN = (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)  # (target, known)
NAMES = {"present": PRESENT, "absent": ABSENT, "unknown": UNKNOWN}

# The rule, spelled out: present if either is, absent only where both are, otherwise unknown.
TABLE = {
    ("present", "present"): "present",
    ("present", "absent"): "present",
    ("present", "unknown"): "present",
    ("absent", "present"): "present",
    ("unknown", "present"): "present",
    ("absent", "absent"): "absent",
    ("absent", "unknown"): "unknown",
    ("unknown", "absent"): "unknown",
    ("unknown", "unknown"): "unknown",
}
# The noise output says "nothing is here": noise only if both are, not noise if either is not.
SWAP = {"present": "absent", "absent": "present", "unknown": "unknown"}


def cells(names: list[str]) -> States:
    """(1, len(names)) labels."""
    values = torch.tensor([NAMES[name] for name in names])
    return States(values[None, :, 0], values[None, :, 1])


def pairs() -> tuple[list[str], list[str]]:
    first, second = zip(*TABLE, strict=True)
    return list(first), list(second)


def test_union_obeys_the_table_for_all_nine_pairs() -> None:
    first, second = pairs()
    actual, expected = union(cells(first), cells(second)), cells([TABLE[pair] for pair in TABLE])
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


@pytest.mark.parametrize("pair", list(TABLE), ids="+".join)
def test_the_noise_output_obeys_the_exchanged_table(pair: tuple[str, str]) -> None:
    first, second = cells([pair[0], pair[0]]), cells([pair[1], pair[1]])
    actual = union(first, second, noise_output=1)
    expected = cells([TABLE[pair], SWAP[TABLE[SWAP[pair[0]], SWAP[pair[1]]]]])
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_blend_keeps_the_same_cells_and_averages_what_is_known(share: float) -> None:
    first, second = pairs()
    actual = blend(cells(first), cells(second), torch.tensor(share))
    for place, (one, two) in enumerate(zip(first, second, strict=True)):
        weights = [(share, NAMES[one]), (1 - share, NAMES[two])]
        known = sum(weight * cell[1] for weight, cell in weights) if TABLE[one, two] != "unknown" else 0.0
        mean = sum(weight * cell[0] * cell[1] for weight, cell in weights) / known if known else 0.0
        assert actual.known[0, place].item() == pytest.approx(known)
        assert actual.target[0, place].item() == pytest.approx(mean)


def test_blended_cross_entropy_is_the_weighted_sum_of_the_parts() -> None:
    def loss(states: States, probability: float) -> torch.Tensor:
        chance = torch.tensor(probability, dtype=torch.float64)
        entropy = -(states.target * chance.log() + (1 - states.target) * (1 - chance).log())
        return entropy * states.known

    first, second = cells(["present", "absent", "present"]), cells(["absent", "absent", "unknown"])
    mixed = blend(first, second, torch.tensor(0.3))
    torch.testing.assert_close(loss(mixed, 0.2), 0.3 * loss(first, 0.2) + 0.7 * loss(second, 0.2))


def test_union_of_soft_labels_combines_probabilities_and_weights() -> None:
    first = States(torch.tensor([[0.4, 0.9, 0.3]]), torch.tensor([[1.0, 0.5, 1.0]]))
    second = States(torch.tensor([[0.5, 0.2, 0.0]]), torch.tensor([[1.0, 0.8, 0.0]]))
    mixed = union(first, second)
    torch.testing.assert_close(mixed.target, torch.tensor([[0.7, 0.92, 0.0]]))
    torch.testing.assert_close(mixed.known, torch.tensor([[1.0, 0.5, 0.0]]))


def test_union_does_not_depend_on_order() -> None:
    first, second = pairs()
    torch.testing.assert_close(union(cells(first), cells(second), 2), union(cells(second), cells(first), 2))


def test_three_sounds_combine_in_any_grouping() -> None:
    for one, two, three in itertools.product(NAMES, repeat=3):
        left = union(union(cells([one]), cells([two])), cells([three]))
        right = union(cells([one]), union(cells([two]), cells([three])))
        torch.testing.assert_close(left, right, rtol=0, atol=0)


@pytest.mark.parametrize(("before", "after", "expected"), [(4, 4, "present"), (4, 2, "present"), (4, 1, "unknown")])
def test_a_clip_label_needs_enough_of_its_call(before: int, after: int, expected: str) -> None:
    clip = cells(["present", "absent", "unknown"])
    count = torch.tensor([[before, 0, 0]])
    kept = clip_after_loss(clip, count, torch.tensor([[after, 0, 0]]), torch.tensor([0.25]), 0.5)
    torch.testing.assert_close(kept, cells([expected, "absent", "unknown"]), rtol=0, atol=0)


@pytest.mark.parametrize("left", [1.0, 0.25, 0.0])
def test_a_tag_counts_as_much_as_is_left_of_its_crop(left: float) -> None:
    clip = States(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.5, 0.5, 0.0]]))  # a tag, absent, unknown
    none = torch.zeros(1, 3)
    kept = clip_after_loss(clip, none, none, torch.tensor([left]), 0.5)
    assert kept.known.tolist() == [[0.5 * left, 0.5, 0.0]]
    assert kept.target.tolist() == [[float(left > 0), 0.0, 0.0]], "what is unknown has target 0"


def test_select_forget_and_presence() -> None:
    present, absent = cells(["present"] * 2), cells(["absent"] * 2)
    torch.testing.assert_close(select(torch.tensor([True]), present, absent), present)
    torch.testing.assert_close(select(torch.tensor([False]), present, absent), absent)
    torch.testing.assert_close(forget(present, torch.tensor([True, False])), cells(["unknown", "present"]))
    assert presence(cells(["present", "absent", "unknown"])).tolist() == [[True, False, False]]


def test_a_tag_is_as_sure_in_a_mixture_as_it_was_alone() -> None:
    tag = States(torch.tensor([[1.0, 1.0, 1.0]]), torch.tensor([[0.25, 0.25, 0.25]]))
    other = cells(["present", "absent", "unknown"])
    for mixed in (union(tag, other), union(other, tag)):
        assert mixed.target.tolist() == [[1.0, 1.0, 1.0]] and mixed.known.tolist() == [[1.0, 0.25, 0.25]]
    torch.testing.assert_close(blend(tag, other, torch.tensor([[0.5]])).known, torch.tensor([[0.625, 0.625, 0.125]]))
