"""The choice among models, as the settings door sees it: a union of all registered kinds."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated

from rfcx_ssl.models.encoder import SedSettings
from rfcx_ssl.models.registry import ENCODERS
from rfcx_ssl.settings import BY_KIND

if TYPE_CHECKING:
    ModelSettings = SedSettings
else:
    ModelSettings = Annotated[reduce(or_, ENCODERS.values()), BY_KIND]
