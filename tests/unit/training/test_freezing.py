"""Which layers are frozen when, and that frozen layers do not move."""

import json
from functools import partialmethod

import pytest
import torch
from safetensors.torch import load_file

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.training.checkpoint import step_name
from rfcx_ssl.training.freezing import Freezer, FreezeSettings


@pytest.mark.parametrize(
    ("settings", "depths"),
    [
        (FreezeSettings(below=1), [1] * 12),
        (FreezeSettings(below=-1), [4] * 12),  # the new layers have depth 4
        (FreezeSettings(until=3), [4] * 3 + [0] * 9),
        (FreezeSettings(until=0.25), [4] * 3 + [0] * 9),
        (FreezeSettings(thaw=8), [3, 3, 2, 2, 1, 1] + [0] * 6),
        (FreezeSettings(until=3, thaw=6, below=1), [4] * 3 + [3, 3, 2, 2] + [1] * 5),
        (FreezeSettings(until=4, thaw=2), [4] * 4 + [3, 1] + [0] * 6),  # more layers than steps to thaw them in
    ],
)
def test_depth_at_every_step(settings, depths):
    assert [settings.depth(step, 12, num_depths=5) for step in range(12)] == depths


def test_only_what_the_model_has_can_be_frozen():
    with pytest.raises(ConfigError, match=r"below=5.*0 to 3"):
        FreezeSettings(below=5).depth(0, 12, num_depths=5)
    with pytest.raises(ConfigError, match="needs a model"):
        Freezer(FreezeSettings(below=1), torch.nn.Linear(1, 1), 12)
    Freezer(None, torch.nn.Linear(1, 1), 12)(0)
    with pytest.raises(ValueError, match="below=-2"):
        FreezeSettings(below=-2)
    with pytest.raises(ValueError, match="null freezes nothing"):
        FreezeSettings()


def encoder_of(folder):
    tensors = load_file(folder / "model.safetensors")
    return {name: value for name, value in tensors.items() if name.startswith("encoder.")}


def test_a_frozen_encoder_stays_and_a_thawed_one_moves(run_toy, toy):
    every = ("max_steps=10", "evaluation.every=5", "average.top_k=2")
    start = toy.toy_parts().model.state_dict()
    frozen = encoder_of(run_toy("frozen", *every, "optim.freeze.below=-1", "optim.weight_decay=0.1") / "model")
    assert all(torch.equal(value, start[name]) for name, value in frozen.items())
    thawed = run_toy("thawed", *every, "optim.freeze.until=5")
    waiting, moved = (encoder_of(thawed / "best" / step_name(step)) for step in (5, 10))
    assert all(torch.equal(value, start[name]) for name, value in waiting.items())
    assert not any(torch.equal(value, start[name]) for name, value in moved.items())


def test_a_compiled_model_thaws_as_well(run_toy, monkeypatch):
    options = ("max_steps=8", "optim.freeze.until=4", "average.top_k=2")
    plain = run_toy("plain", *options)
    monkeypatch.setattr(torch.nn.Module, "compile", partialmethod(torch.nn.Module.compile, backend="aot_eager"))
    compiled = run_toy("compiled", *options, "compile=true")
    one, other = (load_file(folder / "model" / "model.safetensors") for folder in (plain, compiled))
    torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-6)
    frozen = [json.loads(line).get("frozen_below") for line in (compiled / "metrics.jsonl").read_text().splitlines()]
    assert [depth for depth in frozen if depth is not None] == [1, 0]
