import pytest
import torch

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.warm_start import output_axes, warm_start
from rfcx_ssl.species import Call, SpeciesTable, label_space

OLD = label_space(SpeciesTable.of_names(["owl", "frog", "wren"]), noise_class=True)
NEW = label_space(SpeciesTable.of_names(["bat", "wren", "owl"]), noise_class=True)


@pytest.fixture(params=["linear", "prototypes"])
def trained(request, tiny_settings):
    torch.manual_seed(0)
    head = {"kind": request.param}
    model = build_model(tiny_settings("panns", head={"classify": head, "activity": "auxiliary"}), OLD)
    return model.eval()


def test_shared_outputs_answer_as_before(trained):
    model = warm_start(trained, NEW, extend=True).eval()
    assert model.space == NEW and model.config.id2label == {0: "bat", 1: "wren", 2: "owl", 3: "noise"}
    waveform = torch.randn(2, 32_000, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before, after = trained(waveform), model(waveform)
    for key in ("frame_logits", "clip_logits"):
        torch.testing.assert_close(after[key][..., [2, 1, 3]], before[key][..., [0, 2, 3]], rtol=0, atol=1e-6)
    assert torch.equal(after.embedding, before.embedding) and torch.equal(
        after.activity_logits, before.activity_logits
    )


def test_a_new_output_starts_as_in_a_new_model(trained):
    torch.manual_seed(7)
    model = warm_start(trained, NEW, extend=True)
    torch.manual_seed(7)
    fresh = type(model)(model.config)
    axes = output_axes(trained.config, trained.space)
    assert {name.split(".")[1] for name in axes} == {"classify", "pooling"}
    for name, axis in axes.items():
        assert torch.equal(model.state_dict()[name].select(axis, 0), fresh.state_dict()[name].select(axis, 0)), name


def test_the_same_species_need_no_leave(trained):
    model = warm_start(trained, OLD, extend=False)
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


def test_other_species_are_named(trained):
    with pytest.raises(
        ConfigError, match=r"the data lack 'frog', the model lacks 'bat'; start.extend=true .* 3 outputs"
    ):
        warm_start(trained, NEW, extend=False)
    strangers = label_space(SpeciesTable.of_names(["x"]))
    with pytest.raises(ConfigError, match="none of its outputs is among the data's"):
        warm_start(trained, strangers, extend=True)


def test_song_types_are_told_apart(trained):
    songs = SpeciesTable((Call(0, 1, "owl"), Call(0, 2, "owl"), Call(1, 1, "wren")))
    model = warm_start(trained, label_space(songs, split_songtypes=True), extend=True)
    axes = output_axes(trained.config, trained.space)
    for name, axis in axes.items():
        new, old = model.state_dict()[name], trained.state_dict()[name]
        assert torch.equal(new.select(axis, 2), old.select(axis, 2))
        assert name.endswith(("bias", "log_scale")) or not torch.equal(new.select(axis, 0), old.select(axis, 0)), name
