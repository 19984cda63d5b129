"""From frame features to frame, clip and activity logits."""

from typing import Literal

from torch import Tensor, nn

from rfcx_ssl.models.classifier import ClassifierSettings, LinearSettings, make_classifier
from rfcx_ssl.models.outputs import SedOutput
from rfcx_ssl.models.pooling import AttentionPoolingSettings, ClipPooling, PoolingSettings, multiply_probabilities
from rfcx_ssl.settings import settings


@settings
class HeadSettings:
    """The classification head, the same for every encoder."""

    classify: ClassifierSettings = LinearSettings()
    pooling: PoolingSettings = AttentionPoolingSettings()
    dropout: float = 0.1
    activity: Literal["none", "auxiliary", "multiply"] = "none"  # "is anything calling in this frame?"
    initial_probability: float = 0.05  # what every output says before training (focal loss paper, section 4.1)

    def __post_init__(self) -> None:
        """Check the rules between fields."""
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if not 0 < self.initial_probability < 1:
            raise ValueError(f"initial_probability must be in (0, 1), got {self.initial_probability}")


class SedHead(nn.Module):
    """Features (B, T, D) -> :class:`SedOutput`; logits are float32 whatever the autocast type.

    An activity head that multiplies does so on probabilities: ``frame_logits`` is then the logit of
    ``sigmoid(class) * sigmoid(activity)``, so a silent frame tends to 0 and not to 0.5.
    """

    def __init__(self, settings: HeadSettings, dim: int, num_outputs: int) -> None:
        super().__init__()
        self.multiplies = settings.activity == "multiply"
        self.dropout = nn.Dropout(settings.dropout)
        self.classify = make_classifier(settings.classify, dim, num_outputs, settings.initial_probability)
        self.activity = None if settings.activity == "none" else nn.Linear(dim, 1)
        self.pooling = ClipPooling(settings.pooling, dim, num_outputs)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> SedOutput:
        """``mask`` (B, T) is true for frames inside the recording; None when all are."""
        dropped = self.dropout(features)
        frame_logits = self.classify(dropped).float()
        activity_logits = None
        if self.activity is not None:
            activity_logits = self.activity(dropped).float().squeeze(-1)
            if self.multiplies:
                frame_logits = multiply_probabilities(frame_logits, activity_logits[:, :, None])
        return SedOutput(
            frame_logits=frame_logits,
            clip_logits=self.pooling(frame_logits, dropped, mask),
            activity_logits=activity_logits,
            embedding=_mean_over_time(features, mask),
        )


def _mean_over_time(features: Tensor, mask: Tensor | None) -> Tensor:
    """(B, T, D) -> (B, D) float32."""
    if mask is None:
        return features.float().mean(dim=1)
    weight = mask[:, :, None].float()
    return (features.float() * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
