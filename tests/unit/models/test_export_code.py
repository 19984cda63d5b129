"""A saved model runs where rfcx-ssl is not installed."""

import ast
import json
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from transformers import AutoFeatureExtractor

from rfcx_ssl.models.export_code import exported_source, needed_modules, save_with_code, write_code
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.models.wav2vec2_mel import AUTO_CLASSES, Wav2Vec2MelConfig, Wav2Vec2MelModel

NEEDED = ("torch", "transformers")  # as docs/models.md says
OPTIONS = {
    "temporal": {"kind": "transformer", "heads": 2},
    "head": {"activity": "multiply", "classify": {"kind": "prototypes"}},
}
CONFORMER = {"temporal": {"kind": "conformer", "heads": 2, "kernel_size": 3}}

STRANGER = """
import importlib.util, json, sys
assert not [name for name in ("rfcx_ssl", "hydra", "omegaconf", "fairseq") if importlib.util.find_spec(name)]
import torch
from transformers import AutoConfig, AutoModel
waveform = torch.load("waveform.pt")
for name in sys.argv[1:]:
    config = AutoConfig.from_pretrained(name, trust_remote_code=True)
    model = AutoModel.from_pretrained(name, trust_remote_code=True).eval()
    with torch.inference_mode():
        output = model(waveform)
    torch.save([output.frame_logits, output.clip_logits], name + ".pt")
    facts = [model.grid.hop_samples, config.sample_rate_hz, model.space.num_outputs]
    print(json.dumps([name, type(model).__module__, *facts]))
"""


def requirements(*names, alone=False):
    """Installed distributions by name: ``names`` and, but with ``alone``, what they need."""
    found, waiting = {}, list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in found:
            found[name] = metadata.distribution(name)
            needs = [Requirement(text) for text in found[name].requires or ()]
            waiting += (
                []
                if alone
                else [need.name for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
            )
    return found


# Runs one program after the other, each in a fork of an interpreter that has imported what all of them need.
FORKS = """
import json, os, sys
import torch
from transformers import AutoConfig, AutoModel, PreTrainedModel
for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(job["folder"])
        sys.path += job["sites"]
        sys.argv[1:] = job["words"]
        for number, name in ((1, "out.txt"), (2, "err.txt")):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        exec(job["code"], {})
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def run_stranger(tmp_path_factory):
    """``run_stranger(code, folder, *words, extra=())``: where nothing is installed but ``NEEDED`` and ``extra`` and what
    they require.
    """
    home = tmp_path_factory.mktemp("stranger")
    venv.create(home, with_pip=False)
    site = home / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    lend(site, requirements(*NEEDED))
    environment = {"HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [str(home / "bin" / "python"), "-c", FORKS]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}

    with subprocess.Popen(command, env=environment, cwd=home, **pipes) as process:

        def start(code, folder, *words, extra=()):
            sites = []
            if extra:
                sites = [str(tmp_path_factory.mktemp("extra"))]
                names = requirements(*NEEDED, *extra).keys() - requirements(*NEEDED).keys()
                lend(Path(sites[0]), requirements(*names, alone=True))
            job = {"code": code, "folder": str(folder), "sites": sites, "words": words}
            print(json.dumps(job), file=process.stdin, flush=True)
            code = int(process.stdout.readline())
            texts = ((folder / name).read_text() for name in ("out.txt", "err.txt"))
            return subprocess.CompletedProcess(words, code, *texts)

        yield start
        process.stdin.close()


def lend(site, distributions):
    """Links to installed distributions in another folder."""
    for distribution in distributions.values():
        for name in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            if not (site / name).exists():
                (site / name).symlink_to(distribution.locate_file(name))


@pytest.mark.parametrize(
    ("extra", "names"),
    [((), ("wav2vec2", "wav2vec2_mel", "panns")), (("timm",), ("timm_pcen",)), (("torchaudio",), ("panns_5x5",))],
    ids=["torch and transformers", "timm", "torchaudio"],
)
def test_an_environment_without_the_package_loads_and_runs_the_models(tiny, tmp_path, run_stranger, extra, names):
    options = OPTIONS | (CONFORMER if "torchaudio" in extra else {})
    models = {name: tiny(name, **options) for name in names}
    waveform = 0.1 * torch.randn(2, 4000)
    torch.save(waveform, tmp_path / "waveform.pt")
    for name, model in models.items():
        save_with_code(model, tmp_path / name)
    done = run_stranger(STRANGER, tmp_path, *models, extra=extra)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.strip().splitlines():
        name, module, *facts = json.loads(line)
        model = models.pop(name)
        assert module.startswith("transformers_modules.")
        assert facts == [model.grid.hop_samples, 32000, 27]
        with torch.inference_mode():
            expected = model(waveform)
        frame, clip = torch.load(tmp_path / f"{name}.pt")
        torch.testing.assert_close(frame, expected.frame_logits)
        torch.testing.assert_close(clip, expected.clip_logits)
    assert not models


ENCODER_STRANGER = """
import importlib.util
assert not importlib.util.find_spec("rfcx_ssl")
import torch
from transformers import AutoModel
model = AutoModel.from_pretrained("encoder", trust_remote_code=True).eval()
with torch.inference_mode():
    torch.save(model(torch.load("waveform.pt")).last_hidden_state, "out.pt")
"""


def test_a_log_mel_encoder_directory_runs_without_the_package(tmp_path, run_stranger):
    extractor = {"mel": {"n_fft": 512, "n_mels": 16}, "channels": [4], "time_strides": [2], "band_strides": [2]}
    sizes = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    positions = {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
    model = Wav2Vec2MelModel(Wav2Vec2MelConfig(extractor, **sizes, **positions)).eval()
    model.save_pretrained(tmp_path / "encoder")
    write_code(tmp_path / "encoder", AUTO_CLASSES)
    waveform = 0.1 * torch.randn(2, 8000)
    torch.save(waveform, tmp_path / "waveform.pt")
    done = run_stranger(ENCODER_STRANGER, tmp_path)
    assert done.returncode == 0, done.stderr
    with torch.inference_mode():
        torch.testing.assert_close(torch.load(tmp_path / "out.pt"), model(waveform).last_hidden_state)


def test_a_layer_of_another_package_says_which_one_is_missing(tiny, tmp_path, run_stranger):
    torch.save(torch.zeros(1, 4000), tmp_path / "waveform.pt")
    save_with_code(tiny("panns", **CONFORMER), tmp_path / "panns")
    done = run_stranger(STRANGER, tmp_path, "panns")
    assert done.returncode != 0
    assert done.stderr.strip().endswith("(No module named 'torchaudio'); pip install torchaudio")


def test_the_feature_extractor_knows_rate_and_normalization(tiny, tmp_path):
    save_with_code(tiny("wav2vec2"), tmp_path)
    extractor = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert (extractor.sampling_rate, extractor.do_normalize) == (32000, False)
    with pytest.raises(ValueError, match="16000"):
        extractor([0.0] * 100, sampling_rate=16000)


def test_the_exported_code_is_closed():
    modules = needed_modules("rfcx_ssl.models.modeling")
    assert "rfcx_ssl.models.panns" in modules and "rfcx_ssl.config" not in modules
    assert all(
        module.startswith(("rfcx_ssl.models.", "rfcx_ssl.species.")) or module.count(".") == 1 for module in modules
    )
    names = [module.rsplit(".", 1)[1] for module in modules]
    assert len(set(names)) == len(names)
    for module in modules:
        assert "import rfcx_ssl" not in exported_source(module)
        assert "from rfcx_ssl" not in exported_source(module)


def test_the_exported_code_imports_torch_transformers_and_the_standard_library_only():
    packages, asked, importers = set(), set(), set()
    for module in {
        name for kind in (RainforestSedModel, Wav2Vec2MelModel) for name in needed_modules(kind.__module__)
    }:
        for node in ast.walk(ast.parse(exported_source(module))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "require_extra":
                asked.add(ast.literal_eval(node.args[0]).split(".")[0])
            if getattr(node, "attr", "") == "import_module" or getattr(node, "id", "") in (
                "__import__",
                "exec",
                "eval",
            ):
                importers.add(module)
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            packages |= {name.split(".")[0] for name in names}
    assert packages - sys.stdlib_module_names == {"torch", "transformers"}
    assert asked == {"timm", "torchaudio"}  # by layers of theirs, where a model has some
    assert importers == {
        "rfcx_ssl.errors",
        "rfcx_ssl.settings",
    }  # require_extra itself, and pydantic where it reads settings
