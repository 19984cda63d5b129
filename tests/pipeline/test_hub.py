"""Publishing on a hub and loading from it, by the real client against a hub on this machine (hub_server.py)."""

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModel, Wav2Vec2FeatureExtractor


def load_module(path):
    """A file of Python that is in no package."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


hub_server = load_module(Path(__file__).with_name("hub_server.py"))
ROOT = Path(__file__).parents[2]
PUSH = """
import json, os, sys
from pathlib import Path
from rfcx_ssl.errors import HubError
from rfcx_ssl.hub.upload import push_folder
said = []
for folder, repo_id, private, tag, token in json.loads(sys.argv[1]):
    os.environ.pop("HF_TOKEN", None)
    os.environ |= {"HF_TOKEN": token} if token else {}
    try:
        said.append(push_folder(Path(folder), repo_id, private=private, tag=tag))
    except HubError as error:
        said.append(f"error: {error}")
print(json.dumps(said))
"""


@pytest.fixture
def hub():
    with hub_server.running_hub() as hub:
        yield hub


def one(folder, repo_id="USER/frogs", *, private=False, tag=None, token=hub_server.WRITE):
    """What is to be pushed."""
    return [str(folder), repo_id, private, tag, token]


@pytest.fixture
def start(hub, tmp_path):
    """``start(*pushes)``: a process that pushes them one after the other."""

    def make(*pushes):
        variables = hub_server.environment(hub, tmp_path / "home")
        command = [sys.executable, "-c", PUSH, json.dumps(pushes)]
        return subprocess.Popen(command, env=variables, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    return make


@pytest.fixture
def push(start):
    """The same to its end: the addresses, or why not."""

    def run(*pushes):
        process = start(*pushes)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        return json.loads(said)

    return run


@pytest.fixture
def folder(tmp_path):
    """A folder with two large files and some small ones."""
    folder = tmp_path / "folder"
    (folder / "training").mkdir(parents=True)
    for number, name in enumerate(("model.safetensors", "model-2.safetensors")):
        save_file({"weight": torch.full((1000,), float(number))}, folder / name)
    (folder / "config.json").write_text("{}")
    (folder / "decisions.json").write_text("{}")
    (folder / "training" / "run.json").write_text("{}")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n\n# Frogs\n")
    return folder


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_push_that_was_killed_goes_on_and_sends_nothing_twice(hub, start, push, folder):
    names = ("model.safetensors", "model-2.safetensors")
    first, second = (hub_server.File((folder / name).read_bytes(), True).sha256 for name in names)
    hub.held.add(second)
    process = start(one(folder, tag="v1"))
    try:
        assert hub.waiting.wait(120)
        while first not in hub.verified:  # both are sent at once; the test's own limit ends this
            time.sleep(0.02)
    finally:
        process.kill()
        process.communicate()
    hub.held.clear()
    assert process.returncode == -9
    assert hub.uploads == [first] and set(hub.files("USER/frogs")) == {".gitattributes"}  # no half of a model
    assert push(one(folder, tag="v1"), one(folder, tag="v1")) == [f"{hub.endpoint}/USER/frogs"] * 2
    assert sorted(hub.uploads) == sorted([first, second])  # each once, in all runs together
    there = hub.files("USER/frogs", "v1")
    assert there.pop(".gitattributes") and there == contents(folder)
    assert len(hub.repositories["USER/frogs"].messages) == 2  # one commit besides the one that made it


def test_versions_stay_as_they_are_and_nothing_old_is_left_in_new_ones(hub, push, folder, tmp_path):
    newer = shutil.copytree(folder, tmp_path / "newer")
    (newer / "decisions.json").unlink()  # thresholds of other weights must not stay beside these
    (newer / "config.json").write_text('{"a": 1}')
    push(one(folder, private=True, tag="v1"))
    frogs = hub.repositories["USER/frogs"]
    assert frogs.private
    first = hub.files("USER/frogs", "v1")
    photo = {"photo.png": hub_server.File(b"frog", False)}
    frogs.commit(frogs.commits[frogs.branches["main"]] | photo, "by hand")
    refused, done = push(one(newer, tag="v1"), one(newer, tag="v2"))
    assert "has such a tag, of another version" in refused and done.endswith("/USER/frogs")
    assert hub.files("USER/frogs", "v1") == first
    second = hub.files("USER/frogs", "v2")
    assert "decisions.json" not in second and second["photo.png"] == b"frog" and second["config.json"] == b'{"a": 1}'
    assert len(hub.uploads) == 2  # the weights did not change


def test_what_the_hub_refuses_is_said_in_a_line(hub, push, folder):
    hub.repositories["USER/public"] = hub_server.Repository(private=False)
    hub.repositories["USER/public"].commit({}, "initial commit")
    said = push(one(folder, token=None), one(folder, token=hub_server.READ), one(folder, "USER/public", private=True))
    assert all(text.startswith("error: USER/") and "\n" not in text for text in said)
    assert "not logged in" in said[0] and "`hf auth login`" in said[0]
    assert "needs the right to it on USER/frogs (HTTP 403)" in said[1]
    assert "everyone can see it" in said[2]
    assert set(hub.repositories) == {"USER/public"} and hub.uploads == []


STRANGER = """
import importlib.abc, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("rfcx_ssl", "hydra", "omegaconf", "fairseq"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
import torch
from transformers import AutoFeatureExtractor, AutoModel
model = AutoModel.from_pretrained("USER/frogs", revision="v1", trust_remote_code=True).eval()
assert type(model).__module__.startswith("transformers_modules.")
rate = AutoFeatureExtractor.from_pretrained("USER/frogs", revision="v1").sampling_rate
with torch.inference_mode():
    output = model(torch.load("waveform.pt"))
torch.save([output.frame_logits.sigmoid(), output.clip_logits.sigmoid(), rate], "out.pt")
"""

FRIEND = """
import sys, torch
from huggingface_hub import constants
from rfcx_ssl import cli
from rfcx_ssl.errors import RfcxError
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.models.wav2vec import Wav2Vec2Settings
waveform = torch.load("waveform.pt")
with torch.inference_mode():
    scores = [m.eval()(waveform).clip_logits.sigmoid() for m in (RainforestSedModel.from_pretrained("USER/frogs"), load_model("USER/frogs@v1"))]
weights = []
for name in ("USER/base", "USER/base@v1"):
    settings = Wav2Vec2Settings(encoder=name)
    encoder = settings.make_encoder(type("Config", (), settings.config_values()))
    encoder.load_pretrained()
    weights.append(encoder.backbone.feature_projection.projection.weight.detach())
said = []
for name in ("USER/frogs@v9", "USER/none", "USER/bin"):
    try:
        load_model(name)
    except RfcxError as error:
        said.append(str(error))
cli.main(["detect", "a.wav", "--model", "USER/frogs@v1", "--out", "found", "--device", "cpu", "--readers", "0"])
constants.HF_HUB_OFFLINE = True  # all of it is here now
load_model("USER/frogs@v1")
try:
    load_model("USER/other")
except RfcxError as error:
    said.append(str(error))
torch.save([scores, weights, said], "out.pt")
"""


def run_elsewhere(code, hub, folder, *, token=hub_server.READ):
    """A process in ``folder`` that knows the hub; its ``out.pt``."""
    variables = hub_server.environment(hub, folder / "cache", token) | {
        "PYTHONPATH": str(ROOT) if "rfcx_ssl import" in code else ""
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=variables,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return torch.load(folder / "out.pt", weights_only=True)


@pytest.fixture(scope="module")
def published(tmp_path_factory, tiny_model):
    """A hub with a model and an encoder, written by the programs, and what they say of a waveform."""
    place = tmp_path_factory.mktemp("published")
    model = tiny_model(16_000).eval()
    model.save_pretrained(place / "model")
    sizes = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    positions = {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
    mel = {
        "mel": {"n_fft": 256, "hop_samples": 128, "n_mels": 16, "f_max_hz": 8000.0},
        "channels": [4],
        "time_strides": [2],
        "band_strides": [2],
    }
    config = AutoConfig.for_model(
        "wav2vec2_mel", mel_extractor=mel | {"dim": 8}, sample_rate_hz=16_000, **sizes, **positions
    )
    encoder = AutoModel.from_config(config)
    encoder.save_pretrained(place / "encoder")
    Wav2Vec2FeatureExtractor(sampling_rate=16_000, do_normalize=False).save_pretrained(place / "encoder")
    for stage, source, name in (("finetune", "model", "frogs"), ("pretrain", "encoder", "base")):
        program = load_module(ROOT / stage / "push.py")
        program.main([str(place / source), "--repo-id", f"USER/{name}", "--dry-run", str(place / name)])
    waveform = 0.1 * torch.randn(2, 16_000)
    torch.save(waveform, place / "waveform.pt")
    soundfile.write(place / "a.wav", waveform[0].numpy(), 16_000)
    with torch.inference_mode():
        expected = model(waveform)
    with hub_server.running_hub() as hub:
        for name in ("frogs", "base"):
            stored = {
                path: hub_server.File(content, path.endswith(hub_server.LARGE))
                for path, content in contents(place / name).items()
            }
            repository = hub.repositories[f"USER/{name}"] = hub_server.Repository(private=name == "frogs")
            repository.tags["v1"] = repository.commit(stored, "pushed")
        pickled = {
            "config.json": hub_server.File((place / "frogs" / "config.json").read_bytes(), False),
            "pytorch_model.bin": hub_server.File(b"never loaded", True),
        }
        hub.repositories["USER/bin"] = hub_server.Repository(private=False)
        hub.repositories["USER/bin"].commit(pickled, "by hand")
        yield hub, place, expected, encoder.feature_projection.projection.weight.detach()


def test_where_the_package_is_not_the_probabilities_are_the_same(published, tmp_path):
    hub, place, expected, _ = published
    shutil.copy(place / "waveform.pt", tmp_path)
    frame, clip, rate = run_elsewhere(STRANGER, hub, tmp_path)
    assert rate == 16_000
    torch.testing.assert_close(frame, expected.frame_logits.sigmoid(), rtol=0, atol=1e-6)
    torch.testing.assert_close(clip, expected.clip_logits.sigmoid(), rtol=0, atol=1e-6)


def test_models_and_encoders_load_by_their_name_at_a_revision(published, tmp_path):
    hub, place, expected, weight = published
    for name in ("waveform.pt", "a.wav"):
        shutil.copy(place / name, tmp_path)
    scores, weights, said = run_elsewhere(FRIEND, hub, tmp_path)
    for own in scores:
        torch.testing.assert_close(own, expected.clip_logits.sigmoid(), rtol=0, atol=1e-6)
    assert len(weights) == 2 and all(torch.equal(own, weight) for own in weights)
    assert "frogs@v9: cannot be loaded (there is no such model or revision" in said[0]
    assert "USER/none: cannot be loaded (there is no such model or revision" in said[1]
    assert "USER/bin: cannot be loaded" in said[2] and "pytorch_model.bin" not in hub.downloads
    assert "USER/other: cannot be loaded (it is not complete on this machine" in said[3]
    assert (tmp_path / "found" / "events.csv").is_file()
    assert not [
        path for path in (tmp_path / "cache").rglob("*.py") if "transformers_modules" in path.parts
    ]  # no code of others
