"""The training loop: from a run folder's newest checkpoint, or from nothing, to the last optimizer step."""

import math
import shutil

import torch
from accelerate import Accelerator

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.labels import Batch
from rfcx_ssl.training.averaging import Weights
from rfcx_ssl.training.checkpoint import CheckpointFolder, step_name
from rfcx_ssl.training.data import StepStream
from rfcx_ssl.training.freezing import Freezer
from rfcx_ssl.training.journal import Journal
from rfcx_ssl.training.learner import Session, seed_everything
from rfcx_ssl.training.meter import Meter
from rfcx_ssl.training.optim import set_learning_rates
from rfcx_ssl.training.parts import Parts
from rfcx_ssl.training.run_folder import RunFolder
from rfcx_ssl.training.sampler import StepSampler, accumulation_steps
from rfcx_ssl.training.schedule import learning_rate_factor
from rfcx_ssl.training.settings import LoopSettings
from rfcx_ssl.training.signals import StopRequest
from rfcx_ssl.training.state import TrainState
from rfcx_ssl.training.validation import score_recordings, validation_metrics, write_pictures


class Trainer:
    """One process's view of a run. All processes make the same calls; the main one writes."""

    def __init__(self, settings: LoopSettings, parts: Parts, accelerator: Accelerator, folder: RunFolder) -> None:
        self.settings = settings
        self.parts = parts
        self.accelerator = accelerator
        self.folder = folder
        self.checkpoints = CheckpointFolder(folder.checkpoints, settings.keep_last)
        state, tensors = self.checkpoints.load_latest() or (TrainState(), None)
        self.state = state
        self.max_steps = settings.total_steps(len(parts.train_set))
        self.session = Session(settings, parts, accelerator, tensors)
        self.freezer = Freezer(settings.optim.freeze, parts.model, self.max_steps, compiled=settings.compile)
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
        )
        self.generator = torch.Generator(accelerator.device)  # of augmentations
        self.meter = Meter(accelerator.device)
        self.validation = parts.validation and parts.validation.first(settings.evaluation.max_recordings)
        self._check_selection()
        self.journal: Journal | None = None
        if accelerator.is_main_process:
            self._drop_lost_futures()
            self.journal = Journal(folder.path, self.max_steps, state.step, settings.trackers)

    @property
    def is_done(self) -> bool:
        """All steps are taken and judged, or patience is at its end."""
        patience = self.settings.evaluation.patience
        if patience is not None and self.state.evaluations_without_gain >= patience:
            return True
        return self.state.step >= self.max_steps

    def run(self, stop: StopRequest) -> bool:
        """Train to the end; False where a signal stopped the run (it goes on from here at the next start)."""
        state, settings = self.state, self.settings
        self.evaluate_if_due()  # one that the end of the last session put off
        steps = iter(self.stream)
        while not self.is_done:
            self.meter.resume()
            batches = next(steps)  # this process's share of one global batch, in micro-batches
            self.seed_step()
            batches = [self.augment(batch) for batch in batches]
            self.schedule_step()
            report = self.session.update(batches, self.seed_step, stop=bool(stop))
            state.count(report, settings.max_bad_steps)
            self.session.update_averages(state.step)
            state.train_s += self.meter.lap(settings.batch_size * self.seconds_per_clip(batches))
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

    def seed_step(self) -> None:
        """Make all randomness of the coming step a function of (seed, step, rank)."""
        number = seed_everything(self.settings.seed, self.state.step, self.accelerator.process_index)
        self.generator.manual_seed(number)

    def augment(self, batch: Batch) -> Batch:
        """The batch as the model sees it."""
        if self.parts.augment is None:
            return batch
        with torch.no_grad():
            return self.parts.augment(batch, self.generator)

    def schedule_step(self) -> None:
        """Learning rates and frozen layers of the coming step."""
        step = self.state.step
        factor = learning_rate_factor(step, self.max_steps, self.settings.schedule)
        set_learning_rates(self.session.optimizer, factor)
        self.freezer(step)

    def seconds_per_clip(self, batches: list[Batch]) -> float:
        """Length of the training crops in seconds."""
        return batches[0].waveform.shape[1] / self.parts.sample_rate_hz

    def log(self) -> None:
        """Write a train line and progress.json."""
        state = self.state
        values = state.take_means()
        rates = self.meter.read(self.stream.take_wait_s())
        if self.journal is None:
            return
        epoch = state.step * self.settings.batch_size / len(self.parts.train_set)
        line = {
            **values,
            **{f"lr/{name}": lr for name, lr in self.session.learning_rates().items()},
            "epoch": epoch,
            "bad_steps": state.bad_steps,
            "frozen_below": self.freezer.depth,
            **rates,
        }
        eta_s = (self.max_steps - state.step) / rates["steps_per_s"]
        note = f"loss {values.get('loss', math.nan):.4f}  {rates['audio_s_per_s']:.0f} s/s  eta {eta_s:.0f} s"
        self.journal.write(state.step, "train", line, note)
        self.journal.progress(state, self.max_steps, epoch=epoch, eta_s=eta_s, loss=values.get("loss"))

    def save(self) -> None:
        """Write a checkpoint; after it, drop model folders that no longer count."""
        tensors = self.session.tensors()
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
        scores = score_recordings(self.session, self.validation)
        metrics = validation_metrics(self.validation, scores)
        kept = state.add_candidate(
            self.signed(metrics), self.settings.average.top_k, self.settings.evaluation.min_gain
        )
        self.session.add_to_mean(state.step / self.max_steps)
        weights = self.session.weights() if kept else None
        if self.journal is not None:
            self._publish(self.journal, metrics, weights)
        self.accelerator.wait_for_everyone()

    def _publish(self, journal: Journal, metrics: dict[str, float], weights: Weights | None) -> None:
        """Write the evaluation of the current step: its model where it is among the best, a line, pictures."""
        step, name, best = self.state.step, self.settings.evaluation.select_metric, self.state.best
        if weights is not None:
            self.session.save_model(self.folder.best / step_name(step), weights)
        journal.write(step, "eval", metrics, f"{name} {metrics[name]:.4f} (best at step {best.step if best else 0})")
        if self.validation is not None and not self.session.is_sharded:
            pictures = self.settings.num_pictures
            for path in write_pictures(self.folder.plots, step, self.session.model, self.validation, pictures):
                journal.picture(step, path)

    def signed(self, metrics: dict[str, float]) -> float:
        """The selection metric, turned so that higher is better."""
        value = metrics[self.settings.evaluation.select_metric]
        return value if self.settings.evaluation.mode == "max" else -value

    def _check_selection(self) -> None:
        """Fail before the first step where the selection metric is unknown or cannot be computed on this fold."""
        if self.validation is None:
            return
        name = self.settings.evaluation.select_metric
        metrics = validation_metrics(self.validation, self.validation.known.astype("float32"))
        if name not in metrics:
            known = ", ".join(key for key in metrics if "/" not in key)
            raise ConfigError(f"evaluation.select_metric={name}: unknown metric; known: {known}, lwlrap/<species>")
        if math.isnan(metrics[name]):
            raise ConfigError(
                f"evaluation.select_metric={name} is not defined on the validation part: no known positive"
            )

    def _drop_lost_futures(self) -> None:
        """Remove model folders in best/ that are not candidates of the newest checkpoint."""
        kept = {step_name(candidate.step) for candidate in self.state.candidates}
        for path in self.folder.best.iterdir():
            if path.name not in kept:
                shutil.rmtree(path)
