"""3x3 convolutions on a CPU with a quarter of the multiplications: F(4x4, 3x3) of Lavin & Gray (2015, arXiv:1509.09308).

A tile of 4x4 outputs is made of 6x6 inputs. Both are polynomials' values at the points 0, 1, -1, 2, -2 and infinity, where a
convolution is a product: 36 of them for each tile and pair of channels instead of 144. The way there and back costs time for each
channel, not for each pair, so that many channels gain most; what all of it gains is in docs/benchmarks.md.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEWEST_CHANNELS = 64  # with fewer, the way there and back costs what the products save
LARGEST_WEIGHT = 512 * 512  # pairs of channels: 36 numbers each, 38 MB; larger ones wait for memory

# Lavin & Gray, section 4.3
_INPUT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_WEIGHT = ((6, 0, 0), (-4, -4, -4), (-4, 4, -4), (1, 2, 4), (1, -2, 4), (0, 0, 24))  # over 24
_OUTPUT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


def gains(conv: nn.Conv2d) -> bool:
    """Whether :class:`WinogradConv` can stand for a convolution, and is faster."""
    plain = (conv.kernel_size, conv.stride, conv.dilation) == ((3, 3), (1, 1), (1, 1)) and conv.groups == 1
    padded = conv.padding == (1, 1) and conv.padding_mode == "zeros"
    channels = (conv.in_channels, conv.out_channels)
    return plain and padded and min(channels) >= FEWEST_CHANNELS and channels[0] * channels[1] <= LARGEST_WEIGHT


class WinogradConv(nn.Module):
    """The convolution of ``conv``, for which :func:`gains` holds: (B, C, H, W) -> (B, K, H, W), channels last, float32."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        to_weight = torch.tensor(_WEIGHT, dtype=torch.float64) / 24
        weight = torch.einsum("ai,bj,kcij->abck", to_weight, to_weight, conv.weight.detach().double())
        self.weight = weight.flatten(0, 1).float().contiguous()  # (36, C, K)
        self.bias = None if conv.bias is None else conv.bias.detach()
        self.to_input, self.to_output = (torch.tensor(rows, dtype=torch.float32) for rows in (_INPUT, _OUTPUT))

    def forward(self, x: Tensor) -> Tensor:
        """Some rows of tiles after another, or those of some images where they are small."""
        batch, _, height, width = x.shape
        down, across, outputs = -(-height // 4), -(-width // 4), self.weight.shape[2]
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 4 * across + 1 - width, 1, 4 * down + 1 - height))
        tiles = padded.unfold(1, 6, 4).unfold(2, 6, 4).permute(4, 5, 0, 1, 2, 3)  # (6, 6, B, down, across, C)
        answer = x.new_empty(batch, down, 4, across, 4, outputs)
        answer_tiles = answer.permute(2, 4, 0, 1, 3, 5)  # (4, 4, B, down, across, K)
        rows = max(outputs // across, 1)  # about as many tiles at once as there are channels: they stay in the cache
        images = max(rows // down, 1)
        for image in range(0, batch, images):
            for row in range(0, down, rows):
                place = (..., slice(image, image + images), slice(row, row + rows), slice(None), slice(None))
                some = answer_tiles[place]
                some.copy_(self._tiles(tiles[place]).view(some.shape))
        return answer.view(batch, 4 * down, 4 * across, outputs)[:, :height, :width].permute(0, 3, 1, 2)

    def _tiles(self, tiles: Tensor) -> Tensor:
        """(6, 6, ..., C) -> (16 P, K) for P tiles."""
        inputs, outputs = self.weight.shape[1:]
        values = self.to_input @ (self.to_input @ tiles.reshape(6, -1)).view(6, 6, -1)
        products = torch.bmm(values.view(36, -1, inputs), self.weight)
        found = (self.to_output @ (self.to_output @ products.view(6, -1)).view(4, 6, -1)).view(-1, outputs)
        return found if self.bias is None else found.add_(self.bias)
