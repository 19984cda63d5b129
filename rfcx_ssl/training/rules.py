"""Rules between the rooms' settings that can be judged only with the data or the number of processes at hand."""

from rfcx_ssl.annotations.spans import all_marked_somewhere
from rfcx_ssl.augment import AugmentSettings
from rfcx_ssl.data import Corpus
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.labels.batch import PRESENT
from rfcx_ssl.labels.pseudo import PseudoLabels
from rfcx_ssl.losses.settings import LossSettings
from rfcx_ssl.training.sampler import accumulation_steps
from rfcx_ssl.training.settings import LoopSettings

MIXING = ("mixup", "cutmix")


def check_mixing(loop: LoopSettings, augment: AugmentSettings, num_processes: int) -> None:
    """Mixing takes its partner from the same micro-batch, so there must be another crop in it.

    Raises:
        ConfigError: mixup or cutmix are on and a micro-batch holds one crop.
    """
    accumulation = accumulation_steps(loop.batch_size, loop.micro_batch_size, num_processes)
    crops = loop.batch_size // num_processes // accumulation
    active = [f"augment.{name}.p={config.p:g}" for name, config in augment.transforms.items() if name in MIXING]
    if crops < 2 and active:
        raise ConfigError(
            f"{' and '.join(active)}: there is nothing to mix with, a forward pass holds 1 crop "
            f"(batch_size={loop.batch_size}, micro_batch_size={loop.micro_batch_size}, {num_processes} processes); "
            "raise micro_batch_size or batch_size to 2 crops per process, or turn them off with null"
        )


def check_activity(loss: LossSettings, head: str, corpus: Corpus, fold: int | None) -> None:
    """An activity head (``model.head.activity``) needs a loss, and silent frames beside the calls to learn from.

    Raises:
        ConfigError: the loss without the head, a head that nothing trains, or no frame that counts as silent.
    """
    if loss.activity is not None and head == "none":
        raise ConfigError("loss.activity needs model.head.activity=auxiliary or multiply")
    if loss.activity is None and head == "auxiliary":
        raise ConfigError("model.head.activity=auxiliary is trained by loss.activity alone: set loss.activity.weight")
    if head == "none" or (loss.activity is not None and loss.activity.silence_weight):
        return
    if not has_silence(corpus, fold):
        raise ConfigError(
            f"model.head.activity={head} would learn that something always calls: the training part of fold={fold} "
            "has no stretch in which all species are marked (data.complete_file) and no pseudo-labels that are low for every output at once "
            "(data.pseudo.files with data.pseudo.min_probability=0); "
            "loss.activity.silence_weight=0.1 counts unknown frames as weakly silent"
        )


def has_silence(corpus: Corpus, fold: int | None) -> bool:
    """Whether some training frame may be known to hold no call: where all is marked, or by a pseudo-label."""
    names = [recording.recording_id for recording in corpus.recordings(fold, "train")]
    if any(all_marked_somewhere(corpus.annotations.spans(name), corpus.space.num_species) for name in names):
        return True
    pseudo = corpus.settings.pseudo
    if pseudo is None:
        return False
    return any(_calls_silence(teacher, names, corpus, pseudo.min_probability) for teacher in corpus.pseudo)


def _calls_silence(teacher: PseudoLabels, names: list[str], corpus: Corpus, min_probability: float) -> bool:
    """Whether a teacher gives some frame of these recordings a low probability of every species."""
    noise = corpus.space.noise_output
    columns = [column for column, output in teacher.columns(corpus.space) if output != noise]
    if len(columns) < corpus.space.num_outputs - (noise is not None):
        return False
    for name in names:
        if name in teacher.by_recording:
            scores = teacher.by_recording[name].scores[:, columns]
            is_low = (scores >= min_probability) & (scores < PRESENT)
            if is_low.all(axis=1).any():
                return True
    return False
