import torch

from rfcx_ssl.augment.frame_map import take_frames, warp_frames
from rfcx_ssl.augment.states import States, union


def test_take_frames_matches_a_loop() -> None:
    frames, source = torch.randn(3, 7, 5), torch.randint(7, (3, 4))
    expected = torch.stack([frames[crop, source[crop]] for crop in range(3)])
    assert torch.equal(take_frames(frames, source), expected)


def test_warped_labels_are_the_union_of_what_is_heard() -> None:
    generator = torch.Generator().manual_seed(0)
    known = (torch.rand(4, 9, 3, generator=generator) < 0.7).float()
    states = States((torch.rand(4, 9, 3, generator=generator) < 0.4).float() * known, known)
    start = torch.randint(-3, 12, (4, 11), generator=generator)
    stop = start + torch.randint(0, 4, (4, 11), generator=generator)
    actual = warp_frames(states, start, stop, span=3, noise_output=2)
    unknown = States(torch.zeros(3), torch.zeros(3))
    for crop in range(4):
        for frame in range(11):
            heard = [
                States(states.target[crop, place], states.known[crop, place]) if 0 <= place < 9 else unknown
                for place in range(int(start[crop, frame]), int(stop[crop, frame]))
            ]
            expected = heard[0] if heard else unknown
            for part in heard[1:]:
                expected = union(expected, part, 2)
            assert torch.equal(actual.target[crop, frame], expected.target)
            assert torch.equal(actual.known[crop, frame], expected.known)
