"""Check what this machine has: versions, GPU, libsndfile, fairseq, free disk; say what is wrong and how to fix it.

Exit code 0 when everything needed works (a missing extra is only a remark), 2 when something needed is broken.
"""

import argparse
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from rfcx_ssl.errors import RfcxError, first_line
from rfcx_ssl.program import Answer
from rfcx_ssl.threads import choose_threads, environment_threads, free_cores, measure_threads, usable_cores

REQUIRED = ("torch", "torchaudio", "transformers", "accelerate", "datasets", "numpy", "pandas", "soundfile", "soxr")
OPTIONAL = {
    "fairseq-fixed": "pretrain",
    "timm": "spectrogram",
    "sed_scores_eval": "events",
    "distributed": "cluster",
    "kagglehub": "download",
    "onnxruntime": "onnx",
    "gradio": "app",
    "zarr": "zarr",
}
MIN_PYTHON = (3, 11)
MIN_FREE_GB = 5.0
NOTABLE_GAIN = 1.3  # so much faster, another number of threads is worth a remark
# fairseq sets up logging at import and is slow: a child process keeps this one clean.
FAIRSEQ_PROBE = "import fairseq.data.data_utils_fast; from fairseq.models.wav2vec import Wav2Vec2Model"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: ``ok``, ``note`` (works, could be better) or ``broken``; ``fix`` says what to do."""

    name: str
    state: str
    detail: str
    fix: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``rfcx-ssl doctor``."""
    parser.add_argument(
        "--path", type=Path, default=Path(), help="folder whose free disk space counts (default: here)"
    )


def run(args: argparse.Namespace) -> Answer:
    """Print every finding; raise when something needed is broken."""
    findings = examine(args.path)
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        sys.stdout.write(f"{finding.state:<7}{finding.name:<{width + 2}}{finding.detail}\n")
        if finding.fix:
            sys.stdout.write(f"{'':<{9 + width}}-> {finding.fix}\n")
    broken = [finding.name for finding in findings if finding.state == "broken"]
    if broken:
        raise RfcxError(f"doctor: {', '.join(broken)} must be fixed, see above", {"findings": findings})
    return {"findings": findings}


def examine(path: Path) -> list[Finding]:
    """Every finding about this machine; ``path`` is where disk space matters."""
    findings = [_python()]
    findings += [_package(name) for name in REQUIRED]
    findings += [_package(name, extra) for name, extra in OPTIONAL.items()]
    checks: tuple[Callable[[], Finding], ...] = (_torch_pair, _libsndfile, _fairseq, _gpu, _threads)
    return findings + [check() for check in checks] + [_disk(path)]


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info < MIN_PYTHON:
        return Finding("python", "broken", version, "install Python 3.11 or newer")
    return Finding("python", "ok", f"{version} on {platform.platform()}")


def _package(name: str, extra: str | None = None) -> Finding:
    try:
        return Finding(name, "ok", metadata.version(name))
    except metadata.PackageNotFoundError:
        if extra is None:
            return Finding(name, "broken", "not installed", "pip install rfcx-ssl")
        return Finding(name, "note", "not installed", f"pip install 'rfcx-ssl[{extra}]' if you need it")


def _torch_pair() -> Finding:
    try:
        import torch
        import torchaudio
    except (ImportError, OSError) as error:
        fix = "torch and torchaudio must be the same release and build: pip install torch==2.11.0 torchaudio==2.11.0"
        return Finding("torch+torchaudio", "broken", first_line(error), fix)
    return Finding("torch+torchaudio", "ok", f"{torch.__version__} and {torchaudio.__version__} load together")


def _libsndfile() -> Finding:
    try:
        import soundfile
    except (ImportError, OSError) as error:
        return Finding("libsndfile", "broken", first_line(error), "pip install --force-reinstall soundfile")
    missing = sorted({"FLAC", "WAV", "OGG", "MP3"} - set(soundfile.available_formats()))
    if missing:
        return Finding("libsndfile", "note", f"cannot read {', '.join(missing)}", "use the soundfile wheel from PyPI")
    return Finding("libsndfile", "ok", f"{soundfile.__libsndfile_version__} reads FLAC, WAV, OGG and MP3")


def _fairseq() -> Finding:
    result = subprocess.run([sys.executable, "-c", FAIRSEQ_PROBE], capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return Finding("fairseq", "ok", "wav2vec 2.0 imports, compiled helpers present")
    reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
    fix = "pip install torch cython numpy, then pip install --no-build-isolation 'rfcx-ssl[pretrain]' (a C++ compiler is needed)"
    return Finding("fairseq", "note", f"pretraining is not possible: {reason}", fix)


def _gpu() -> Finding:
    try:
        import torch
    except (ImportError, OSError):
        return Finding("gpu", "note", "unknown, torch does not load")
    if not torch.cuda.is_available():
        return Finding("gpu", "note", "none: everything runs on the CPU", "for real corpora use a CUDA machine")
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return Finding("gpu", "ok", f"{', '.join(names)} (CUDA {torch.version.cuda})")


def _threads() -> Finding:
    """What would be used here, and a measurement of one thread against it (or all cores) as busy as the machine is now."""
    cores, chosen = usable_cores(), choose_threads()
    source = "OMP_NUM_THREADS" if environment_threads() else f"{free_cores()} of {cores} usable cores are free"
    used = f"{chosen} would be used ({source})"
    try:
        rates = measure_threads(sorted({1, chosen, cores}))
    except (ImportError, OSError):
        return Finding("threads", "note", f"{used}; not measured, torch does not load")
    measured = ", ".join(f"{count}: {rate:.0f}" for count, rate in rates.items())
    detail = f"{used}; training steps/s of a small network now, by threads: {measured}"
    best = max(rates, key=lambda count: rates[count])
    if rates[best] > NOTABLE_GAIN * rates[chosen]:
        fix = f"threads={best} (--threads {best}) if this machine stays as free as now and runs one job"
        return Finding("threads", "note", detail, fix)
    return Finding("threads", "ok", detail)


def _disk(path: Path) -> Finding:
    if not path.is_dir():
        return Finding("disk", "broken", f"{path} is not a folder", "name an existing folder with --path")
    free_gb = shutil.disk_usage(path).free / 1e9
    state = "ok" if free_gb >= MIN_FREE_GB else "note"
    fix = "" if state == "ok" else f"checkpoints and segments need room: free at least {MIN_FREE_GB:.0f} GB"
    return Finding("disk", state, f"{free_gb:.1f} GB free at {path.resolve()}", fix)
