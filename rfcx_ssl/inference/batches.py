"""Windows of one or many recordings through one scorer, in full batches."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from rfcx_ssl.errors import RfcxError
from rfcx_ssl.inference.cut import Cutter, Merger
from rfcx_ssl.inference.load import is_finite
from rfcx_ssl.inference.scorer import Scorer
from rfcx_ssl.inference.signal import sounding_frames


class ScoreError(RfcxError):
    """A model's scores of a recording are not numbers: its audio is not, or the model's arithmetic overflows."""


class OneWindow(NamedTuple):
    """What is said about one window of T frames."""

    frame: Tensor  # (T, S)
    clip: Tensor  # (S,)
    embedding: Tensor  # (D,)


class ScoredFrames(NamedTuple):
    """A piece of a recording's scores whose windows have all been seen."""

    first_frame: int
    frame: Tensor  # (t, S) frames first_frame .. first_frame + t - 1
    clip: Tensor  # (S,) over all windows so far; the last piece holds the recording's


Receive = Callable[[OneWindow], None]


class Batches:
    """Collects windows and scores them ``batch_size`` at a time; those of one length share a batch, as they come.

    Windows are never padded to one length, for that would change what a model says about them.
    """

    def __init__(self, scorer: Scorer, batch_size: int) -> None:
        self.scorer, self.batch_size = scorer, batch_size
        self._waiting: dict[int, list[tuple[Tensor, Receive]]] = {}  # by length

    def add(self, samples: Tensor, receive: Receive) -> None:
        """Take a window (N,); ``receive`` is told its scores once its batch is full, or at :meth:`flush`."""
        waiting = self._waiting.setdefault(len(samples), [])
        waiting.append((samples, receive))
        if len(waiting) == self.batch_size:
            self._score(self._waiting.pop(len(samples)))

    def flush(self) -> None:
        """Score what is waiting, in the order of lengths as they came."""
        while self._waiting:
            self._score(self._waiting.pop(next(iter(self._waiting))))

    def _score(self, waiting: list[tuple[Tensor, Receive]]) -> None:
        scores = self.scorer(torch.stack([samples for samples, _ in waiting]))
        for row, (_, receive) in enumerate(waiting):
            receive(OneWindow(scores.frame[row], scores.clip[row], scores.embedding[row]))


class RecordingStream:
    """One recording on its way through ``batches``, which it may share with others: push blocks, end, take what is ready.

    Frames without a signal score 0, whatever the model says of them, and so does a window of nothing else.

    ``watch`` is told every window that holds a signal: its first frame, and its scores. ``name`` is the recording's, for errors.
    """

    def __init__(
        self, batches: Batches, watch: Callable[[int, OneWindow], None] = lambda *_: None, name: str = "a recording"
    ) -> None:
        scorer = batches.scorer
        self._model, self._name = scorer.name, name
        self._batches, self._hop, self._watch = batches, scorer.grid.hop_samples, watch
        self._cutter = Cutter(*scorer.windows.on_grid(scorer.grid), scorer.grid.hop_samples)
        self._merger = Merger(scorer.windows.aggregate)
        self._sent = 0  # windows handed to ``batches``
        self._ended = False

    def push(self, block: Tensor) -> None:
        """Take the next samples (n,) of the recording."""
        self._send(self._cutter.push(block))

    def end(self) -> None:
        """There are no more samples. What is still missing comes when the batches are flushed."""
        self._send(self._cutter.finish())
        self._ended = True

    @property
    def complete(self) -> bool:
        """Whether the next :meth:`ready` is the last."""
        return self._ended and self._merger.num_windows == self._sent

    def ready(self) -> ScoredFrames | None:
        """Frames that are final and were not taken yet; None where there are none.

        Raises:
            ScoreError: a score is not finite. Other recordings of the same batches are as they were.
        """
        if not self._merger.num_windows:
            return None
        first = self._merger.first
        frame = self._merger.take_all() if self.complete else self._merger.take_final()
        if not (is_finite(frame) and is_finite(self._merger.clip)):  # merging hands on what is not a number
            raise ScoreError(f"{self._name}: model {self._model} gives scores that are not numbers")
        return ScoredFrames(first, frame, self._merger.clip) if len(frame) else None

    def _send(self, windows: list[tuple[int, Tensor]]) -> None:
        for start, samples in windows:
            self._sent += 1
            sounding = sounding_frames(samples[: len(samples) - self._cutter.padding], self._hop)
            self._batches.add(samples, self._receiver(start // self._hop, sounding))

    def _receiver(self, start: int, sounding: Tensor) -> Receive:
        def receive(window: OneWindow) -> None:
            zero = window.frame.new_zeros(())  # not a product: a model may answer silence with NaN
            frame = torch.where(sounding[:, None], window.frame, zero)
            if sounding.any():
                self._watch(start, window._replace(frame=frame))
                self._merger.add(start, frame, window.clip)
            else:
                self._merger.add(start, frame, torch.zeros_like(window.clip))

        return receive
