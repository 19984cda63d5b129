"""The choice among models, as the settings door sees it."""

from typing import Annotated

from pydantic import Discriminator

from rfcx_ssl.models.panns import PannsSettings
from rfcx_ssl.models.spectrogram import SpectrogramSettings
from rfcx_ssl.models.wav2vec import Wav2Vec2Settings

ModelSettings = Annotated[PannsSettings | SpectrogramSettings | Wav2Vec2Settings, Discriminator("kind")]
