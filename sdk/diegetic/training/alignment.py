"""Pictures and words that mean the same sound are brought together: InfoNCE (arXiv 1807.03748).

What the conditioning net makes of a chunk's words, and of its frames, is pooled and held against
the sound itself: among the chunks of a batch each has to find its own. So a picture and its words
come to condition alike. Used in training alone; nothing of it ships.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from diegetic.config import LATENT_DIM
from diegetic.model.dit import WIDTH, DiT
from diegetic.snapshot import BLEND_TOKENS, FRAME_TOKENS

DIM = 128
TEXT_TOKENS = slice(0, BLEND_TOKENS.stop)


class Alignment(nn.Module):
    """Heads that map words, frames and sound into one space."""

    def __init__(self) -> None:
        super().__init__()
        self.said = nn.ModuleList(nn.Linear(WIDTH, DIM) for _ in range(2))
        self.sound = nn.Sequential(
            nn.Linear(2 * LATENT_DIM, WIDTH), nn.SiLU(), nn.Linear(WIDTH, DIM)
        )
        self.sharpness = nn.Parameter(torch.tensor(2.5))

    def forward(self, tokens: Tensor, present: Tensor, latents: Tensor, clips: Tensor) -> Tensor:
        """The loss of one batch.

        Args:
            tokens: (N, TOKENS, WIDTH), from `ConditioningNet.embed`.
            present: (N, SLOTS), 1.0 or 0.0.
            latents: (N, T, LATENT_DIM), clean.
            clips: (N,): chunks of one clip sound alike and are not held against each other.
        """
        features = torch.cat((latents.mean(1), latents.std(1)), dim=1)
        heard = functional.normalize(self.sound(features).float(), dim=1)
        same = clips[:, None] == clips[None]
        same.fill_diagonal_(False)
        loss = tokens.new_zeros((), dtype=torch.float32)
        for slots, head in zip((TEXT_TOKENS, FRAME_TOKENS), self.said, strict=True):
            shown = present[:, slots, None]
            counted = shown.sum(1)
            rows = counted[:, 0] > 0
            if int(rows.sum()) < 2:
                continue
            pooled = (tokens[:, slots] * shown).sum(1) / counted.clamp(min=1.0)
            said = functional.normalize(head(pooled).float(), dim=1)
            scores = said[rows] @ heard[rows].T * self.sharpness.exp()
            scores = scores.masked_fill(same[rows][:, rows], float("-inf"))
            target = torch.arange(len(scores), device=scores.device)
            loss = loss + functional.cross_entropy(scores, target)
            loss = loss + functional.cross_entropy(scores.T, target)
        return loss / 4


class AlignedDiT(DiT):
    """The transformer and, beside it, the heads that its conditioning is aligned with."""

    def __init__(self) -> None:
        super().__init__()
        self.alignment = Alignment()
