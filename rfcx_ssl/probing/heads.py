"""Small heads on cached features, in float32, trained on the known cells of frames."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from rfcx_ssl.data.budget import order
from rfcx_ssl.metrics import columns_with_both, partial_precision
from rfcx_ssl.models.classifier import Prototypes
from rfcx_ssl.models.wav2vec import LayerMix
from rfcx_ssl.probing.features import Features, Frames, Rows

LEARNING_RATE = 1e-2
BATCH_FRAMES = 512
MAX_STEPS, EVERY_STEPS, PATIENCE = 800, 20, 8  # give up after so many looks without a higher average precision
INNER_SHARE = 0.2  # of the training recordings: they choose the number of steps
INNER_FEWEST = 10  # recordings that can choose
FEW_STEPS = 200  # where there are fewer


class Head(nn.Module, ABC):
    """Features of n frames -> logits (n, H, K) of H readings of them, each trained as if it were alone."""

    @abstractmethod
    def read(self, features: Features, rows: Rows) -> tuple[Tensor, ...]:
        """What :meth:`forward` takes."""


class MixedPrototypes(Head):
    """The primary head: layer-normalized states, mixed by softmax weights, and prototypes on the mixture.

    Each dimension of the mixture is standardized over frames without learned scale, as linear probes of masked
    autoencoders are (He et al. 2022, arXiv:2111.06377, A.1): no encoder wins by the scale of its features.
    """

    def __init__(self, features: Features, prior: Tensor) -> None:
        super().__init__()
        one = features.states(np.zeros(1, np.int64))
        self.mix = LayerMix(one.shape[1])
        self.standardize = nn.BatchNorm1d(one.shape[2], affine=False)
        self.classify = Prototypes(one.shape[2], len(prior), per_output=4, initial_probability=0.5)
        with torch.no_grad():
            self.classify.bias.copy_(prior.logit())

    def read(self, features: Features, rows: Rows) -> tuple[Tensor, ...]:
        """All states (n, L, D)."""
        return (features.states(rows),)

    def embed(self, states: Tensor) -> Tensor:
        """(n, L, D) -> the mixture (n, D) that prototypes are compared with."""
        mixed: Tensor = self.mix(tuple(states.transpose(0, 1)[:, None]))[0]
        return self.standardize(mixed)  # type: ignore[no-any-return]

    def forward(self, states: Tensor) -> Tensor:
        """One reading."""
        logits: Tensor = self.classify(self.embed(states)[None])[0]
        return logits[:, None]


class LinearPerLayer(Head):
    """The secondary heads: a linear one for the convolutions' output and one for each state."""

    def __init__(self, features: Features, prior: Tensor) -> None:
        super().__init__()
        inputs = self.read(features, np.zeros(1, np.int64))
        self.heads = nn.ModuleList()
        for one in inputs:
            linear = nn.Linear(one.shape[1], len(prior))
            with torch.no_grad():
                linear.bias.copy_(prior.logit())
            norm = nn.LayerNorm(one.shape[1], elementwise_affine=False)
            self.heads.append(nn.Sequential(norm, nn.BatchNorm1d(one.shape[1], affine=False), linear))

    def read(self, features: Features, rows: Rows) -> tuple[Tensor, ...]:
        """The convolutions' output (n, C), where there is one, and each state (n, D)."""
        extracted = (features.extractor(rows),) if features.extractor_dim else ()
        return (*extracted, *features.states(rows).unbind(dim=1))

    def forward(self, *inputs: Tensor) -> Tensor:
        """One reading per input."""
        return torch.stack([head(one) for head, one in zip(self.heads, inputs, strict=True)], dim=1)


MakeHead = Callable[[Features, Tensor], Head]


@dataclass(frozen=True)
class Fitted:
    """A trained head and the number of steps that was chosen for it."""

    head: Head
    steps: int

    def predict(self, features: Features, rows: Rows) -> NDArray[np.float32]:
        """Logits (H, n, K)."""
        return predict(self.head, features, rows).transpose(0, 1).numpy()


def fit(
    make: MakeHead, features: Features, frames: Frames, rows: Rows, *, seed: int, steps: int | None = None
) -> Fitted:
    """Train a head on ``rows``: ``steps`` long, or as long as :func:`choose_steps` says."""
    chosen = choose_steps(make, features, frames, rows, seed) if steps is None else steps
    with torch.random.fork_rng(devices=[]):
        head = _Training(make, features, frames, rows, seed)
        head.run(chosen)
    return Fitted(head.head.eval(), chosen)


def choose_steps(make: MakeHead, features: Features, frames: Frames, rows: Rows, seed: int) -> int:
    """Steps at which a fifth of the recordings, not trained on for this, have the highest macro average precision.

    Their loss would not do: it rises long before the order of frames, which is what is scored, is as good as it gets.
    """
    names = sorted({frames.recording_ids[i] for i in frames.recording[rows]}, key=lambda name: order(name, seed))
    inner = np.intersect1d(rows, frames.of(names[: round(INNER_SHARE * len(names))]))
    outer = np.setdiff1d(rows, inner)
    truth, known = frames.target[inner] > 0, frames.known[inner] > 0
    if len(np.unique(frames.recording[inner])) < INNER_FEWEST or not columns_with_both(truth, known).any():
        return FEW_STEPS
    best_ap, best_step = 0.0, EVERY_STEPS
    with torch.random.fork_rng(devices=[]):
        training = _Training(make, features, frames, outer, seed)
        for step in range(EVERY_STEPS, MAX_STEPS + 1, EVERY_STEPS):
            training.run(EVERY_STEPS)
            readings = predict(training.head, features, inner).unbind(dim=1)
            ap = float(np.mean([partial_precision(truth, reading, known).macro for reading in readings]))
            if ap > best_ap:
                best_ap, best_step = ap, step
            elif step - best_step >= PATIENCE * EVERY_STEPS:
                break
    return best_step


def predict(head: Head, features: Features, rows: Rows) -> Tensor:
    """Logits (n, H, K), in parts that fit into memory."""
    was_training = head.training
    head.eval()
    with torch.inference_mode():
        parts = [head(*head.read(features, part)) for part in np.array_split(rows, -(-len(rows) // 2048) or 1)]
    head.train(was_training)
    return torch.cat(parts)


def masked_loss(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy over known cells, mean by weight and over readings; logits (n, H, K), labels (n, K)."""
    loss = F.binary_cross_entropy_with_logits(logits, target[:, None].expand_as(logits), reduction="none")
    return (loss * known[:, None]).sum() / (known.sum() * logits.shape[1]).clamp(min=1e-6)


def prior_of(frames: Frames, rows: Rows) -> Tensor:
    """(K,) share of present cells among the known ones of each output, drawn a little to one half."""
    target, known = _labels(frames, rows)
    return ((target * known).sum(0) + 0.5) / (known.sum(0) + 1)


class _Training:
    """A new head and its optimizer; :meth:`run` goes on with both. The caller forks the global generator."""

    def __init__(self, make: MakeHead, features: Features, frames: Frames, rows: Rows, seed: int) -> None:
        torch.manual_seed(seed)
        self.features, self.frames, self.rows = features, frames, rows
        self.head = make(features, prior_of(frames, rows))
        self.optimizer = torch.optim.Adam(self.head.parameters(), lr=LEARNING_RATE)
        self.rng = np.random.default_rng(seed)

    def run(self, steps: int) -> None:
        self.head.train()
        for _ in range(steps):
            rows = self.rows
            if len(rows) > BATCH_FRAMES:
                rows = np.sort(rows[self.rng.integers(len(rows), size=BATCH_FRAMES)])
            logits = self.head(*self.head.read(self.features, rows))
            loss = masked_loss(logits, *_labels(self.frames, rows)) * logits.shape[1]
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


def _labels(frames: Frames, rows: Rows) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(frames.target[rows]), torch.from_numpy(frames.known[rows])
