"""What a synthetic rainforest is made of: size, difficulty and labelling."""

from rfcx_ssl.settings import settings


@settings
class SynthSettings:
    """Every number that decides how large, how hard and how completely labelled the forest is.

    docs/synthetic-data.md describes what each one does to a model. Probabilities and fractions lie in [0, 1].
    """

    seed: int = 0
    # size
    train_recordings: int = 720
    test_recordings: int = 240
    duration_s: float = 20.0
    train_sites: int = 16
    test_sites: int = 8
    # how audible calls are
    snr_min_db: float = -5.0
    snr_max_db: float = 15.0
    call_rate: float = 1.0
    second_individual: float = 0.35
    pitch_variation: float = 0.05
    tempo_variation: float = 0.08
    reverb: float = 0.6
    # what else is heard
    rain: float = 0.25
    wind: float = 0.35
    stream: float = 0.3
    insects: float = 1.5
    chorus: float = 0.5
    distractors: float = 2.0
    site_response_db: float = 6.0
    night: float = 0.55
    # what the tables say
    tp_fraction: float = 1.0
    tp_min_snr_db: float = 0.0
    second_tp: float = 0.06
    fp_min: int = 3
    fp_max: int = 6
    fp_on_call: float = 0.6
    box_jitter_s: float = 0.05

    def __post_init__(self) -> None:
        """Reject sizes, ranges and probabilities that make no forest."""
        for key in ("train_recordings", "test_recordings", "train_sites", "test_sites"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)} must be at least 1")
        if not 10.0 <= self.duration_s <= 600.0:
            raise ValueError(f"duration_s={self.duration_s} must lie in [10, 600]: boxes are up to 7.92 s long")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed} must not be negative")
        if not -30.0 <= self.snr_min_db <= self.snr_max_db <= 60.0:
            raise ValueError(f"need -30 <= snr_min_db <= snr_max_db <= 60, got {self.snr_min_db}, {self.snr_max_db}")
        if not 0 <= self.fp_min <= self.fp_max:
            raise ValueError(f"need 0 <= fp_min <= fp_max, got {self.fp_min}, {self.fp_max}")
        for key in ("second_individual", "reverb", "rain", "wind", "stream", "chorus", "tp_fraction", "second_tp"):
            self._within(key, 0.0, 1.0)
        for key, low, high in _RANGES:
            self._within(key, low, high)

    def _within(self, key: str, low: float, high: float) -> None:
        if not low <= getattr(self, key) <= high:
            raise ValueError(f"{key}={getattr(self, key)} must lie in [{low:g}, {high:g}]")


_RANGES = (
    ("fp_on_call", 0.0, 1.0),
    ("night", 0.1, 0.9),
    ("call_rate", 0.1, 5.0),
    ("pitch_variation", 0.0, 0.2),
    ("tempo_variation", 0.0, 0.25),
    ("insects", 0.0, 8.0),
    ("distractors", 0.0, 20.0),
    ("site_response_db", 0.0, 20.0),
    ("box_jitter_s", 0.0, 0.5),
    ("tp_min_snr_db", -30.0, 60.0),
)
