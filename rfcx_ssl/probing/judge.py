"""The recordings that encoders are judged on, and how a system is measured on them."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from rfcx_ssl.data import Corpus
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.probing.boxes import box_auc, held_boxes
from rfcx_ssl.probing.features import Features, Rows, judged_frames
from rfcx_ssl.probing.heads import Fitted, LinearPerLayer, MakeHead, MixedPrototypes, fit
from rfcx_ssl.probing.health import layer_health
from rfcx_ssl.probing.scores import Held, floors, score
from rfcx_ssl.probing.settings import ALL, FOLD, Bench, Measured, Points, Role

SEEDS = (0, 1, 2)
MOST_POINTS = 600
Tick = Callable[[int, int], None]


class Judge:
    """Training frames, held-out frames and label budgets of one corpus on one grid.

    Raises:
        AnnotationError: nothing can be learnt, or nothing can be judged.
    """

    def __init__(self, corpus: Corpus, grid: FrameGrid, labels_per_species: Sequence[int]) -> None:
        train_ids, held_ids = corpus.folds.train_ids(FOLD), corpus.folds.valid_ids(FOLD)
        self.corpus = corpus
        self.frames = frames = judged_frames(corpus, [*train_ids, *held_ids], grid)
        self.train, self.held_rows = frames.of(train_ids), frames.of(held_ids)
        held_known = frames.known[self.held_rows] > 0
        self.held = Held(frames.target[self.held_rows] > 0, held_known, frames.recording[self.held_rows])
        self.boxes = held_boxes(corpus, frames, held_ids, self.held_rows)
        judged = self.held.judged
        if not judged:
            raise AnnotationError(
                f"{corpus.settings.root}: nothing can be judged: no output has both present and absent frames in the "
                f"{len(held_ids)} held-out recordings (fold {FOLD} of {corpus.settings.num_folds})"
            )
        if len(self.train) < 2:
            raise AnnotationError(f"{corpus.settings.root}: no frame of {len(train_ids)} training recordings is known")
        self.within: dict[int, Rows] = {}
        for number in labels_per_species:
            budget = dataclasses.replace(corpus.settings, labels_per_species=number)
            kept = dataclasses.replace(corpus, settings=budget).within_budget(FOLD).folds.train_ids(FOLD)
            rows = frames.of(kept)
            if len(kept) < len(train_ids) and len(rows) > 1:
                self.within[number] = rows
        self.within[ALL] = self.train
        labelled = {n: len(set(frames.recording[rows].tolist())) for n, rows in self.within.items()}
        self.bench = Bench(
            frame_s=grid.frame_s,
            sample_rate_hz=grid.sample_rate_hz,
            train_recordings=len(train_ids),
            held_out_recordings=len(held_ids),
            held_out_frames=len(self.held_rows),
            held_out_boxes=len(self.boxes.rows),
            output_names=corpus.space.output_names,
            judged=tuple(judged),
            floors=floors(self.held),
            labelled_recordings=labelled,
        )

    def measure(self, name: str, role: Role, heard: Sequence[Features], tick: Tick) -> tuple[Measured, Fitted]:
        """Train and score all heads on the features of a system, one of ``heard`` per seed.

        Returns what was measured, and the primary head of the first seed.
        """
        total, done = (len(self.within) + 1) * len(SEEDS), 0
        by_labels, primary, logits = {}, [], np.zeros(0, np.float32)
        for number, rows in self.within.items():
            fitted = self._fit(MixedPrototypes, heard, rows)
            logits = self._logits(fitted, heard)[:, 0]
            by_labels[number] = score(self.held, logits).ap
            done += len(SEEDS)
            tick(done, total)
            primary = fitted  # of all labels, which come last
        per_layer = self._logits(self._fit(LinearPerLayer, heard, self.train), heard)
        layers = [score(self.held, per_layer[:, layer]).ap for layer in range(per_layer.shape[1])]
        tick(total, total)
        first = heard[0]
        states = [f"layer {n}" for n in range(first.num_states)] if role != "log-mel" else ["log-mel"]
        measured = Measured(
            name=name,
            role=role,
            score=score(self.held, logits),
            box_auc=box_auc(self.boxes, logits, self.corpus.space),
            logits=logits,
            steps=primary[0].steps,
            layer_names=("convolutions", *states) if first.extractor_dim else tuple(states),
            per_layer=tuple(layers),
            layer_weights=_mix_of(primary),
            by_labels=by_labels,
            health=tuple(layer_health(first, self.held_rows, np.random.default_rng(0))),
        )
        return measured, primary[0]

    def points(self, fitted: Fitted, features: Features) -> Points | None:
        """Held-out calls, as the primary head sees them, by t-SNE; None for too few."""
        from sklearn.manifold import TSNE

        calls, outputs = self._calls()
        if len(calls) < 5 or not isinstance(fitted.head, MixedPrototypes):
            return None
        with torch.inference_mode():
            mean = [fitted.head.embed(features.states(rows)).mean(dim=0).numpy() for rows in calls]
        perplexity = min(30.0, (len(calls) - 1) / 3)
        place = TSNE(init="pca", perplexity=perplexity, metric="cosine", random_state=0).fit_transform(np.stack(mean))
        return Points(place.astype(np.float32), np.array(outputs, np.int64))

    def _calls(self) -> tuple[list[Rows], list[int]]:
        """Runs of present held-out frames, at most ``MOST_POINTS``, and the output of each."""
        calls, outputs = [], []
        present = self.frames.target * (self.frames.known > 0) > 0
        for output in range(present.shape[1]):
            rows = self.held_rows[present[self.held_rows, output]]
            recording, place = self.frames.recording[rows], self.frames.place[rows]
            for run in np.split(rows, np.flatnonzero((np.diff(recording) != 0) | (np.diff(place) != 1)) + 1):
                if len(run):
                    calls.append(run)
                    outputs.append(output)
        chosen = np.sort(np.random.default_rng(0).permutation(len(calls))[:MOST_POINTS])
        return [calls[i] for i in chosen], [outputs[i] for i in chosen]

    def _fit(self, make: MakeHead, heard: Sequence[Features], rows: Rows) -> list[Fitted]:
        """A head per seed; the first chooses the number of steps for all."""
        found: list[Fitted] = []
        for seed, features in zip(SEEDS, heard, strict=True):
            steps = found[0].steps if found else None
            found.append(fit(make, features, self.frames, rows, seed=seed, steps=steps))
        return found

    def _logits(self, fitted: Sequence[Fitted], heard: Sequence[Features]) -> NDArray[np.float32]:
        """(seeds, H, N, K) of the held-out frames."""
        pairs = zip(fitted, heard, strict=True)
        return np.stack([one.predict(features, self.held_rows) for one, features in pairs])


def _mix_of(fitted: Sequence[Fitted]) -> tuple[float, ...]:
    heads = [one.head for one in fitted if isinstance(one.head, MixedPrototypes)]
    return tuple(torch.stack([head.mix.weight.detach().softmax(0) for head in heads]).mean(dim=0).tolist())
