"""A saved model runs where rfcx-ssl is not installed."""

import json
import subprocess
import sys
import venv
from importlib import metadata

import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from transformers import AutoFeatureExtractor

from rfcx_ssl.models.export_code import exported_source, needed_modules, save_with_code

NEEDED = ("torch", "torchaudio", "transformers", "timm")  # as docs/models.md says

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


def requirements(*names):
    """Installed distributions that ``names`` need, themselves included."""
    found, waiting = {}, list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in found:
            found[name] = metadata.distribution(name)
            needs = [Requirement(text) for text in found[name].requires or ()]
            waiting += [need.name for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
    return found.values()


@pytest.fixture(scope="module")
def clean_python(tmp_path_factory):
    """The interpreter of a new environment that holds ``NEEDED`` and what they require, and nothing else."""
    home = tmp_path_factory.mktemp("stranger")
    venv.create(home, with_pip=False)
    site = home / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for distribution in requirements(*NEEDED):
        for name in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            if not (site / name).exists():
                (site / name).symlink_to(distribution.locate_file(name))
    return home / "bin" / "python"


def test_an_environment_without_the_package_loads_and_runs_the_models(tiny, tmp_path, clean_python):
    options = {"temporal": {"kind": "conformer", "heads": 2, "kernel_size": 3}, "head": {"activity": "multiply"}}
    models = {name: tiny(name, **options) for name in ("wav2vec2", "panns", "timm_pcen")}
    waveform = 0.1 * torch.randn(2, 4000)
    torch.save(waveform, tmp_path / "waveform.pt")
    for name, model in models.items():
        save_with_code(model, tmp_path / name)
    environment = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [str(clean_python), "-c", STRANGER, *models]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
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


def test_the_feature_extractor_knows_rate_and_normalisation(tiny, tmp_path):
    save_with_code(tiny("wav2vec2"), tmp_path)
    extractor = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert (extractor.sampling_rate, extractor.do_normalize) == (32000, False)
    with pytest.raises(ValueError, match="16000"):
        extractor([0.0] * 100, sampling_rate=16000)


def test_the_exported_code_is_closed():
    modules = needed_modules("rfcx_ssl.models.modeling")
    assert "rfcx_ssl.models.panns" in modules and "rfcx_ssl.config" not in modules
    names = [module.rsplit(".", 1)[1] for module in modules]
    assert len(set(names)) == len(names)
    for module in modules:
        assert "import rfcx_ssl" not in exported_source(module)
        assert "from rfcx_ssl" not in exported_source(module)
