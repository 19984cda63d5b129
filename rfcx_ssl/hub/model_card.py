"""The card of a trained model: what it hears, how well, beside what is reached without listening, and how it came about."""

from collections.abc import Iterator, Sequence

from huggingface_hub import EvalResult

from rfcx_ssl.decoding.decisions import Decisions
from rfcx_ssl.hub.card import (
    NOT_RECORDED,
    Choices,
    Section,
    bullets,
    citation,
    code,
    cost,
    hashes,
    metadata,
    origin,
    table,
    write_card,
)
from rfcx_ssl.hub.encoder_text import parity_and_health
from rfcx_ssl.hub.facts import ModelFacts
from rfcx_ssl.hub.judged import judged_results, judged_text
from rfcx_ssl.hub.private import portable
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.training.scores import describe, is_undefined

MOST_SPECIES = 100  # rows of the table; all of them are in species.csv
SCORES = {  # metric of a run -> its name, and the type that the hub calls it
    "box_auc": ("ROC-AUC of labelled boxes", "roc_auc"),
    "box_map": ("mean average precision of labelled boxes", "mean_average_precision"),
    "lwlrap": ("LWLRAP of recordings", "lwlrap"),
    "map": ("mean average precision of recordings", "mean_average_precision"),
    "auc": ("ROC-AUC of recordings", "roc_auc"),
}


def model_card(
    model: RainforestSedModel, facts: ModelFacts, decisions: Decisions | None, choices: Choices, *, onnx: bool
) -> str:
    """README.md of a model folder."""
    kind, count = model.settings.kind, len(model.space.species_names)
    tags = ["audio-classification", "sound-event-detection", kind, *(["onnx"] if onnx else [])]
    data = metadata(choices, pipeline_tag="audio-classification", tags=tags, scores=eval_results(facts, choices))
    lead = (
        f"Hears {count} species in audio of a rainforest, frame by frame: a probability for every species every "
        f"{1000 * model.grid.frame_s:.4g} ms, and one for the whole clip. Trained with rfcx-ssl; loads with transformers alone."
    )
    sections = [
        Section("The model", [table(["", ""], _numbers(model))]),
        Section("Species", list(_species(model, decisions))),
        Section("Intended use", [_USE]),
        Section("Limits", [bullets(_limits(model, facts, decisions))]),
        Section("Scores", list(_scores(facts))),
        *(Section(f"Scores on {judged.data}", list(judged_text(judged, facts.roots))) for judged in facts.judged),
        Section("Training", list(_training(facts))),
        Section("Encoder", _encoder(facts)),
        Section("Loading", list(_loading(model, choices, onnx=onnx))),
        citation(),
    ]
    return write_card(choices.name.rpartition("/")[2], lead, sections, data)


def eval_results(facts: ModelFacts, choices: Choices) -> list[EvalResult]:
    """Scores for the metadata, of validation and of evaluations, each with its floors in its name; none where nothing was judged."""
    data = _data_name(facts)
    validation = [
        EvalResult(
            task_type="audio-classification",
            task_name="Sound event detection",
            dataset_type=choices.datasets[0] if choices.datasets else data,
            dataset_name=data,
            dataset_split=_split(facts),
            metric_type=kind,
            metric_value=round(float(facts.metrics[name] or 0.0), 6),
            metric_name=f"{title}: {describe(facts.metrics, name)}",
        )
        for name, (title, kind) in SCORES.items()
        if not is_undefined(facts.metrics.get(name))
    ]
    return validation + [result for judged in facts.judged for result in judged_results(judged, choices)]


def band_hz(model: RainforestSedModel) -> tuple[float, float]:
    """The band that the model can hear: that of its mel, else from 0 to half of its rate."""
    mel = getattr(model.settings, "mel", None)
    if mel is not None:
        return float(mel.f_min_hz), float(mel.f_max_hz)
    extractor = (model.config.backbone or {}).get("mel_extractor")
    if extractor is not None:
        return float(extractor["mel"]["f_min_hz"]), float(extractor["mel"]["f_max_hz"])
    return 0.0, model.config.sample_rate_hz / 2


def _numbers(model: RainforestSedModel) -> Iterator[Sequence[str]]:
    config, (low, high) = model.config, band_hz(model)
    windows = config.windows or {}
    yield "sample rate", f"{config.sample_rate_hz} Hz, mono; other rates must be resampled first"
    yield "band", f"{low / 1000:.4g} to {high / 1000:.4g} kHz"
    yield "frames", f"one every {1000 * model.grid.frame_s:.4g} ms ({model.grid.hop_samples} samples)"
    yield (
        "window",
        f"{config.window_samples / config.sample_rate_hz:.4g} s"
        + (f"; validated with {', '.join(f'{key}={value}' for key, value in windows.items())}" if windows else ""),
    )
    yield "encoder", model.settings.kind
    yield "outputs", f"{model.space.num_outputs}, of {len(model.space.species_names)} species"
    yield "parameters", f"{sum(parameter.numel() for parameter in model.parameters()):,}"
    yield "embedding", f"{model.embedding_dim} numbers per clip"


def _species(model: RainforestSedModel, decisions: Decisions | None) -> Iterator[str]:
    species = model.space.species
    thresholds = dict(zip(decisions.species, decisions.threshold, strict=True)) if decisions else {}
    rows = []
    for place, name in enumerate(species.names[:MOST_SPECIES]):
        band, prevalence = species.band_hz(place), species.prevalence[place]
        rows.append(
            [
                name,
                species.scientific_names.get(name, ""),
                f"{band[0] / 1000:.3g} to {band[1] / 1000:.3g}" if band else "",
                "" if prevalence is None else f"{prevalence:.3g}",
                f"{thresholds[name]:.3g}" if name in thresholds else "0.5",
            ]
        )
    yield table(["species", "scientific name", "band in kHz", "share of recordings", "threshold"], rows)
    more = len(species.names) - len(rows)
    yield (
        (f"And {more} more. " if more else "")
        + "All of it, song types included, is in `species.csv`. "
        + (
            f"Thresholds were tuned by {decisions.about.get('criterion', NOT_RECORDED)} on {decisions.about.get('data', NOT_RECORDED)} "
            f"and hold after the calibration in `decisions.json`{'' if not decisions.calibration.is_identity else ', which changes nothing'}."
            if decisions
            else "Thresholds and calibration were not tuned: 0.5 is a default, and the probabilities are as the network gives them."
        )
    )


_USE = (
    "Finding calls of these species in recordings of passive acoustic monitoring, to be listened to by a person who knows "
    "them: ranking recordings, listing candidate detections, embedding audio for search. It is not made for decisions about "
    "protection or permits without such a check."
)


def _limits(model: RainforestSedModel, facts: ModelFacts, decisions: Decisions | None) -> Iterator[str]:
    yield f"Species outside its list are not reported, and may be taken for one that is on it. Above {band_hz(model)[1] / 1000:.4g} kHz it is deaf."
    yield "Other recorders, regions, seasons and distances than those of the training recordings change its scores; judge it on some of your own recordings first (`rfcx-ssl evaluate`)."
    yield "Silence about a species is no proof of its absence."
    if decisions is None:
        yield "Nothing was calibrated: a probability of 0.8 need not be right eight times in ten."
    if facts.run.get("selected", "").startswith(("best", "mean")):
        yield f"The weights were chosen by {facts.run.get('select_metric')} on the recordings that the scores below are of, so these may be a little high."
    if not facts.run:
        yield "How it was trained is not recorded here."


def _split(facts: ModelFacts) -> str:
    fold = facts.run.get("fold")
    return "validation" if fold is None else f"validation, fold {fold}"


def _data_name(facts: ModelFacts) -> str:
    root = facts.data_root
    return NOT_RECORDED if root is None else root.absolute().name


def _scores(facts: ModelFacts) -> Iterator[str]:
    rows = []
    for name, (title, _) in SCORES.items():
        if not is_undefined(value := facts.metrics.get(name)):
            floors = [facts.metrics.get(f"{name}_{floor}_floor") for floor in ("random", "prior")]
            rows.append([title, f"{value:.4f}", *("" if is_undefined(f) else f"{f:.4f}" for f in floors)])
    if not rows:
        yield "No scores are recorded: nothing that was labelled could judge it, or the model came without its run."
        return
    yield f"Of {facts.scored}, on {_data_name(facts)}, {_split(facts)}: {facts.run.get('validation') or NOT_RECORDED}."
    yield table(["", "score", "without listening: chance", "class prior"], rows)
    yield (
        "What stands beside a score is reached by random scores, and by always saying how common a species is in the training "
        "recordings. Only what an expert judged is counted. There is no score on other data unless it says so here."
    )


def _training(facts: ModelFacts) -> Iterator[str]:
    run, data = facts.run, facts.run.get("data") or {}
    if not run:
        yield "Not recorded: the model came without its run folder."
        return
    sides = ", ".join(f"{count} {side}" for side, count in (data.get("recordings") or {}).items())
    lines = [
        f"Data: {_data_name(facts)}; recordings: {sides or NOT_RECORDED}",
        f"Optimizer steps: {run.get('steps', NOT_RECORDED)}, batches of {facts.config.get('batch_size', NOT_RECORDED)} crops of "
        f"{facts.config.get('data', {}).get('crop_s', NOT_RECORDED)} s, seed {facts.config.get('seed', NOT_RECORDED)}",
        *cost(facts.train_s, run),
        *origin(run),
        "Every setting: `training/config.yaml`; learning curve: `training/metrics.jsonl`; the run: `training/run.json`",
    ]
    yield bullets(lines)
    yield "What it learned from, by hash:"
    yield hashes(portable(data.get("sha256") or {"": NOT_RECORDED}, facts.roots))


def _encoder(facts: ModelFacts) -> list[str]:
    if not facts.run:
        return ["Not recorded: the model came without its run folder."]
    if facts.encoder is None:
        return [
            "No pretrained encoder: it was trained from random weights, or from those that `training/config.yaml` names."
        ]
    return [f"Started from the encoder `{portable(facts.encoder.source)}`.", *parity_and_health(facts.encoder)]


def _loading(model: RainforestSedModel, choices: Choices, *, onnx: bool) -> Iterator[str]:
    rate = model.config.sample_rate_hz
    yield "Without rfcx-ssl; the code comes with the model (torch and transformers; timm or torchaudio where it has layers of theirs):"
    yield code(f"""
import torch
from transformers import AutoModel

model = AutoModel.from_pretrained("{choices.name}", trust_remote_code=True).eval()
waveform = torch.zeros(1, {model.config.window_samples})  # (batch, samples) at {rate} Hz, mono, in [-1, 1]
with torch.inference_mode():
    output = model(waveform)
frames = output.frame_logits.sigmoid()  # (batch, frames, outputs)
clips = output.clip_logits.sigmoid()  # (batch, outputs), named by model.config.id2label
""")
    yield "With rfcx-ssl, which also knows windows, thresholds and calibration:"
    yield code(f"rfcx-ssl detect recording.flac --model {choices.name} --out found", "")
    yield code(f"""
from rfcx_ssl.models.modeling import RainforestSedModel

model = RainforestSedModel.from_pretrained("{choices.name}")
""")
    if onnx:
        yield "`model.onnx` takes `waveform` (batch, samples) and gives `embedding`, `logits` and `frame_logits`; its metadata say the rest. `--set backend=onnx` hears with it."
