"""ONNX Runtime scores as torch does, from files that are read with care."""

import json

import numpy as np
import pytest
import torch

from rfcx_ssl.errors import AudioError, CheckpointError, ConfigError
from rfcx_ssl.inference.onnx_check import check_onnx, lengths, same_scores
from rfcx_ssl.inference.onnx_scorer import OnnxScorer
from rfcx_ssl.inference.scorer import TorchScorer
from rfcx_ssl.inference.settings import WindowSettings
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.export_onnx import METADATA_KEY, add_metadata, export_onnx
from rfcx_ssl.species import label_space, rfcx_species

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
WINDOW = 2048


@pytest.fixture(scope="module")
def exported(tiny_settings, tmp_path_factory):
    """A model with an activity head, validated with windows of its own, and its checked ONNX file."""
    torch.manual_seed(0)
    space = label_space(rfcx_species(), split_songtypes=True, noise_class=True)
    model = build_model(tiny_settings("panns", window_s=0.0625, head={"activity": "auxiliary"}), space).eval()
    model.config.windows = {"window_s": WINDOW / 32_000, "overlap": 0.25, "aggregate": "mean"}
    model.config.train_prevalence = [0.25, None] * 12
    model.config.scaled_prevalence = "table"
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(model, path, WINDOW)
    check_onnx(path, TorchScorer(model, "tiny"))
    return model, path


def changed(path, tmp_path, change):
    """A copy of a file, changed by a function of its protobuf."""
    proto = onnx.load(str(path))
    change(proto)
    copy = tmp_path / "changed.onnx"
    copy.write_bytes(proto.SerializeToString())
    return copy


def told(path, tmp_path, **values):
    copy = tmp_path / "told.onnx"
    copy.write_bytes(path.read_bytes())
    add_metadata(copy, onnx, values)
    return copy


def test_scores_and_facts_are_those_of_torch(exported):
    model, path = exported
    ours, theirs = OnnxScorer(path, "tiny", device="cpu"), TorchScorer(model, "tiny")
    for key in ("grid", "windows", "species", "embedding_dim", "device"):
        assert getattr(ours, key) == getattr(theirs, key), key
    np.testing.assert_array_equal(ours.train_prevalence, theirs.train_prevalence)
    assert np.isnan(ours.train_prevalence).sum() == 12
    assert ours.scaled_prevalence == theirs.scaled_prevalence == "table"
    assert ours.windows.aggregate == "mean" and ours.facts.shortest_samples == 1
    for batch, num_samples in ((1, WINDOW), (3, WINDOW), (2, 4001), (1, 100)):
        waveform = 0.1 * torch.randn(batch, num_samples)
        for answer, expected in zip(ours(waveform), theirs(waveform), strict=True):
            torch.testing.assert_close(answer, expected, rtol=1e-5, atol=1e-5)
    assert OnnxScorer(path, "tiny", WindowSettings(overlap=0.5)).windows.overlap == 0.5


def test_the_activity_gate_silences_the_same_frames(exported):
    model, path = exported
    waveform = 0.1 * torch.randn(4, WINDOW)
    with torch.inference_mode():
        activity = model(waveform).activity_logits.sigmoid()
    gate = float(activity.median())
    ours = OnnxScorer(path, "tiny", activity_gate=gate)(waveform)
    theirs = TorchScorer(model, "tiny", activity_gate=gate)(waveform)
    free = TorchScorer(model, "tiny")(waveform)
    silent = (activity < gate)[:, :, None].expand_as(free.frame)
    assert silent.any() and not silent.all()
    assert (theirs.frame[silent] == 0).all()
    torch.testing.assert_close(theirs.frame[~silent], free.frame[~silent], rtol=0, atol=0)
    torch.testing.assert_close(theirs.clip, free.clip, rtol=0, atol=0)
    torch.testing.assert_close(ours.frame, theirs.frame, rtol=1e-5, atol=1e-5)


def test_gates_that_cannot_work_are_refused(exported, tiny, tmp_path):
    _, path = exported
    with pytest.raises(ConfigError, match=r"activity_gate=1.5 must be in \(0, 1\]"):
        OnnxScorer(path, "tiny", activity_gate=1.5)
    with pytest.raises(ConfigError, match="model quiet has no activity head"):
        TorchScorer(tiny("panns"), "quiet", activity_gate=0.5)

    def drop(proto):
        del proto.graph.output[3]

    with pytest.raises(ConfigError, match="model tiny has no activity head"):
        OnnxScorer(changed(path, tmp_path, drop), "tiny", activity_gate=0.5)


def test_what_a_graph_cannot_score_is_said(exported, tmp_path):
    _, path = exported
    with pytest.raises(AudioError, match=r"99 samples cannot be scored .* needs at least 100; backend=torch"):
        OnnxScorer(told(path, tmp_path, shortest_samples=100), "tiny")(torch.zeros(1, 99))
    fixed = told(path, tmp_path, fixed_samples=WINDOW)
    assert OnnxScorer(fixed, "tiny")(torch.zeros(1, WINDOW)).frame.shape[1] == 8
    with pytest.raises(AudioError, match="needs exactly 2048"):
        OnnxScorer(fixed, "tiny")(torch.zeros(1, 512))
    with pytest.raises(CheckpointError, match=r"windows of 0.064 s only, not of window_s=0.128"):
        OnnxScorer(fixed, "tiny", WindowSettings(window_s=0.128))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": 2}, "format 2, this version reads 1"),
        ({"sample_rate_hz": 0}, "sample_rate_hz=0 must be a whole number"),
        ({"hop_samples": "640"}, "hop_samples='640' must be a whole number"),
        ({"species": []}, r"metadata rfcx_ssl: "),
        ({"species": [{"nmae": "a"}]}, "nmae"),
        ({"output_species": [99] * 27}, r"output_species=99 must be 0 to 23"),
        ({"output_names": ["a"]}, "one entry per output"),
        ({"train_prevalence": [0.5]}, r"train_prevalence must be 24 shares in \[0, 1\]"),
        ({"scaled_prevalence": True}, "scaled_prevalence=True must be a text or null"),
        ({"windows": {"overlap": 2}}, r"overlap=2 must be in \[0, 1\)"),
        ({"windows": {"step": 2}}, "windows.step: unknown key"),
    ],
)
def test_wrong_metadata_is_named(exported, tmp_path, values, message):
    with pytest.raises(CheckpointError, match=message):
        OnnxScorer(told(exported[1], tmp_path, **values), "tiny")


@pytest.mark.parametrize("values", [{"embedding_dim": 7}, {"hop_samples": 100}])
def test_answers_that_contradict_the_metadata_are_refused(exported, tmp_path, values):
    with pytest.raises(CheckpointError, match="but its metadata says"):
        OnnxScorer(told(exported[1], tmp_path, **values), "tiny")(torch.zeros(1, WINDOW))


def test_files_of_something_else_are_refused(exported, tmp_path):
    path = exported[1]
    nothing = tmp_path / "nothing.onnx"
    nothing.write_bytes(b"not a model")
    with pytest.raises(CheckpointError, match="not a readable ONNX file"):
        OnnxScorer(nothing, "x")
    with pytest.raises(CheckpointError, match=r"missing\.onnx: not a readable ONNX file"):
        OnnxScorer(tmp_path / "missing.onnx", "x")

    def forget(proto):
        del proto.metadata_props[:]

    with pytest.raises(CheckpointError, match=f"metadata {METADATA_KEY}: missing"):
        OnnxScorer(changed(path, tmp_path, forget), "x")

    def half(proto):
        values = {k: v for k, v in json.loads(proto.metadata_props[0].value).items() if k != "species"}
        onnx.helper.set_model_props(proto, {METADATA_KEY: json.dumps(values)})

    with pytest.raises(CheckpointError, match="species is missing"):
        OnnxScorer(changed(path, tmp_path, half), "x")

    def drop(proto):
        del proto.graph.output[2]

    with pytest.raises(CheckpointError, match="no output 'frame_logits', only embedding, logits, activity_logits"):
        OnnxScorer(changed(path, tmp_path, drop), "x")

    value = onnx.helper.make_tensor_value_info("sound", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["sound"], ["y"])], "g", [value], [value])
    graph.output[0].name = "y"
    other = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    nothing.write_bytes(other.SerializeToString())
    with pytest.raises(CheckpointError, match="needs one input 'waveform'"):
        OnnxScorer(nothing, "x")


@pytest.mark.parametrize("where", ["initializer", "node", "branch"])
def test_data_outside_of_the_file_is_refused_wherever_it_hides(exported, tmp_path, where):
    def hide(proto):
        tensor = onnx.numpy_helper.from_array(np.zeros(4, np.float32), "secret")
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../etc/passwd")
        node = onnx.helper.make_node("Constant", [], ["c"], value=tensor)
        if where == "initializer":
            proto.graph.initializer.append(tensor)
        elif where == "node":
            proto.graph.node.append(node)
        else:
            branch = onnx.helper.make_graph([node], "inner", [], [])
            proto.graph.node.append(onnx.helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch))

    with pytest.raises(CheckpointError, match="tensor 'secret' lies outside of the file, which is refused"):
        OnnxScorer(changed(exported[1], tmp_path, hide), "x")


def test_devices_without_onnxruntime_are_refused(exported):
    with pytest.raises(CheckpointError, match="backend=onnx runs on cpu and cuda"):
        OnnxScorer(exported[1], "x", device="meta")


def test_a_graph_with_other_weights_is_not_kept(exported, tiny, tmp_path):
    _, path = exported
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(path.read_bytes())
    torch.manual_seed(5)
    other = TorchScorer(tiny("panns", window_s=0.0625), "other")
    with pytest.raises(CheckpointError, match="does not give torch's scores"):
        check_onnx(copy, other)


def test_the_shortest_equal_window_is_written_down(exported, tmp_path):
    """A reference that does something else with windows below 300 samples, as mirroring at the edges does."""
    model, path = exported
    honest = TorchScorer(model, "tiny")

    class Other(TorchScorer):
        def __call__(self, waveform):
            return super().__call__(waveform * (waveform.shape[1] >= 300))

    copy = tmp_path / "copy.onnx"
    copy.write_bytes(path.read_bytes())
    check_onnx(copy, Other(model, "tiny"))
    shortest = OnnxScorer(copy, "tiny").facts.shortest_samples
    assert shortest == min(length for length in lengths(WINDOW, 256) if length >= 300)
    assert same_scores(OnnxScorer(path, "tiny"), honest, shortest)


def test_lengths_go_down_to_one_sample():
    found = lengths(1000, 160)
    assert found[0] == 1000 and found[-1] == 1 and found == sorted(set(found), reverse=True)
    assert 480 in found and 501 in found
