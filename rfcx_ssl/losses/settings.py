"""Settings of the training loss: one cell loss on frames and clips, and extra terms, each off (null) by default."""

from typing import Annotated, Literal

from rfcx_ssl.settings import BY_KIND, settings


@settings
class BceSettings:
    """Binary cross-entropy."""

    kind: Literal["bce"] = "bce"


@settings
class FocalSettings:
    """Focal loss: easy cells count less."""

    kind: Literal["focal"] = "focal"
    gamma: float = 2.0
    alpha: float | None = None  # positives weigh alpha, negatives 1 - alpha; None weights neither

    def __post_init__(self) -> None:
        """Check the rules of the fields."""
        if self.gamma < 0:
            raise ValueError(f"gamma={self.gamma} must be 0 or more")
        if self.alpha is not None and not 0 < self.alpha < 1:
            raise ValueError(f"alpha={self.alpha} must be in (0, 1) or null")


@settings
class AsymmetricSettings:
    """Asymmetric loss: easy negatives count less, those below the margin not at all."""

    kind: Literal["asymmetric"] = "asymmetric"
    gamma_positive: float = 0.0
    gamma_negative: float = 4.0
    margin: float = 0.05

    def __post_init__(self) -> None:
        """Check the rules of the fields."""
        if self.gamma_positive < 0:
            raise ValueError(f"gamma_positive={self.gamma_positive} must be 0 or more")
        if 0 < self.gamma_negative < 1 or self.gamma_negative < 0:
            raise ValueError(f"gamma_negative={self.gamma_negative} must be 0 or >= 1")
        if not 0 <= self.margin < 1:
            raise ValueError(f"margin={self.margin} must be in [0, 1)")


CellSettings = Annotated[BceSettings | FocalSettings | AsymmetricSettings, BY_KIND]


@settings
class UnknownSettings:
    """What cells that nobody judged teach."""

    weight: float  # box: of all unknown frames of a crop and output together; cell: of each
    target: float = 0.0

    def __post_init__(self) -> None:
        """Check the rules of the fields."""
        if self.weight <= 0:
            raise ValueError(f"weight={self.weight} must be above 0; null leaves unknown cells out")
        if not 0 <= self.target <= 1:
            raise ValueError(f"target={self.target} must be in [0, 1]")


@settings
class ExtraTermSettings:
    """A term beside frames and clips."""

    weight: float = 1.0

    def __post_init__(self) -> None:
        """Check the rules of the fields."""
        if self.weight <= 0:
            raise ValueError(f"weight={self.weight} must be above 0; null leaves the term out")


@settings
class ActivitySettings(ExtraTermSettings):
    """Cross-entropy of "is anything calling in this frame?"; needs ``model.head.activity``."""

    silence_weight: float = 0.0  # of a frame where no call is known and not every output is known to be absent

    def __post_init__(self) -> None:
        """Check the rules of the fields."""
        super().__post_init__()
        if not 0 <= self.silence_weight <= 1:
            raise ValueError(f"silence_weight={self.silence_weight} must be in [0, 1]")


@settings
class LsepSettings(ExtraTermSettings):
    """Log-sum-exp pairwise ranking of the clip outputs of a crop."""


@settings
class LwlrapSettings(ExtraTermSettings):
    """One minus a differentiable LWLRAP of the clip scores."""

    temperature: float = 1.0  # of the sigmoids that stand for "ranked above"

    def __post_init__(self) -> None:
        """Check the rules of the fields."""
        super().__post_init__()
        if self.temperature <= 0:
            raise ValueError(f"temperature={self.temperature} must be above 0")


@settings
class CenterSettings(ExtraTermSettings):
    """Embeddings drawn to the learned centers of a crop's species."""


@settings
class LossSettings:
    """``loss = (1 - clip_ratio) * frame + clip_ratio * clip + sum of weight * extra term``."""

    cell: CellSettings = BceSettings()
    clip_ratio: float = 0.5
    weighting: Literal["box", "cell"] = "box"  # every box counts the same, or every known frame does
    unknown: UnknownSettings | None = None  # None: they teach nothing
    label_smoothing: float = 0.0  # known targets y become y * (1 - e) + e / 2
    pos_weight: tuple[float, ...] = ()  # one per output, one for all, or none
    activity: ActivitySettings | None = None
    lsep: LsepSettings | None = None
    lwlrap: LwlrapSettings | None = None
    center: CenterSettings | None = None

    def __post_init__(self) -> None:
        """Check the rules between fields."""
        for name in ("clip_ratio", "label_smoothing"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")


@settings
class EmbeddingSettings(ExtraTermSettings):
    """A student's embedding, projected, drawn to its teachers'."""

    distance: Literal["cosine", "mse"] = "cosine"


@settings
class DistillLossSettings:
    """``loss = (1 - clip_ratio) * frame + clip_ratio * clip + weight * embedding`` towards what teachers say."""

    temperature: float = 1.0  # above 1 the teachers' small probabilities count more
    clip_ratio: float = 0.5
    embedding: EmbeddingSettings | None = None  # None: what the teachers hear is not asked for

    def __post_init__(self) -> None:
        """Check the rules of the fields."""
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature={self.temperature} must be above 0 and finite")
        if not 0 <= self.clip_ratio <= 1:
            raise ValueError(f"clip_ratio={self.clip_ratio} must be in [0, 1]")
