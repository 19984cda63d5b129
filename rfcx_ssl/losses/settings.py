"""Settings of the training loss: one cell loss on frames and clips, and weighted extra terms."""

from typing import Literal

from rfcx_ssl.settings import settings


@settings
class LossSettings:
    """``loss = (1 - clip_ratio) * frame + clip_ratio * clip + sum of weight * extra term``."""

    cell: Literal["bce", "focal", "asymmetric"] = "bce"
    clip_ratio: float = 0.5
    weighting: Literal["box", "cell"] = "box"  # every box counts the same, or every known frame does
    unknown_weight: float = 0.0  # box: of all unknown frames of a clip and output together; cell: of each
    unknown_target: float = 0.0  # what unknown cells are taught, where they weigh anything
    label_smoothing: float = 0.0  # known targets y become y * (1 - e) + e / 2
    pos_weight: tuple[float, ...] = ()  # one per output, one for all, or none
    focal_gamma: float = 2.0
    focal_alpha: float | None = None
    asymmetric_gamma_positive: float = 0.0
    asymmetric_gamma_negative: float = 4.0
    asymmetric_margin: float = 0.05
    activity_weight: float = 0.0  # "anything calling in this frame?", needs model.head.activity
    lsep_weight: float = 0.0
    lwlrap_weight: float = 0.0
    lwlrap_temperature: float = 1.0
    center_weight: float = 0.0

    def __post_init__(self) -> None:
        """Check the rules between fields."""
        for name in ("clip_ratio", "unknown_target", "label_smoothing"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        names = ("unknown_weight", "activity_weight", "lsep_weight", "lwlrap_weight", "center_weight", "focal_gamma")
        for name in names:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
        if self.lwlrap_temperature <= 0:
            raise ValueError(f"lwlrap_temperature must be > 0, got {self.lwlrap_temperature}")
        if not 0 <= self.asymmetric_margin < 1:
            raise ValueError(f"asymmetric_margin must be in [0, 1), got {self.asymmetric_margin}")
        if 0 < self.asymmetric_gamma_negative < 1 or self.asymmetric_gamma_negative < 0:
            raise ValueError(f"asymmetric_gamma_negative must be 0 or >= 1, got {self.asymmetric_gamma_negative}")
