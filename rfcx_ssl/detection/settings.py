"""Settings of detection: windows, decoding, and how the work is cut."""

from rfcx_ssl.decoding.settings import DecodeSettings
from rfcx_ssl.inference.settings import WindowSettings
from rfcx_ssl.settings import settings

#: Of event tables.
FORMATS = ("csv", "parquet", "jsonl", "raven", "audacity", "kaleidoscope", "birdnet")
#: What may be written beside events and scores.
SAVES = ("windows", "frames", "embeddings", "embeddings_npz", "clips")


@settings
class DetectSettings(WindowSettings, DecodeSettings):
    """configs/inference/detect.yaml says what each key does."""

    batch_size: int = 8
    block_s: float = 30.0
    picture_s: float = 60.0

    def __post_init__(self) -> None:
        """Reject values without a meaning; ``ValueError`` names key, value and rule."""
        WindowSettings.__post_init__(self)
        DecodeSettings.__post_init__(self)
        if self.batch_size < 1 or self.block_s < 1 or self.picture_s < 1:
            raise ValueError("batch_size, block_s and picture_s must be at least 1")
