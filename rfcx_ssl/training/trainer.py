"""A run, by every process of a launch: from its folder's newest checkpoint, or from nothing, to its final model."""

import contextlib
import math
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from rfcx_ssl.errors import ConfigError, RunError
from rfcx_ssl.labels import Batch
from rfcx_ssl.training.averaging import Weights, mean_weights
from rfcx_ssl.training.checkpoint import CheckpointFolder, step_name
from rfcx_ssl.training.data import StepStream
from rfcx_ssl.training.journal import Clock, Journal, plain
from rfcx_ssl.training.judge import Judge
from rfcx_ssl.training.learner import Learner, Parts
from rfcx_ssl.training.run_folder import RunFolder
from rfcx_ssl.training.sampler import StepSampler, accumulation_steps
from rfcx_ssl.training.settings import LoopSettings
from rfcx_ssl.training.signals import StopRequest
from rfcx_ssl.training.state import TrainState
from rfcx_ssl.training.update import StepReport


class Interrupted(RunError):
    """A signal stopped the run after a checkpoint; the same command goes on.

    The exit code is 128 + signal, as a shell has it, so that a script does not take the run for a finished one.
    """

    def __init__(self, step: int, number: int | None) -> None:
        super().__init__(f"stopped by a signal at step {step}; the same command goes on from there")
        self.exit_code = 128 + (number or signal.SIGTERM)  # None: another process was the one to get it


def fit(settings: LoopSettings, parts: Parts, accelerator: Accelerator) -> Path:
    """Train in ``settings.output_dir``: start it, resume it, or find it finished; returns the folder.

    Raises:
        RunError: the folder is in use, holds another run, or cannot be written.
        Interrupted: SIGTERM or SIGINT came; a checkpoint is written.
    """
    folder = RunFolder(Path(settings.output_dir))
    with contextlib.ExitStack() as stack:
        if accelerator.is_main_process:
            folder.create()
            stack.enter_context(folder.lock(settings.lock_timeout_s))
            folder.open(settings, run_facts(parts, accelerator), parts.files, parts.kind)
        accelerator.wait_for_everyone()
        if folder.is_finished:
            accelerator.print(f"{folder.path}: already finished")
            return folder.path
        trainer = Trainer(settings, parts, accelerator, folder)
        try:
            with StopRequest() as stop:
                if not trainer.run(stop):
                    raise Interrupted(trainer.state.step, stop.signal)
            trainer.finish()
        finally:
            if trainer.journal is not None:
                trainer.journal.close()
    return folder.path


def run_facts(parts: Parts, accelerator: Accelerator) -> dict[str, Any]:
    """What run.json says about the model, the data and the machine."""
    parameters = list(parts.model.parameters())
    device = accelerator.device
    return {
        "data": dict(parts.data_facts),
        "fold": parts.fold,
        "train_crops_per_epoch": len(parts.train_set),
        "validation_recordings": 0 if parts.validation is None else parts.validation.num_recordings,
        "validation": None if parts.validation is None else parts.validation.summary(),
        "num_parameters": sum(p.numel() for p in parameters),
        "num_trainable_parameters": sum(p.numel() for p in parameters if p.requires_grad),
        "num_processes": accelerator.num_processes,
        "distributed_type": accelerator.distributed_type.value,
        "mixed_precision": accelerator.mixed_precision,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "cpu_threads": torch.get_num_threads(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
    }


class Trainer:
    """The loop of one process. All processes make the same calls; the main one writes."""

    def __init__(self, settings: LoopSettings, parts: Parts, accelerator: Accelerator, folder: RunFolder) -> None:
        self.settings = settings
        self.parts = parts
        self.accelerator = accelerator
        self.folder = folder
        self.checkpoints = CheckpointFolder(folder.checkpoints, settings.keep_last)
        state, tensors = self.checkpoints.load_latest() or (TrainState(), None)
        self.state = state
        self.max_steps = settings.total_steps(len(parts.train_set))
        self.learner = Learner(settings, parts, accelerator, self.max_steps, tensors)
        accumulation = accumulation_steps(settings.batch_size, settings.micro_batch_size, accelerator.num_processes)
        self.stream = StepStream(
            parts.train_set,
            parts.collate,
            StepSampler(
                num_items=len(parts.train_set),
                batch_size=settings.batch_size,
                accumulation=accumulation,
                rank=accelerator.process_index,
                num_processes=accelerator.num_processes,
                seed=settings.seed,
            ),
            accelerator.device,
            start_step=state.step,
            num_workers=settings.num_workers,
            timeout_s=settings.loader_timeout_s,
        )
        self.clock = Clock(accelerator.device)
        self.validation = parts.validation and parts.validation.first(settings.evaluation.max_recordings)
        self.select_metric: str | None = None
        if self.validation is not None:
            self.select_metric = self.validation.select_metric(settings.evaluation.select_metric)
        self.journal: Journal | None = None
        if accelerator.is_main_process:
            self._drop_lost_futures()
            self.journal = Journal(folder.path, self.max_steps, state.step, settings.trackers)
        self._say_what_is_judged()

    @property
    def is_done(self) -> bool:
        """All steps are taken and judged, or patience is at its end."""
        early_stop = self.settings.evaluation.early_stop
        if early_stop is not None and self.state.evaluations_without_gain >= early_stop.patience:
            return True
        return self.state.step >= self.max_steps

    def run(self, stop: StopRequest) -> bool:
        """Train to the end; False where a signal stopped the run (it goes on from here at the next start)."""
        state, settings = self.state, self.settings
        self.evaluate_if_due()  # one that the end of the last session put off
        if self.is_done:
            return True
        with self.stream as steps:
            while not self.is_done:
                self.clock.resume()
                report = self.take_step(next(steps), stop)
                if state.step % settings.log_every == 0:
                    self.log()
                if state.step % settings.save_every == 0 or state.step == self.max_steps or report.stop:
                    self.save()
                if report.stop:
                    if self.journal is not None:
                        self.journal.progress(state, self.max_steps, stopped=True)
                    return False
                self.evaluate_if_due()
        return True

    def take_step(self, batches: Sequence[Batch], stop: StopRequest) -> StepReport:
        """One optimizer step on this process's share of one global batch, in micro-batches."""
        report = self.learner.step(batches, self.state.step, stop=bool(stop))
        self.state.count(report, self.settings.max_bad_steps)
        crop_s = batches[0].waveform.shape[1] / self.parts.sample_rate_hz
        self.state.train_s += self.clock.lap(self.settings.batch_size * crop_s)
        return report

    def log(self) -> None:
        """Write a train line and progress.json."""
        state = self.state
        values = state.take_means()
        rates = self.clock.read(self.stream.take_wait_s())
        if self.journal is None:
            return
        epoch = state.step * self.settings.batch_size / len(self.parts.train_set)
        line = {
            **values,
            **{f"lr/{name}": lr for name, lr in self.learner.learning_rates().items()},
            "epoch": epoch,
            "bad_steps": state.bad_steps,
            "frozen_below": self.learner.freezer.depth,
            **rates,
        }
        eta_s = (self.max_steps - state.step) / rates["steps_per_s"]
        note = f"loss {values.get('loss', math.nan):.4f}  {rates['audio_s_per_s']:.0f} s/s  eta {eta_s:.0f} s"
        self.journal.write(state.step, "train", line, note)
        self.journal.progress(state, self.max_steps, epoch=epoch, eta_s=eta_s, loss=values.get("loss"))

    def save(self) -> None:
        """Write a checkpoint; after it, drop model folders that no longer count."""
        tensors = self.learner.tensors()
        if self.accelerator.is_main_process:
            self.checkpoints.save(self.state, tensors)
            self._drop_lost_futures()
        self.accelerator.wait_for_everyone()

    def evaluate_if_due(self) -> None:
        """Validate where the step asks for it and it was not done yet."""
        state, every = self.state, self.settings.evaluation.every
        is_due = state.step == self.max_steps or (every > 0 and state.step > 0 and state.step % every == 0)
        if self.validation is None or not is_due or state.evaluated_step == state.step:
            return
        metrics = self.validation.metrics(self.validation.score(self.learner.model, self.accelerator))
        state.evaluated_step = state.step
        kept = False
        if self.select_metric is not None:
            early_stop = self.settings.evaluation.early_stop
            min_gain = 0.0 if early_stop is None else early_stop.min_gain
            kept = state.add_candidate(metrics[self.select_metric], self.settings.average.top_k, min_gain)
        self.learner.add_to_mean(state.step)
        weights = self.learner.weights() if kept else None
        if self.journal is not None:
            self._publish(self.journal, self.validation, metrics, weights)
        self.accelerator.wait_for_everyone()

    def finish(self) -> None:
        """Choose the weights, score all validation recordings with them, write the model; repeatable after a kill."""
        chosen, weights = self._choose_weights()
        self.learner.load_model(weights)
        facts: dict[str, Any] = {"selected": chosen, "select_metric": self.select_metric}
        validation = self.parts.validation
        if validation is not None:
            scores = validation.score(self.learner.model, self.accelerator)
            facts["metrics"] = metrics = validation.metrics(scores)
        if self.journal is not None:
            if validation is not None:
                note = f"{validation.headline(metrics, self.select_metric)}; weights: {chosen}"
                self.journal.write(self.state.step, "final", metrics, note)
                validation.write(self.folder.path, scores, self.parts.fold, self.settings.seed)
            self.learner.save_model(self.folder.model, weights)
            facts |= {"steps": self.state.step, "train_s": round(self.state.train_s, 3)}
            self.journal.progress(self.state, self.max_steps, finished=True)
            self.folder.record(finished=True, **plain(facts))
        self.accelerator.wait_for_everyone()

    def _publish(
        self, journal: Journal, validation: Judge, metrics: dict[str, float], weights: Weights | None
    ) -> None:
        """Write the evaluation of the current step: its model where it is among the best, a line, pictures."""
        step, best = self.state.step, self.state.best
        if weights is not None:
            self.learner.save_model(self.folder.best / step_name(step), weights)
        note = validation.headline(metrics, self.select_metric)
        journal.write(step, "eval", metrics, f"{note}; best at step {best.step}" if best else note)
        if not self.learner.is_sharded:
            pictures = self.settings.num_pictures
            for path in validation.draw(self.folder.plots, step, self.learner.model, pictures):
                journal.picture(step, path)

    def _say_what_is_judged(self) -> None:
        """Once per start, and before the first step: what validation can tell, and what the best weights are.

        Raises:
            ConfigError: the run is to end early by a score that it cannot have.
        """
        if self.validation is None:
            return
        summary = self.validation.summary()
        if self.select_metric is None and self.settings.evaluation.early_stop is not None:
            raise ConfigError(f"evaluation.early_stop needs something to judge; {summary}")
        if self.journal is not None:
            chosen = f"the best weights are chosen by {self.select_metric}"
            self.journal.say(f"{summary}; {chosen if self.select_metric else 'the last weights are kept'}")

    def _choose_weights(self) -> tuple[str, Weights]:
        """The best evaluated weights, or an average where it scores better; the last ones where nothing was judged."""
        state, validation, name = self.state, self.validation, self.select_metric
        if validation is None or name is None or state.best is None:
            return "last", self.learner.weights()
        best, best_score = (f"best, step {state.best.step}", self._load_candidate(state.best.step)), state.best.score
        for average, weights in list(self._averages()):
            self.learner.load_model(weights)
            score = validation.metrics(validation.score(self.learner.model, self.accelerator))[name]
            if score > best_score:
                best, best_score = (average, weights), score
        return best

    def _averages(self) -> Iterator[tuple[str, Weights]]:
        """The averages that the settings ask for and the run has the members of."""
        candidates = self.state.candidates
        if len(candidates) > 1:
            members = [self._load_candidate(candidate.step) for candidate in candidates]
            yield f"mean of the {len(members)} best", mean_weights(members)
        swa = self.learner.swa
        if swa.count > 1:
            like = self.learner.weights()
            yield f"mean of the last {swa.count}", {name: swa.weights[name].to(like[name].dtype) for name in like}

    def _load_candidate(self, step: int) -> Weights:
        """Weights of an evaluated step."""
        path = self.folder.best / step_name(step) / "model.safetensors"
        if not path.is_file():
            raise RunError(f"{path} is gone; remove the newest checkpoints to train from the one before")
        weights: Weights = load_file(path)
        return weights

    def _drop_lost_futures(self) -> None:
        """Remove model folders in best/ that are not candidates of the newest checkpoint."""
        kept = {step_name(candidate.step) for candidate in self.state.candidates}
        for path in self.folder.best.iterdir():
            if path.name not in kept:
                shutil.rmtree(path)
