"""The label space: what a model's outputs stand for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rfcx_ssl.errors import AnnotationError, some_of
from rfcx_ssl.species.table import SpeciesTable

SHOWN = 5  # names in a message


@dataclass(frozen=True)
class LabelSpace:
    """The K outputs of a model and the S species they are scored as.

    ``output_species[k]`` is the species of output ``k``, or -1 for the noise class; ``output_songtype[k]`` is the song
    type an output is limited to, or None for any. Several outputs of one species are merged by max.
    """

    species: SpeciesTable
    output_names: tuple[str, ...]
    output_species: tuple[int, ...]
    output_songtype: tuple[int | None, ...]
    _outputs: Mapping[tuple[int, int | None], int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not len(self.output_names) == len(self.output_species) == len(self.output_songtype):
            raise ValueError("output_names, output_species and output_songtype must have one entry per output")
        if len(set(self.output_names)) < len(self.output_names):
            twice = next(name for name in self.output_names if self.output_names.count(name) > 1)
            raise ValueError(f"{twice!r} stands for two outputs of the model")
        if wrong := [s for s in self.output_species if type(s) is not int or not -1 <= s < len(self.species)]:
            raise ValueError(f"output_species={wrong[0]!r:.40} must be 0 to {len(self.species) - 1}, or -1 for noise")
        pairs = zip(self.output_species, self.output_songtype, strict=True)
        object.__setattr__(self, "_outputs", {pair: k for k, pair in enumerate(pairs)})

    @property
    def species_names(self) -> tuple[str, ...]:
        """Name of each species (S,)."""
        return self.species.names

    @property
    def num_outputs(self) -> int:
        """K, the number of model outputs."""
        return len(self.output_names)

    @property
    def num_species(self) -> int:
        """S, the number of species that are scored."""
        return len(self.species)

    @property
    def noise_output(self) -> int | None:
        """Index of the noise class, or None."""
        return self.output_species.index(-1) if -1 in self.output_species else None

    @cached_property
    def outputs_of(self) -> tuple[tuple[int, ...], ...]:
        """Outputs of each species (S,); empty for a species that the model has no output for."""
        outputs: list[list[int]] = [[] for _ in range(self.num_species)]
        for output, species in enumerate(self.output_species):
            if species >= 0:
                outputs[species].append(output)
        return tuple(map(tuple, outputs))

    def output_of(self, species_id: int, songtype_id: int | None = None) -> int:
        """Output index of a species (and song type, where the space tells song types apart)."""
        index = self._outputs.get((species_id, None), self._outputs.get((species_id, songtype_id)))
        if index is None:
            raise AnnotationError(
                f"species {species_id} songtype {songtype_id} is not among {self.num_species} species"
            )
        return index


def label_space(species: SpeciesTable, *, split_songtypes: bool = False, noise_class: bool = False) -> LabelSpace:
    """One output per species, or per song type where a species has several of them; plus one for noise where asked.

    Outputs are named by the species' codes (names, where there are none), song types as ``s17_song4``.
    """
    outputs: list[tuple[str, int, int | None]] = []
    for species_id, code in enumerate(species.codes):
        songs = [call.songtype_id for call in species.calls_of(species_id)]
        if split_songtypes and len(songs) > 1:
            outputs += [(f"{code}_song{song}", species_id, song) for song in songs]
        else:
            outputs.append((code, species_id, None))
    if noise_class:
        outputs.append(("noise", -1, None))
    names, species_ids, songtypes = zip(*outputs, strict=True)
    return LabelSpace(species, names, species_ids, songtypes)


def species_difference(model: LabelSpace, data: LabelSpace) -> str | None:
    """How the species and outputs of a model differ from those of the data, in one clause; None where they do not."""
    ours, theirs = model.species_names, data.species_names
    if ours == theirs:
        if model.output_names == data.output_names:
            return None
        ours, theirs = model.output_names, data.output_names
        shared = set(ours) & set(theirs)
        differing = [name for name in (*ours, *theirs) if name not in shared]
        what = f": {_quoted(differing)}" if differing else ", in another order"
        return f"the model has {len(ours)} outputs, the data {len(theirs)}{what}"
    shared = set(ours) & set(theirs)
    gone, added = [n for n in ours if n not in shared], [n for n in theirs if n not in shared]
    if not gone and not added:
        return f"its {len(ours)} species are those of the data in another order"
    parts = [f"the data lack {_quoted(gone)}"] if gone else []
    parts += [f"the model lacks {_quoted(added)}"] if added else []
    return f"its {len(ours)} species are not the {len(theirs)} of the data: {', '.join(parts)}"


def _quoted(names: Sequence[str]) -> str:
    return some_of([repr(name) for name in names], SHOWN)
