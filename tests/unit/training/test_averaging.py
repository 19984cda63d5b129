"""Averages against torch.optim.swa_utils and plain means."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from rfcx_ssl.training.averaging import MovingAverage, RunningMean, mean_weights


def models(count):
    torch.manual_seed(0)
    return [nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)) for _ in range(count)]


def test_moving_average_equals_torch():
    model = models(1)[0]
    ours = MovingAverage(model, 0.9, warmup=False)
    theirs = AveragedModel(copy.deepcopy(model), multi_avg_fn=get_ema_multi_avg_fn(0.9))
    theirs.update_parameters(model)  # the first call copies
    for step, shown in enumerate(models(5), start=1):
        shown(torch.randn(8, 3))  # moves the running statistics
        ours.update(shown, step)
        theirs.update_parameters(shown)
    for one, other in zip(ours.model.parameters(), theirs.module.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    assert torch.equal(ours.model[1].running_mean, shown[1].running_mean)


def test_warm_up_follows_early_weights_closely():
    first, second = models(2)
    average = MovingAverage(first, 0.999, warmup=True)
    average.update(second, 1)
    expected = torch.lerp(first[0].weight, second[0].weight, 1 - 2 / 11)
    torch.testing.assert_close(average.model[0].weight, expected.detach())


def test_running_mean_equals_mean():
    many = [model.state_dict() for model in models(4)]
    running = RunningMean()
    for weights in many:
        running.add(weights)
    mean = mean_weights(many)
    expected = torch.stack([weights["0.weight"].double() for weights in many]).mean(0)
    torch.testing.assert_close(running.weights["0.weight"], expected)
    torch.testing.assert_close(mean["0.weight"], expected.float())
    assert mean["1.num_batches_tracked"].dtype == torch.int64
    models(1)[0].load_state_dict(mean)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_mean_keeps_the_dtype(dtype):
    assert mean_weights([{"w": torch.ones(2, dtype=dtype)}, {"w": torch.zeros(2, dtype=dtype)}])["w"].dtype == dtype
