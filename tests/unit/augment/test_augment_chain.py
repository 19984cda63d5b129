from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from rfcx_ssl.audio import write_flac
from rfcx_ssl.augment import AugmentSettings, build_augment
from rfcx_ssl.augment.pool import write_pool
from rfcx_ssl.config import check_settings, config_root, load_settings, settings_dict
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Batch
from rfcx_ssl.species import label_space, rfcx_species

HOP = 640
LABELS = {"coverage": 0.5, "edge_tolerance_s": 0.1}
NAMES = [field.name for field in fields(AugmentSettings) if field.name != "peak_limit"]
STANDARD = ["shift", "mixup", "pink_noise", "gain", "polarity"]
FORGETFUL = {"band_stop", "background"}  # may turn a label into unknown on purpose
CONFIGS = sorted(path.stem for path in (config_root() / "finetune" / "augment").glob("*.yaml"))


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool")
    write_flac(folder / "a.flac", np.random.default_rng(0).normal(0, 0.1, 64_000).astype(np.float32), 32_000)
    write_pool(folder / "pool", [folder / "a.flac"], 32_000, total_s=2.0, piece_s=2.0)
    return folder / "pool"


def build(names, pool, p=1.0, **more):
    values = {name: {"p": p} for name in names}
    for name in values.keys() & {"pink_noise", "colored_noise", "background"}:
        values[name]["snr_min_db"] = 20.0  # clicks must stand out
    if "background" in values:
        values["background"]["pool"] = pool
    for name, extra in more.items():
        values.get(name, {}).update(extra)
    config = check_settings(AugmentSettings, values, "augment")
    return build_augment(config, FrameGrid(32_000, HOP), label_space(rfcx_species()), **LABELS)


def follow_clicks(chain, batch: Batch, generator: torch.Generator):
    """For each crop's click: where it went (rows, frames), and the labels of its output there."""
    draws = chain.draw(batch, generator)
    for source in range(batch.waveform.shape[0]):
        alone = torch.zeros_like(batch.waveform)
        alone[source] = batch.waveform[source]
        moved = chain.transform(batch._replace(waveform=alone), draws)
        level = moved.waveform.abs()
        loudest = level.amax(1, keepdim=True)
        rows, samples = ((level > 0.5 * loudest) & (level > 0.03)).nonzero(as_tuple=True)
        cells = (rows, samples // HOP, torch.full_like(rows, source))
        yield source, moved, moved.target[cells], moved.known[cells], len(rows)


def check_clicks(chain, batch: Batch, seed: int, names, linear: bool) -> None:
    before = batch.target.sum(1)
    for source, moved, target, known, heard in follow_clicks(chain, batch, torch.Generator().manual_seed(seed)):
        if not FORGETFUL & set(names):
            assert (known > 0).all()
        threshold = 0.0 if linear else 0.499
        assert (target[known > 0] > threshold).all(), "a click lies in a frame labelled absent"
        assert (moved.target[moved.known == 0] == 0).all() and (moved.clip_target[moved.clip_known == 0] == 0).all()
        # Labels may not simply grow until they cover everything.
        allowed = before[source, source] * 1.5 * max(1, 2 * ("cutmix" in names or "mixup" in names)) + 12
        assert (moved.target[:, :, source] >= 0.5).sum(1).max() <= allowed
        assert heard > 0 or {"speed", "stretch", "shift", "cutmix", "band_stop"} & set(names)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), odd=st.sampled_from([0, 1, 639]), p=st.sampled_from([0.5, 1.0]))
def test_a_click_stays_inside_its_label(name, seed, odd, p, pool, make_clicks) -> None:
    batch = make_clicks(seed, samples=32_000 + odd)
    check_clicks(build([name], pool, p), batch, seed, [name], linear=False)


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.sets(st.sampled_from(NAMES), min_size=2),
    seed=st.integers(0, 10_000),
    odd=st.sampled_from([0, 1, 320, 639]),
    p=st.sampled_from([0.5, 1.0]),
    fill=st.sampled_from(["roll", "zero"]),
    labels=st.sampled_from(["union", "linear"]),
)
def test_a_click_stays_inside_its_label_in_any_composition(
    names, seed, odd, p, fill, labels, pool, make_clicks
) -> None:
    batch = make_clicks(seed, samples=32_000 + odd)
    chain = build(names, pool, p, shift={"fill": fill}, mixup={"labels": labels})
    check_clicks(chain, batch, seed, names, linear=labels == "linear")


def test_transforms_run_in_the_order_of_the_settings(pool) -> None:
    assert list(build(reversed(NAMES), pool).transforms) == NAMES
    assert list(build(["polarity", "speed"], pool).transforms) == ["speed", "polarity"]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_shipped_config_loads_and_runs(name, grid, space, make_batch) -> None:
    config = load_settings(AugmentSettings, "finetune/augment", name)
    batch = make_batch(samples=16_000)
    chain = build_augment(config, grid, space, **LABELS)
    generator = torch.Generator().manual_seed(0)
    result = chain(batch, generator)
    assert result.waveform.isfinite().all() and result.waveform.shape == batch.waveform.shape
    assert (result is batch) == (name == "none")
    assert check_settings(AugmentSettings, settings_dict(config), name) == config
    assert chain.eval()(batch, generator) is batch


def test_overrides_reach_any_transform_from_any_config() -> None:
    config = load_settings(
        AugmentSettings, "finetune/augment", "none", ["pink_noise.p=0.3", "speed.p=0.2", "speed.factors=[0.8]"]
    )
    assert config.pink_noise.p == 0.3 and config.pink_noise.colors == ("pink",) and config.speed.factors == (0.8,)
    assert config.gain is None
    with pytest.raises(ConfigError, match=r"speed\.p: required, not set"):
        load_settings(AugmentSettings, "finetune/augment", "none", ["speed.factors=[0.8]"])
    with pytest.raises(ConfigError, match="did you mean 'pink_noise'"):
        load_settings(AugmentSettings, "finetune/augment", "none", ["pink_nose.p=0.3"])
    with pytest.raises(ConfigError, match="peak_limit"):
        load_settings(AugmentSettings, "finetune/augment", "none", ["peak_limit=0"])


def test_null_leaves_a_transform_out_and_its_keys_too(grid, space) -> None:
    config = load_settings(AugmentSettings, "finetune/augment", "standard", ["pink_noise=null", "fade.p=0.1"])
    shown = settings_dict(config)
    assert (shown["pink_noise"], shown["stretch"]) == (None, None)
    assert shown["fade"] == {"p": 0.1, "min_db": -12.0, "max_db": 6.0}
    assert list(build_augment(config, grid, space, **LABELS).transforms) == [
        "shift",
        "mixup",
        "fade",
        "gain",
        "polarity",
    ]


def test_the_same_seed_gives_the_same_batch_and_inputs_are_left_alone(pool, make_batch) -> None:
    chain, batch = build(NAMES, pool, p=0.5), make_batch()
    copy = [field.clone() for field in batch]
    first, second, third = (chain(batch, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))
    assert not torch.equal(first.waveform, third.waveform)
    assert all(torch.equal(before, after) for before, after in zip(copy, batch, strict=True))


def test_crops_draw_for_themselves(pool, make_batch) -> None:
    batch = make_batch(size=16)
    batch = batch._replace(waveform=batch.waveform[:1].repeat(16, 1))
    changed = build(["gain"], pool, p=0.5)(batch, torch.Generator().manual_seed(0)).waveform
    assert 3 < len({tuple(row[:4].tolist()) for row in changed}) < 16


def test_peak_limit_scales_loud_crops_only(grid, space, make_batch) -> None:
    config = check_settings(AugmentSettings, {"polarity": {"p": 1.0}, "peak_limit": 0.5}, "augment")
    batch = make_batch(size=2)
    batch.waveform[0] *= 10
    batch.waveform[1] *= 0.1
    result = build_augment(config, grid, space, **LABELS)(batch)
    torch.testing.assert_close(result.waveform[0], -0.5 * batch.waveform[0] / batch.waveform[0].abs().max())
    assert torch.equal(result.waveform[1], -batch.waveform[1])


def test_labels_of_another_grid_are_an_error(pool, make_batch) -> None:
    batch = make_batch()
    with pytest.raises(ValueError, match="32000 samples have 50 frames"):
        build(["gain"], pool)(batch._replace(target=batch.target[:, :-1]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_changes_nothing(dtype, pool, make_batch) -> None:
    chain, batch = build(NAMES, pool, p=0.8), make_batch(samples=16_000)
    plain = chain(batch, torch.Generator().manual_seed(3))
    with torch.autocast("cpu", dtype=dtype):
        cast = chain(batch, torch.Generator().manual_seed(3))
    for one, two in zip(plain, cast, strict=True):
        assert one.dtype == two.dtype and torch.equal(one, two)


@pytest.mark.parametrize(
    ("names", "backend"),
    [*(([name], "eager") for name in NAMES), (STANDARD, "inductor")],  # inductor takes minutes for some
    ids=[*NAMES, "standard"],
)
@pytest.mark.filterwarnings("ignore:Torchinductor does not support code generation for complex operators")
def test_compiles_as_one_graph_and_computes_the_same(names, backend, pool, make_batch) -> None:
    torch._dynamo.reset()
    chain, batch = build(names, pool, p=0.8), make_batch(samples=16_000)
    draws = chain.draw(batch, torch.Generator().manual_seed(4))
    compiled = torch.compile(chain.transform, fullgraph=True, backend=backend)(batch, draws)
    for one, two in zip(compiled, chain.transform(batch, draws), strict=True):
        torch.testing.assert_close(one, two)


def test_nothing_is_read_back_from_the_device(pool, make_batch) -> None:
    """Fake tensors have shapes but no values: any synchronisation or shape that depends on data fails."""
    chain, batch = build(NAMES, pool, p=0.8), make_batch(samples=16_000)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = Batch(*(mode.from_tensor(field) for field in batch))
        result = chain(fake)
    assert [field.shape for field in result] == [field.shape for field in batch]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_no_synchronisation_on_a_gpu(pool, make_batch) -> None:
    chain, batch = build(NAMES, pool, p=0.8).cuda(), Batch(*(field.cuda() for field in make_batch()))
    generator = torch.Generator("cuda").manual_seed(0)
    chain(batch, generator)  # cuFFT plans and cached kernels
    torch.cuda.set_sync_debug_mode("error")
    try:
        result = chain(batch, generator)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert result.waveform.isfinite().all()


@pytest.mark.parametrize(("names", "p"), [(NAMES, 1.0), (NAMES, 0.5), (["shift"], 1.0)])
def test_a_split_chain_is_the_chain_and_its_second_half_leaves_labels_alone(pool, make_batch, names, p):
    chain = build(names, pool, p=p)
    chain.peak_limit = 0.2
    first, rest = chain.split()
    later = ["pink_noise", "colored_noise", "fade", "gain", "polarity"]
    assert list(rest.transforms) == [name for name in later if name in names]
    generator = torch.Generator().manual_seed(4)
    heard = first(make_batch(size=6), generator)
    seen = rest(heard, generator)
    assert all(torch.equal(before, after) for before, after in zip(heard[1:], seen[1:], strict=True))
    assert not torch.equal(heard.waveform, seen.waveform)
    whole = chain(make_batch(size=6), torch.Generator().manual_seed(4))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(seen, whole, strict=True))
