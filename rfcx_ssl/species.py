"""The 24 RFCX species and the label space a model is trained on.

Bands, durations, counts and song types are those of the competition's label tables; test prevalences are the
publicly probed ones (occurrences per 1,000 test recordings). Names are the 11th place's guess, not official.
"""

from dataclasses import dataclass, field

from rfcx_ssl.errors import AnnotationError


@dataclass(frozen=True, slots=True)
class Species:
    """One species and one song type of it: a frequency band, a typical call length and a test prevalence."""

    species_id: int
    songtype_id: int
    name: str
    f_min_hz: float
    f_max_hz: float
    duration_s: float
    prevalence: float  # fraction of test recordings that contain the species (per species, not per song type)


def _row(species: int, song: int, name: str, low: float, high: float, duration_s: float, per_mille: int) -> Species:
    return Species(species, song, name, low, high, duration_s, per_mille / 1000)


RFCX_CALLS: tuple[Species, ...] = (
    _row(0, 1, "Eleutherodactylus gryllus", 5906, 8250, 0.79, 113),
    _row(1, 1, "Eleutherodactylus brittoni", 3844, 5625, 0.90, 204),
    _row(2, 1, "Leptodactylus albilabris", 469, 3000, 1.78, 44),
    _row(3, 1, "Eleutherodactylus coqui", 1031, 2812, 0.74, 923),
    _row(4, 1, "Eleutherodactylus hedricki", 2344, 4219, 1.86, 53),
    _row(5, 1, "Setophaga angelae", 4781, 11250, 2.35, 41),
    _row(6, 1, "Melanerpes portoricensis", 562, 4406, 2.14, 3),
    _row(7, 1, "Coereba flaveola", 4688, 11438, 3.14, 213),
    _row(8, 1, "Eleutherodactylus locustus", 3750, 5531, 4.12, 44),
    _row(9, 1, "Margarops fuscatus", 844, 5719, 3.56, 23),
    _row(10, 1, "Loxigilla portoricensis", 947, 10853, 2.44, 26),
    _row(11, 1, "Vireo altiloquus", 1809, 5685, 1.14, 149),
    _row(12, 1, "Eleutherodactylus portoricensis", 562, 3281, 3.14, 255),
    _row(13, 1, "Megascops nudipes", 94, 1406, 0.62, 14),
    _row(14, 1, "Eleutherodactylus richmondi", 2531, 6469, 0.59, 123),
    _row(15, 1, "Patagioenas squamosa", 94, 1125, 3.34, 222),
    _row(16, 4, "Eleutherodactylus antillensis", 3094, 4594, 1.83, 46),
    _row(17, 1, "Turdus plumbeus", 1312, 3938, 6.45, 6),
    _row(17, 4, "Turdus plumbeus", 1312, 7406, 2.61, 6),
    _row(18, 1, "Eleutherodactylus unicolor", 3188, 5062, 0.69, 474),
    _row(19, 1, "Coccyzus vieilloti", 281, 2812, 1.55, 4),
    _row(20, 1, "Todus mexicanus", 1312, 6094, 3.44, 17),
    _row(21, 1, "Eleutherodactylus wightmanae", 3281, 4125, 1.09, 18),
    _row(22, 1, "Nesospingus speculiferus", 10688, 13688, 1.61, 23),
    _row(23, 1, "Spindalis portoricensis", 7235, 11283, 6.08, 72),
    _row(23, 4, "Spindalis portoricensis", 6460, 11628, 7.92, 72),
)

RFCX_NUM_SPECIES = 24


def rfcx_prevalence() -> tuple[float, ...]:
    """Test prevalence of each RFCX species, in species order (24 values)."""
    by_species = {call.species_id: call.prevalence for call in RFCX_CALLS}
    return tuple(by_species[species] for species in range(RFCX_NUM_SPECIES))


def typical_call(species_id: int, songtype_id: int | None = None) -> Species | None:
    """The call of a species in RFCX (of the song type, if there is such a one), or None for a foreign species."""
    calls = [call for call in RFCX_CALLS if call.species_id == species_id]
    exact = [call for call in calls if call.songtype_id == songtype_id]
    return next(iter(exact or calls), None)


def first_songtype(species_id: int) -> int:
    """What a species without a song type means: its first one; 1 for a foreign species."""
    call = typical_call(species_id)
    return call.songtype_id if call else 1


@dataclass(frozen=True)
class LabelSpace:
    """The K outputs of a model and the S species they are scored as.

    ``output_species[k]`` is the species of output ``k``, or -1 for the noise class; ``output_songtype[k]`` is the song
    type an output is limited to, or None for any. Several outputs of one species are merged by max.
    """

    species_names: tuple[str, ...]
    output_names: tuple[str, ...]
    output_species: tuple[int, ...]
    output_songtype: tuple[int | None, ...]
    _outputs: dict[tuple[int, int | None], int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not len(self.output_names) == len(self.output_species) == len(self.output_songtype):
            raise ValueError("output_names, output_species and output_songtype must have one entry per output")
        pairs = zip(self.output_species, self.output_songtype, strict=True)
        object.__setattr__(self, "_outputs", {pair: k for k, pair in enumerate(pairs)})

    @property
    def num_outputs(self) -> int:
        """K, the number of model outputs."""
        return len(self.output_names)

    @property
    def num_species(self) -> int:
        """S, the number of species that are scored."""
        return len(self.species_names)

    @property
    def noise_output(self) -> int | None:
        """Index of the noise class, or None."""
        return self.output_species.index(-1) if -1 in self.output_species else None

    def output_of(self, species_id: int, songtype_id: int | None = None) -> int:
        """Output index of a species (and song type, where the space tells song types apart)."""
        index = self._outputs.get((species_id, None), self._outputs.get((species_id, songtype_id)))
        if index is None:
            raise AnnotationError(
                f"species {species_id} songtype {songtype_id} is not among {self.num_species} species"
            )
        return index


def rfcx_label_space(*, split_songtypes: bool = False, noise_class: bool = False) -> LabelSpace:
    """24 outputs, or 26 with species 17 and 23 split by song type; plus one for noise where asked."""
    names = {call.species_id: call.name for call in RFCX_CALLS}
    songs = {s: [c.songtype_id for c in RFCX_CALLS if c.species_id == s] for s in names}
    outputs: list[tuple[str, int, int | None]] = []
    for species in range(RFCX_NUM_SPECIES):
        if split_songtypes and len(songs[species]) > 1:
            outputs += [(f"s{species}_song{song}", species, song) for song in songs[species]]
        else:
            outputs.append((f"s{species}", species, None))
    if noise_class:
        outputs.append(("noise", -1, None))
    output_names, output_species, output_songtype = zip(*outputs, strict=True)
    return LabelSpace(tuple(names[s] for s in range(RFCX_NUM_SPECIES)), output_names, output_species, output_songtype)
