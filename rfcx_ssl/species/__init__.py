"""Who sings: the table of a project's species, and the outputs of a model that is trained on them."""

from rfcx_ssl.species.read import read_species, rfcx_species, write_species
from rfcx_ssl.species.space import LabelSpace, label_space, species_difference
from rfcx_ssl.species.table import Call, SpeciesTable, name_key

__all__ = [
    "Call",
    "LabelSpace",
    "SpeciesTable",
    "label_space",
    "name_key",
    "read_species",
    "rfcx_species",
    "species_difference",
    "write_species",
]
