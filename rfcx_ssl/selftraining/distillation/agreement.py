"""How far a student agrees with its teachers on recordings that it did not learn from. It says nothing of who is right."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from rfcx_ssl.errors import ConfigError, did_you_mean
from rfcx_ssl.files import write_csv
from rfcx_ssl.models.outputs import merge_outputs
from rfcx_ssl.pictures.validation import draw_scores
from rfcx_ssl.selftraining.distillation.recordings import Ears, Heard, Unlabelled
from rfcx_ssl.selftraining.distillation.teachers import Taught, Teachers
from rfcx_ssl.training.judge import Processes, over_processes
from rfcx_ssl.training.scores import is_undefined

CROPS = 12  # of a recording that are judged, spread evenly
SHUFFLES = 20
FloatArray = NDArray[np.float64]


class Compared(NamedTuple):
    """Sums over frames for each recording and species (R, S), and embeddings of all crops (n, D) and (n, E)."""

    frames: FloatArray
    target: FloatArray  # of the teachers' probabilities p
    squared_target: FloatArray
    entropy: FloatArray  # of p
    cross_entropy: FloatArray  # of the student's probabilities under p
    squared_error: FloatArray
    ours: FloatArray
    theirs: FloatArray


class Agreement:
    """A judge of students (:class:`~rfcx_ssl.training.judge.Judge`): held-out recordings, heard in crops as in training.

    ``agreement`` is the share of what the teachers say beyond a constant that the student says, too: ``1 - KL(teacher || student) /
    KL(teacher || constant)`` over all frames and taught species, where the constant is each species' mean over these very recordings.
    1 is the same, 0 no better than the constant. ``cka`` compares embeddings without any projection: linear centered kernel alignment
    (Kornblith et al. 2019, arXiv:1905.00414, equation 4), beside its mean over crops that are paired at random.
    """

    def __init__(self, recordings: Sequence[Unlabelled], teachers: Teachers, ears: Ears) -> None:
        self.recordings, self.teachers, self.ears = recordings, teachers, ears

    @property
    def num_recordings(self) -> int:
        """How many are held out."""
        return len(self.recordings)

    def first(self, count: int | None) -> "Agreement":
        """The same with at most ``count`` recordings, spread evenly over all."""
        if count is None or count >= len(self.recordings):
            return self
        rows = np.linspace(0, len(self.recordings) - 1, count).round().astype(int)
        return Agreement([self.recordings[row] for row in rows], self.teachers, self.ears)

    def summary(self) -> str:
        """In a line, what is compared."""
        return f"{len(self.recordings)} held-out recordings: agreement with the teachers, which is not accuracy"

    def select_metric(self, wanted: str) -> str | None:
        """The metric that chooses the best weights: ``agreement``, or ``cka`` where no species is taught.

        Raises:
            ConfigError: ``wanted`` is none of them.
        """
        known = ["agreement"] if self.teachers.known.any() else []
        known += ["cka"] if any(self.teachers.embedding_dims) else []
        if wanted == "auto":
            return known[0] if known else None
        if wanted not in known:
            raise ConfigError(
                f"evaluation.select_metric={wanted}: must be {', '.join([*known, 'auto'])}{did_you_mean(wanted, known)}"
            )
        return wanted

    def score(self, model: nn.Module, accelerator: Processes) -> Compared:
        """Compare ``model`` with the teachers; each process takes its share of the recordings, and all get all."""
        device = accelerator.device

        def score(mine: Sequence[int]) -> Iterator[tuple[int, tuple[FloatArray, ...]]]:
            return ((number, self._compare(model, self.recordings[number], device)) for number in mine)

        numbers = range(len(self.recordings))
        by_number = over_processes(model, accelerator, numbers, score)
        parts = [by_number[number] for number in numbers]
        sums = [np.stack([part[field] for part in parts]) for field in range(6)]
        return Compared(*sums, *(np.concatenate([part[field] for part in parts]) for field in (6, 7)))

    def metrics(self, scores: Compared) -> dict[str, float]:
        """``agreement``, also of each species, its parts, and ``cka``; NaN where teachers say nothing or always the same."""
        taught = self.teachers.known.numpy()
        sums = [part.sum(axis=0) for part in scores[:6]]
        kl, floor, mse, mse_floor = _per_species(*sums)
        values = {
            "agreement": _share(kl[taught].sum(), floor[taught].sum()),
            "kl": _mean(kl, sums[0], taught),
            "kl_constant_floor": _mean(floor, sums[0], taught),
            "mse": _mean(mse, sums[0], taught),
            "mse_constant_floor": _mean(mse_floor, sums[0], taught),
            "cka": linear_cka(scores.ours, scores.theirs),
            "cka_shuffled_floor": shuffled_cka(scores.ours, scores.theirs),
        }
        names = self.teachers.species.names
        shares = [_share(kl[s], floor[s]) if taught[s] else math.nan for s in range(len(names))]
        return values | {f"agreement/{name}": share for name, share in zip(names, shares, strict=True)}

    def headline(self, metrics: Mapping[str, float | None], selected: str | None) -> str:
        """Agreement and CKA beside their floors, in words."""
        shown = [
            f"agreement with the teachers {metrics['agreement']:.4f} (constant 0)"
            if _is_there(metrics, "agreement")
            else "",
            f"cka {metrics['cka']:.4f} (shuffled {metrics['cka_shuffled_floor']:.4f})"
            if _is_there(metrics, "cka")
            else "",
        ]
        return ", ".join(filter(None, shown)) or "nothing can be compared"

    def draw(self, folder: Path, step: int, model: nn.Module, count: int) -> list[Path]:
        """Draw the first crop of ``count`` recordings: what the teachers say in the place of labels, below it the student."""
        if count == 0:
            return []
        target = folder / f"step_{step:07d}"
        target.mkdir(exist_ok=True)
        was_training = model.training
        model.eval()
        paths, grid = [], self.teachers.grid
        for recording in self.first(count).recordings:
            heard = self._crops(recording, 1)
            taught = self._taught(heard)
            frame, clip, _ = self._student(model, heard, next(model.parameters()).device)
            paths.append(target / f"{recording.name.replace('/', '_')}.png")
            known = np.broadcast_to(self.teachers.known.numpy().astype(np.float32), taught.frame[0].shape)
            scores = (frame[0].sigmoid().numpy(), clip[0].sigmoid().numpy(), grid.frame_s)
            shown = (heard.waveform[0].numpy(), grid.sample_rate_hz, taught.frame[0].numpy(), known)
            draw_scores(paths[-1], *shown, *scores, self.teachers.species.names)
        model.train(was_training)
        return paths

    def write(self, folder: Path, scores: Compared, fold: int | None, seed: int) -> None:
        """``agreement.csv``: a row per taught species."""
        sums = [part.sum(axis=0) for part in scores[:6]]
        kl, floor, mse, mse_floor = _per_species(*sums)
        rows = [
            [
                name,
                *(
                    f"{value:.6g}"
                    for value in (
                        _share(kl[s], floor[s]),
                        kl[s] / n,
                        floor[s] / n,
                        mse[s] / n,
                        mse_floor[s] / n,
                        mean / n,
                    )
                ),
            ]
            for s, (name, n, mean) in enumerate(zip(self.teachers.species.names, sums[0], sums[1], strict=True))
            if self.teachers.known[s]
        ]
        columns = ["species", "agreement", "kl", "kl_constant_floor", "mse", "mse_constant_floor", "mean_probability"]
        write_csv(folder / "agreement.csv", columns, rows)

    def _compare(self, model: nn.Module, recording: Unlabelled, device: torch.device) -> tuple[FloatArray, ...]:
        heard = self._crops(recording, CROPS)
        taught = self._taught(heard)
        logits, _, embedding = self._student(model, heard, device)
        p, z = taught.frame.double(), logits.double()
        log_p, log_not_p = p.clamp(min=1e-12).log(), (1 - p).clamp(min=1e-12).log()
        cells = (
            torch.ones_like(p),
            p,
            p.square(),
            -(p * log_p + (1 - p) * log_not_p),
            F.softplus(z) - p * z,
            (z.sigmoid() - p).square(),
        )
        sums = [cell.sum(dim=(0, 1)).numpy() for cell in cells]
        return (*sums, embedding.double().numpy(), taught.embedding.double().numpy())

    def _crops(self, recording: Unlabelled, most: int) -> Heard:
        """At most ``most`` whole crops of a recording, spread evenly; a short recording is one."""
        length = self.ears.lengths[0]
        count = max(1, recording.num_samples // length)
        chosen = np.linspace(0, count - 1, min(most, count)).round().astype(int)
        read = [self.ears.read(recording.path, int(number) * length) for number in chosen]
        others = [torch.cat([*rest, torch.zeros(0)]) for _, *rest in read]
        return Heard(torch.stack([first for first, *_ in read]), torch.stack(others), torch.from_numpy(chosen))

    def _taught(self, heard: Heard) -> Taught:
        return self.teachers.hear(self.ears.by_rate(heard), self.teachers.grid.num_frames(heard.waveform.shape[1]))

    @torch.inference_mode()
    def _student(self, model: Any, heard: Heard, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        """Logits of frames (B, T, S) and crops (B, S) and embeddings (B, D), on the CPU."""
        output = model(heard.waveform.to(device))
        frame, clip = (
            merge_outputs(part.float(), model.space).cpu() for part in (output.frame_logits, output.clip_logits)
        )
        return frame, clip, output.embedding.float().cpu()


def linear_cka(ours: FloatArray, theirs: FloatArray) -> float:
    """Similarity in [0, 1] of two sets of features (n, D) and (n, E) of the same n crops; NaN where there is nothing to compare."""
    if len(ours) < 3 or not theirs.shape[1]:
        return math.nan
    x, y = ours - ours.mean(axis=0), theirs - theirs.mean(axis=0)
    scale = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.linalg.norm(y.T @ x) ** 2 / scale) if scale > 0 else math.nan


def shuffled_cka(ours: FloatArray, theirs: FloatArray) -> float:
    """What :func:`linear_cka` gives for crops paired at random."""
    rng = np.random.default_rng(0)
    return float(np.mean([linear_cka(ours, theirs[rng.permutation(len(theirs))]) for _ in range(SHUFFLES)]))


def _per_species(*sums: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """KL divergence and squared error of the student and of the best constant, summed over frames (S,)."""
    frames, target, squared, entropy, cross_entropy, error = sums
    mean = target / frames
    constant = -(target * np.log(mean.clip(1e-12)) + (frames - target) * np.log((1 - mean).clip(1e-12)))
    return cross_entropy - entropy, constant - entropy, error, squared - frames * mean**2


def _share(kl: float, floor: float) -> float:
    return float(1 - kl / floor) if floor > 1e-9 else math.nan


def _mean(values: FloatArray, frames: FloatArray, taught: NDArray[np.bool_]) -> float:
    return float(values[taught].sum() / frames[taught].sum()) if taught.any() else math.nan


def _is_there(metrics: Mapping[str, float | None], name: str) -> bool:
    return not is_undefined(metrics.get(name))
