"""Center loss: distances, registration, learning."""

import torch

from rfcx_ssl.losses.center import CenterLoss


def test_distance_matches_a_loop_and_gradients():
    torch.manual_seed(0)
    loss = CenterLoss(3, 4).double()
    embedding = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(5, 3, dtype=torch.float64)
    total = sum(
        weight[b, k] * 0.5 * (embedding[b] - loss.centers[k]).square().mean() for b in range(5) for k in range(3)
    )
    torch.testing.assert_close(loss(embedding, weight), total / weight.sum())
    assert torch.autograd.gradcheck(loss, (embedding, weight))


def test_centers_are_registered_and_move_to_their_clips():
    loss = CenterLoss(2, 3)
    assert [name for name, _ in loss.named_parameters()] == ["centers"]
    embedding = torch.tensor([[5.0, 0, 0], [0, 5.0, 0]])
    optimizer = torch.optim.SGD(loss.parameters(), lr=2.0)
    for _ in range(60):
        optimizer.zero_grad()
        loss(embedding, torch.eye(2)).backward()
        optimizer.step()
    torch.testing.assert_close(loss.centers.detach(), embedding, atol=0.1, rtol=0)


def test_no_known_species_costs_nothing():
    assert CenterLoss(2, 3)(torch.randn(4, 3), torch.zeros(4, 2)).item() == 0
