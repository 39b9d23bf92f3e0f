"""Words and frames are drawn to the sound they belong to."""

import torch

from diegetic.config import LATENT_DIM
from diegetic.model.dit import TOKENS, WIDTH, DiT
from diegetic.snapshot import FRAME_TOKENS, SLOTS
from diegetic.training.alignment import TEXT_TOKENS, AlignedDiT, Alignment

CHUNKS, CLIPS = 2, 8


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens that tell the clip, and latents that do; chunks of one clip are alike."""
    clips = torch.arange(CLIPS).repeat_interleave(CHUNKS)
    told, heard = torch.randn(CLIPS, WIDTH), torch.randn(CLIPS, LATENT_DIM)
    tokens = told[clips][:, None].expand(-1, TOKENS, -1)
    latents = heard[clips][:, None] + 0.1 * torch.randn(len(clips), 11, LATENT_DIM)
    return tokens, torch.ones(len(clips), SLOTS), latents, clips


def test_what_belongs_together_is_found() -> None:
    torch.manual_seed(0)
    tokens, present, latents, clips = batch()
    heads = Alignment()
    optimiser = torch.optim.Adam(heads.parameters(), 3e-3)
    before = float(heads(tokens, present, latents, clips).detach())
    for _ in range(60):
        optimiser.zero_grad()
        loss = heads(tokens, present, latents, clips)
        torch.autograd.backward(loss)
        optimiser.step()
    after = float(heads(tokens, present, latents, clips).detach())
    shuffled = float(heads(tokens, present, latents.roll(CHUNKS, 0), clips).detach())
    assert after < 0.3 * before
    assert shuffled > before


def test_what_is_hidden_is_not_compared() -> None:
    torch.manual_seed(0)
    tokens, present, latents, clips = batch()
    present[:, TEXT_TOKENS] = 0
    present[:, FRAME_TOKENS] = 0
    assert float(Alignment()(tokens, present, latents, clips).detach()) == 0


def test_chunks_of_one_clip_are_not_held_against_each_other() -> None:
    """Alike as they are, they would cost log 2 however well the clips are told apart."""
    torch.manual_seed(0)
    tokens, present, latents, clips = batch()
    heads = Alignment()
    heads.sharpness.data.fill_(6.0)
    for head in heads.said:
        torch.nn.init.zeros_(head.bias)
    apart = heads(tokens, present, latents, torch.arange(len(clips)))
    together = heads(tokens, present, latents, clips)
    assert float(together.detach()) < float(apart.detach())


def test_the_heads_are_beside_the_model_that_ships() -> None:
    ours = {name for name in AlignedDiT().state_dict() if not name.startswith("alignment.")}
    assert ours == set(DiT().state_dict())
