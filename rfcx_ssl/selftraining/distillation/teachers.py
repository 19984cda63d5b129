"""One or several teachers, and what they say of a crop together, on the student's frames."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from rfcx_ssl.errors import ConfigError, did_you_mean
from rfcx_ssl.evaluation.runs import find_model
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.batches import Batches, OneWindow, RecordingStream
from rfcx_ssl.inference.classifier_file import description_of
from rfcx_ssl.inference.load import model_folder
from rfcx_ssl.inference.onnx_scorer import OnnxScorer
from rfcx_ssl.inference.open import open_scorer
from rfcx_ssl.inference.regrid import Regrid
from rfcx_ssl.inference.scorer import Scorer, TorchScorer
from rfcx_ssl.inference.window_classifier import WindowClassifier
from rfcx_ssl.selftraining.distillation.settings import TeacherSettings
from rfcx_ssl.species.read import read_species
from rfcx_ssl.species.space import LabelSpace, label_space
from rfcx_ssl.species.table import SpeciesTable


class Taught(NamedTuple):
    """What teachers say of B crops: T frames of the student, S species of it, E features of all of them together."""

    frame: Tensor  # (B, T, S) probabilities; 0 for species that nobody teaches
    clip: Tensor  # (B, S)
    embedding: Tensor  # (B, E)


class OpenTeachers(NamedTuple):
    """Teachers, the label space of their student, and the files that they are."""

    scorers: tuple[Scorer, ...]
    space: LabelSpace
    files: tuple[Path, ...]


class Teachers:
    """What they say together: for each species the weighted mean of those that know it.

    Each hears a crop as ``rfcx-ssl detect`` hears a recording of its length: through its own windows, at its own rate.

    Args:
        scorers: the teachers.
        settings: their weights, and which species they teach.
        species: the student's.
        grid: the student's frames.

    Raises:
        ConfigError: ``settings.species`` names none of the student's, or one that no teacher knows.
    """

    def __init__(
        self, scorers: Sequence[Scorer], settings: TeacherSettings, species: SpeciesTable, grid: FrameGrid
    ) -> None:
        self.scorers, self.species, self.grid = tuple(scorers), species, grid
        wanted = {_species_id(species, name) for name in settings.species} or set(range(len(species)))
        weights = settings.weights or (1.0,) * len(scorers)
        self._shares = torch.zeros(len(scorers), len(species), dtype=torch.float64)  # of each teacher in each species
        self._columns: list[tuple[list[int], list[int]]] = []  # species, and where they are among the teacher's
        for row, scorer in enumerate(scorers):
            pairs = {species.id_of(name): column for column, name in enumerate(scorer.species.names)}
            known = [number for number in range(len(species)) if number in pairs and number in wanted]
            self._columns.append((known, [pairs[number] for number in known]))
            self._shares[row, known] = weights[row]
        total = self._shares.sum(dim=0)
        self.known = total > 0  # (S,)
        if lacking := [name for name in settings.species if not self.known[_species_id(species, name)]]:
            raise ConfigError(f"teacher.species: no teacher knows {lacking[0]!r}")
        self._shares /= total.clamp(min=1e-300)
        self.embedding_dims = tuple(scorer.embedding_dim for scorer in scorers)

    @property
    def rates_hz(self) -> tuple[int, ...]:
        """Rates at which some teacher hears."""
        return tuple(sorted({scorer.grid.sample_rate_hz for scorer in self.scorers}))

    def summary(self) -> str:
        """Who teaches what, in a line."""
        names = [name for name, known in zip(self.species.names, self.known.tolist(), strict=True) if not known]
        untaught = f"; not taught: {', '.join(names)}" if names else ""
        dims = " + ".join(str(dim) for dim in self.embedding_dims if dim) or "no"
        teachers = ", ".join(scorer.name for scorer in self.scorers)
        return f"{teachers}: {int(self.known.sum())} of {len(self.species)} species, {dims} features{untaught}"

    def hear(self, crops: Mapping[int, Tensor], num_frames: int) -> Taught:
        """What they say of crops (B, n) by rate, on ``num_frames`` frames of the student; float32 on the CPU.

        Raises:
            RfcxError: a teacher cannot hear the crops, or its scores are not numbers.
        """
        size = len(next(iter(crops.values())))
        frame = torch.zeros(size, num_frames, len(self.species), dtype=torch.float64)
        clip = torch.zeros(size, len(self.species), dtype=torch.float64)
        embeddings = []
        for scorer, (known, columns), shares in zip(self.scorers, self._columns, self._shares, strict=True):
            heard = _hear(scorer, crops[scorer.grid.sample_rate_hz], self.grid, num_frames)
            frame[:, :, known] += shares[known] * heard.frame[:, :, columns].double()
            clip[:, known] += shares[known] * heard.clip[:, columns].double()
            embeddings.append(heard.embedding)
        return Taught(frame.float(), clip.float(), torch.cat(embeddings, dim=1))


def open_teachers(settings: TeacherSettings, species_file: Path | None, *, device: str = "auto") -> OpenTeachers:
    """Open all teachers.

    Args:
        settings: who teaches.
        species_file: the student's species; None takes the outputs of the first teacher that is a model of ours.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        ConfigError: nobody says what the student's species are.
        RfcxError: a teacher cannot be opened.
    """
    descriptions = [description_of(source) for source in settings.models]
    ours = {
        source: _open_ours(source, settings, device)
        for source, description in zip(settings.models, descriptions, strict=True)
        if description is None
    }
    if species_file is not None:
        space = label_space(read_species(species_file))
    elif ours:
        space = _space_of(next(iter(ours.values()))[0])
    else:
        raise ConfigError("data.species_file must name the student's species: no teacher is a model of ours")
    scorers: list[Scorer] = []
    files: list[Path] = []
    for source, description in zip(settings.models, descriptions, strict=True):
        if description is None:
            scorer, place = ours[source]
            scorers.append(scorer)
            files.append(place)
        else:
            classifier = WindowClassifier(description, source, space.species, device)
            scorers.append(classifier)
            files += [description, *classifier.files]
    return OpenTeachers(tuple(scorers), space, tuple(files))


def _open_ours(source: str, settings: TeacherSettings, device: str) -> tuple[Scorer, Path]:
    if source.endswith(".onnx"):
        return open_scorer(source, backend="onnx", device=device), Path(source)
    model = str(find_model(source).model) if Path(source).exists() else source
    return open_scorer(model, device=device, precision=settings.precision), model_folder(model)


def _space_of(scorer: Scorer) -> LabelSpace:
    assert isinstance(scorer, TorchScorer | OnnxScorer)
    return scorer.model.space if isinstance(scorer, TorchScorer) else scorer.facts.space


def _hear(scorer: Scorer, crops: Tensor, grid: FrameGrid, num_frames: int) -> Taught:
    """What one teacher says of crops (B, n): its own species, on ``num_frames`` frames of ``grid``; embeddings are means over windows."""
    batches = Batches(scorer, len(crops))
    embeddings: list[list[Tensor]] = [[] for _ in crops]
    streams = [RecordingStream(batches, _keeping(kept), "a crop") for kept in embeddings]
    for stream, crop in zip(streams, crops.cpu(), strict=True):
        stream.push(crop)
        stream.end()
    batches.flush()
    frames, clips = [], []
    for stream in streams:
        piece = stream.ready()
        assert piece is not None  # a crop has samples
        regrid = Regrid(scorer.grid, grid)
        regrid.push(piece.frame)
        regrid.ended = True
        frames.append(regrid.take(num_frames))
        clips.append(piece.clip)
    means = torch.stack([torch.stack(kept).mean(dim=0) for kept in embeddings])
    return Taught(torch.stack(frames), torch.stack(clips), means)


def _keeping(kept: list[Tensor]) -> Callable[[int, OneWindow], None]:
    """Keeps the embedding of every window it is told of."""
    return lambda _start, window: kept.append(window.embedding)


def _species_id(species: SpeciesTable, name: str) -> int:
    number = species.id_of(name)
    if number is None:
        raise ConfigError(f"teacher.species: the student has no species {name!r}{did_you_mean(name, species.names)}")
    return number
