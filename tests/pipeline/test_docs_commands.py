"""Every command block of README.md, docs/ and the stages' READMEs is run, or read up to where the work begins, or marked.

A fenced block of shell or Python is executed here, each in a folder of its own with a small forest, a manifest folder and
a model under the names that the docs use. Programs that would work long are stopped where their work begins (``BEGINS``):
then their words, their settings and what they look up first were right. A block that can do neither carries
``<!-- not run: reason -->`` on the line before its fence. Commands in README.md's table and in the programs' docstrings
are read in the same way.
"""

import ast
import contextlib
import importlib.util
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import datasets
import numpy as np
import pytest
import soundfile
import torch

from rfcx_ssl import cli
from rfcx_ssl.config import check_settings, load_settings
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.settings import ModelSettings
from rfcx_ssl.program import run_program
from rfcx_ssl.species import label_space, rfcx_species
from rfcx_ssl.synth.forest import generate
from rfcx_ssl.synth.settings import SynthSettings

ROOT = Path(__file__).parents[2]
STAGES = ("manifests", "pretrain", "finetune")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *(ROOT / stage / "README.md" for stage in STAGES)]
PROGRAMS = sorted(path for room in (*STAGES, "rfcx_ssl/commands") for path in (ROOT / room).glob("*.py"))
BEGINS = {  # what a program calls when it has read all its words
    "finetune/train.py": "rfcx_ssl.training.train.train",
    "finetune/launch.py": "rfcx_ssl.training.processes.launch_command",
    "finetune/crossval.py": "rfcx_ssl.training.launch.Launcher.run_all",
    "finetune/sweep.py": "rfcx_ssl.training.launch.Launcher.run_all",
    "finetune/distill.py": "rfcx_ssl.selftraining.distillation.distill.distill",
    "finetune/pseudo_label.py": "rfcx_ssl.selftraining.label.label_recordings",
    "finetune/push.py": "rfcx_ssl.hub.facts.find_model_facts",
    "pretrain/push.py": "rfcx_ssl.hub.facts.find_encoder_facts",
    "finetune/self_train.py": "rfcx_ssl.selftraining.rounds.self_train",
    "finetune/compare.py": "rfcx_ssl.report.compare.compare",
    "pretrain/run.py": "rfcx_ssl.pretraining.run.engine_command",
    "pretrain/convert.py": "rfcx_ssl.pretraining.export.export_encoder",
    "pretrain/probe.py": "rfcx_ssl.probing.probe.probe",
    "pretrain/export_fairseq.py": "rfcx_ssl.pretraining.export_fairseq.export_fairseq",
    "manifests/from_hub.py": "rfcx_ssl.manifest.hub_source.build_from_hub",
    "manifests/to_hub.py": "rfcx_ssl.manifest.hub_export.export_folder",
    "rfcx-ssl synth": "rfcx_ssl.synth.forest.generate rfcx_ssl.pictures.song_types.contact_sheet",
    "rfcx-ssl download": "rfcx_ssl.commands.download.fetch_archive",
    "rfcx-ssl preview-augment": "rfcx_ssl.pictures.preview.write_preview",
    "rfcx-ssl background-pool": "rfcx_ssl.commands.background_pool.write_pool",
    "rfcx-ssl review": "rfcx_ssl.review.review.review rfcx_ssl.review.answers.read_review",
    "rfcx-ssl app": "rfcx_ssl.app.serve.serve_request",
    "rfcx-ssl embed": "rfcx_ssl.inference.embedder.open_embedder",
    "rfcx-ssl submit": "rfcx_ssl.detection.submit.heard",
    "rfcx-ssl evaluate": "rfcx_ssl.report.evaluation.hear_all",
    "rfcx-ssl report": "rfcx_ssl.report.runs.report.hear_all",
    "rfcx-ssl tune": "rfcx_ssl.report.tuning.hear_all rfcx_ssl.report.tuning.out_of_fold",
    "rfcx-ssl doctor": "rfcx_ssl.commands.doctor.examine",
}
RUN = (
    "rfcx-ssl init",
    "manifests/build.py",
    "manifests/validate.py",
    "rfcx-ssl detect",
    "rfcx-ssl labels",
    "rfcx-ssl export",
    "rfcx-ssl completion",
)
ON_THIS_MACHINE = {  # a config for GPUs refuses a machine without one
    "pretrain/run.py": ("common.cpu=true", "common.bf16=false", "distributed_training.distributed_world_size=1"),
}


class Begun(Exception):
    """A program has come to its work."""


class Block(NamedTuple):
    where: str
    language: str
    text: str
    mark: str


def blocks(page):
    """Fenced blocks of a page, with the mark on the line before."""
    lines = page.read_text(encoding="utf-8").splitlines()
    inside = start = None
    for number, line in enumerate(lines):
        fence = re.match(r"\s*```(\w*)", line)
        if fence and inside is None:
            inside, start = fence[1], number
        elif fence:
            mark = re.match(r"\s*<!-- not run: (.+) -->", lines[start - 1] if start else "")
            text = "\n".join(lines[start + 1 : number])
            yield Block(f"{page.relative_to(ROOT)}:{start + 1}", inside, text, mark[1] if mark else "")
            inside = None


def commands(text):
    """Words of each command of a shell block; ``...`` stands for more of the same."""
    for line in text.replace("\\\n", " ").splitlines():
        words = [word.removesuffix("...") for word in shlex.split(line, comments=True)]
        if words := [word for word in words if word]:
            yield words


def table_commands(page):
    """Commands in the tables of a page."""
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    spans = [span for row in rows for span in re.findall(r"`([^`]+)`", row)]
    return [span for span in spans if re.match(r"(python \w+/|rfcx-ssl \S+ \S)", span)]


def docstring_commands(path):
    """Commands that a program's help shows, with the lines that go on."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if re.match(r"\s+(python|rfcx-ssl) ", line)]


OWN = ROOT / "docs" / "own-recordings.md"  # one command after the other by test_own_recordings.py
BLOCKS = [block for page in PAGES if page != OWN for block in blocks(page)]
SHELL = [block for block in BLOCKS if block.language in ("", "sh", "bash") and not block.mark]
PYTHON = [block for block in BLOCKS if block.language == "python" and not block.mark]
SHOWN = [(path.relative_to(ROOT), text) for path in PROGRAMS for text in docstring_commands(path) if "[" not in text]
SHOWN += [(Path("README.md"), text) for text in table_commands(ROOT / "README.md")]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, own_recordings):
    """A small forest, recordings of noise, one's own recordings and a model with random weights."""
    folder = tmp_path_factory.mktemp("shelf")
    own_recordings(folder / "own", count=8)
    audio = [{"path": str(path), "bytes": None} for path in sorted((folder / "own").rglob("*.wav"))]
    events = [[{"start_s": 1.0, "end_s": 2.0, "label": "owl"}] for _ in audio]
    rows = datasets.Dataset.from_dict({"audio": audio, "events": events})
    rows.cast_column("audio", datasets.Audio(decode=False)).save_to_disk(str(folder / "dataset"))
    settings = load_settings(SynthSettings, "synth", "tiny", ["train_recordings=12", "test_recordings=8"])
    generate(folder / "forest", settings, workers=1, progress=False)
    rng = np.random.default_rng(0)
    for i in range(32):
        path = folder / ("audio", "audio", "site1", "site2")[i // 8] / f"rec{i:02d}.flac"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, rng.uniform(-0.1, 0.1, 48_000), 32_000)
    panns = {
        "kind": "panns",
        "channels": [4],
        "time_pools": [2],
        "freq_pools": [2],
        "embedding_dim": 8,
        "window_s": 1.0,
    }
    mel = {"n_fft": 256, "hop_samples": 128, "n_mels": 16}
    torch.manual_seed(0)
    model = build_model(check_settings(ModelSettings, panns | {"mel": mel}, "tiny"), label_space(rfcx_species()))
    model.save_pretrained(folder / "model")
    for kind in ((), ("--virtual",)):
        call(
            ROOT / "manifests" / "build.py",
            str(folder / "audio"),
            "--out",
            str(folder / "".join(("made", *kind))),
            *kind,
        )
    return folder


@pytest.fixture
def place(shelf, tmp_path, monkeypatch):
    """A working folder in which the docs' names mean something."""
    names = {
        "forest": ("ROOT", "RFCX", "FOREST", "data/rfcx", "data/tutorial"),
        "audio": ("AUDIO_DIR", "media/card1", "media/card2", "card"),
        "dataset": ("FOLDER_OR_HUB_ID",),
        "site1": ("data/site1",),
        "site2": ("data/site2",),
        "audio/rec00.flac": ("recording.flac", "some.flac", "FILES"),
        "model": (
            "USER/NAME",
            "RUN/model",
            "runs/demo/all_pretrained/model",
            "runs/cnn/model",
            "runs/w2v-f0/model",
            "runs/first/model",
        ),
    }
    for thing, places in names.items():
        for name in places:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).symlink_to(shelf / thing)
    shutil.copytree(shelf / "own", tmp_path / "my_recordings")  # commands write into it
    shutil.copytree(shelf / "made", tmp_path / "data" / "manifests")  # a build goes on in it
    shutil.copytree(shelf / "made--virtual", tmp_path / "data" / "virtual")
    (tmp_path / "continued" / "base").mkdir(parents=True)
    shutil.copy(ROOT / "configs/pretrain/wav2vec2_base_32k.yaml", tmp_path / "continued/base/continue.yaml")
    (tmp_path / "runs.txt").write_text("optim.head_lr=1e-3\nloss=focal\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(path, *words):
    """Run a program of a stage folder in this process."""
    spec = importlib.util.spec_from_file_location(f"program_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if hasattr(module, "choose_workers"):
        module.choose_workers = lambda asked: asked or 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(path), *words])
        run_program(module.main)


def read(words):
    """Run a command of ours, or stop it where its work begins."""
    name = " ".join(words[:2]) if words[0] == "rfcx-ssl" else words[1]
    words = [re.sub(r"(^|=)/(?=\w)", r"\1", word).replace("$PWD", str(Path.cwd())) for word in words[2:]]
    words += ON_THIS_MACHINE.get(name, ())

    def begin(*args, **_kwargs):
        launched = vars(args[0]).get("training_script_args", ()) if name == "finetune/launch.py" else ()
        if launched and "model=" not in launched:  # written out, not as model=...
            read(["python", args[0].training_script, *launched])
        raise Begun

    with pytest.MonkeyPatch.context() as patch:
        if name not in RUN:
            assert name in BEGINS, f"{name} is new: say where its work begins, or that it is quick enough to run"
            for target in BEGINS[name].split():
                patch.setattr(target, begin)
        words += ["--json"] if name in RUN else []
        shown = io.StringIO()
        try:
            with contextlib.redirect_stdout(shown):
                if name.startswith("rfcx-ssl"):
                    cli.main([name.split()[1], *words])
                else:
                    call(ROOT / name, *words)
        except Begun:
            return
        except SystemExit as end:
            assert not end.code, f"{name} {shlex.join(words)}: exit code {end.code}"
    assert name in RUN, f"{name} ended before {BEGINS[name]}"
    assert json.loads(shown.getvalue()), f"{name}: what --json prints is one object that says something"


def check(words):
    """One command of a block: ours is read, make says what it would do, of others only the program must be there."""
    while "=" in words[0]:  # NAME=value before a command
        words = words[1:]
    if words[:2] == ["accelerate", "launch"]:
        words = ["python", "finetune/launch.py", *words[2:]]
    if words[0] == "make":
        subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, check=True)
    elif words[0] == "rfcx-ssl" or (words[:1] == ["python"] and words[1].split("/")[0] in STAGES):
        read(words)
    elif words[0] == "python":
        assert (ROOT / words[1]).is_file()
    elif words[0] == "tensorboard":
        assert Path(sys.executable).with_name(words[0]).is_file()
    else:
        pytest.fail(f"{shlex.join(words)}: teach this test what to do with it, or mark the block as not run")


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.where)
@pytest.mark.usefixtures("place")
def test_shell_blocks(block):
    for words in commands(block.text):
        check(words)


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: f"{shown[0]}: {shown[1][:60]}")
@pytest.mark.usefixtures("place")
def test_commands_in_help_and_in_the_table(shown):
    for words in commands(shown[1]):
        check(words)


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.where)
@pytest.mark.usefixtures("place")
def test_python_blocks(block):
    exec(compile(block.text, block.where, "exec"), {"waveform": torch.zeros(64_000)})


def test_every_block_is_of_a_known_kind():
    assert {block.language for block in BLOCKS} <= {"", "sh", "bash", "python"}
    assert all(len(block.mark) > 10 for block in BLOCKS if block.mark)
