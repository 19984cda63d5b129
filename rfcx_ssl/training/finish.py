"""The end of a run: choose the weights, score all validation recordings, write the model."""

from collections.abc import Iterator

from safetensors.torch import load_file

from rfcx_ssl.errors import RunError
from rfcx_ssl.training.averaging import Weights, mean_weights
from rfcx_ssl.training.checkpoint import step_name
from rfcx_ssl.training.trainer import Trainer
from rfcx_ssl.training.validation import score_recordings, validation_metrics, write_scores


def finish(trainer: Trainer) -> None:
    """Write ``model/``, ``oof.parquet`` and the final metrics; can be repeated after a kill."""
    session, folder, validation = trainer.session, trainer.folder, trainer.parts.validation
    chosen, weights = choose_weights(trainer)
    session.load_model(weights)
    facts: dict[str, object] = {"selected": chosen}
    if validation is not None:
        scores = score_recordings(session, validation)
        metrics = validation_metrics(validation, scores)
        facts["metrics"] = {key: value if value == value else None for key, value in metrics.items()}
    if trainer.journal is not None:
        if validation is not None:
            name = trainer.settings.evaluation.select_metric
            trainer.journal.write(trainer.state.step, "final", metrics, f"{name} {metrics[name]:.4f} ({chosen})")
            write_scores(folder.oof, validation, scores, trainer.parts.fold, trainer.settings.seed)
        session.save_model(folder.model, weights)
        facts |= {"steps": trainer.state.step, "train_s": round(trainer.state.train_s, 3)}
        trainer.journal.progress(trainer.state, trainer.max_steps, finished=True)
        folder.record(finished=True, **facts)
    session.accelerator.wait_for_everyone()


def choose_weights(trainer: Trainer) -> tuple[str, Weights]:
    """The best evaluated weights, or an average where it scores better; the last ones without validation."""
    state, session = trainer.state, trainer.session
    if trainer.validation is None or state.best is None:
        return "last", session.weights()
    best = (f"best, step {state.best.step}", load_candidate(trainer, state.best.step))
    best_score = state.best.score
    for name, weights in list(averages(trainer)):
        session.load_model(weights)
        scores = score_recordings(session, trainer.validation)
        score = trainer.signed(validation_metrics(trainer.validation, scores))
        if score > best_score:
            best, best_score = (name, weights), score
    return best


def averages(trainer: Trainer) -> Iterator[tuple[str, Weights]]:
    """The averages that the settings ask for and the run has the members of."""
    candidates = trainer.state.candidates
    if len(candidates) > 1:
        members = [load_candidate(trainer, candidate.step) for candidate in candidates]
        yield f"mean of the {len(members)} best", mean_weights(members)
    swa = trainer.session.swa
    if swa.count > 1:
        like = trainer.session.weights()
        yield f"mean of the last {swa.count}", {name: swa.weights[name].to(like[name].dtype) for name in like}


def load_candidate(trainer: Trainer, step: int) -> Weights:
    """Weights of an evaluated step."""
    path = trainer.folder.best / step_name(step) / "model.safetensors"
    if not path.is_file():
        raise RunError(f"{path} is gone; remove the newest checkpoints to train from the one before")
    weights: Weights = load_file(path)
    return weights
