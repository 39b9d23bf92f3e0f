"""The networks: streaming is offline, and all chunks at once are the chunks one by one."""

import pytest
import torch
from torch import Tensor

from diegetic.codec import BANDS, FRAMES_PER_LATENT, LAG
from diegetic.config import LATENT_DIM, SAMPLES_PER_LATENT, StreamConfig
from diegetic.model.decoder import Decoder, roughness
from diegetic.model.dit import BLOCKS, HEAD_DIM, HEADS, HIDDEN, MODALITIES, Cross, DiT, Memory
from diegetic.model.inverse import synthesise
from diegetic.model.spectral import (
    band_levels,
    band_matrix,
    noise_spectra,
    stft,
    to_left_right,
    to_mid_side,
)
from diegetic.snapshot import BLEND_TOKENS, FRAME_DIM, FRAME_SLOTS, SLOTS, TEXT_DIM, WORD_SLOTS
from diegetic.training.parallel import clean_pass, layout, noisy_pass, null_cross

CONFIG = StreamConfig()


def stirred(module: torch.nn.Module) -> torch.nn.Module:
    """The module with no parameter at zero: a fresh one would make nothing at all."""
    for parameter in module.parameters():
        if not parameter.abs().sum():
            torch.nn.init.normal_(parameter, std=0.02)
    return module.eval()


@pytest.fixture
def dit() -> DiT:
    torch.manual_seed(0)
    model = stirred(DiT())
    assert isinstance(model, DiT)
    return model


def said(count: int) -> tuple[Tensor, ...]:
    return (
        torch.randn(count, WORD_SLOTS, TEXT_DIM) * 0.05,
        torch.randn(count, FRAME_SLOTS, FRAME_DIM),
        torch.rand(count, SLOTS),
        torch.randn(count, SLOTS),
        (torch.rand(count, SLOTS) > 0.5).float(),
    )


def repeated(cross: Cross, count: int) -> Cross:
    return Cross(*(x.expand(count, *x.shape[1:]) for x in vars(cross).values()))


@torch.no_grad()
def test_all_chunks_at_once_are_the_chunks_one_by_one(dit: DiT) -> None:
    chunks, batch = 11, 2  # 11 hops are more than the ring holds
    where = layout(torch.arange(chunks), CONFIG)
    hop, ring = CONFIG.hop_latents, CONFIG.prefix_latents
    clean = torch.randn(batch, len(where.clean_positions), LATENT_DIM)
    noisy = torch.randn(batch, chunks, CONFIG.chunk_latents, LATENT_DIM)
    t, guidance = torch.rand(batch, chunks), 1 + torch.rand(batch, chunks)
    cross = Cross(*dit.conditioning(*said(batch * chunks)))
    together = noisy_pass(dit, noisy, t, guidance, cross, clean_pass(dit, clean, where), where)
    null = repeated(null_cross(dit), batch)
    keys = torch.zeros(batch, BLOCKS, HEADS, ring, HEAD_DIM)
    values, bias = torch.zeros_like(keys), torch.full((batch, ring), HIDDEN)
    for k in range(chunks):
        prefix = Memory(keys, values, bias)
        index = torch.arange(batch) * chunks + k
        mine = Cross(*(x[index] for x in vars(cross).values()))
        velocity, _, _ = dit(noisy[:, k], t[:, k], guidance[:, k], mine, prefix)
        # float32 sums in another order through eight blocks
        torch.testing.assert_close(velocity, together[:, k], atol=5e-6, rtol=1e-5)
        if k + 1 < chunks:
            heard = clean[:, k * hop : (k + 1) * hop]
            _, new_keys, new_values = dit(
                heard, torch.zeros(batch), torch.ones(batch), null, prefix
            )
            keys = torch.cat((keys, new_keys), 3)[:, :, :, hop:]
            values = torch.cat((values, new_values), 3)[:, :, :, hop:]
            bias = torch.cat((bias, torch.zeros(batch, hop)), 1)[:, hop:]


@torch.no_grad()
def test_absent_slots_are_not_seen(dit: DiT) -> None:
    words, frames, values, times, present = said(1)
    present[:, 3] = 0
    keys, stacked, bias, gist = dit.conditioning(words, frames, values, times, present)
    words = words.clone()
    words[:, 3] = 9.0
    other_keys, other_stacked, _, other_gist = dit.conditioning(
        words, frames, values, times, present
    )
    ring = CONFIG.prefix_latents
    shape = (1, BLOCKS, HEADS, ring, HEAD_DIM)
    prefix = Memory(torch.zeros(shape), torch.zeros(shape), torch.full((1, ring), HIDDEN))
    latents, one = torch.randn(1, 10, LATENT_DIM), torch.ones(1)
    first, _, _ = dit(latents, one, one, Cross(keys, stacked, bias, gist), prefix)
    second, _, _ = dit(
        latents, one, one, Cross(other_keys, other_stacked, bias, other_gist), prefix
    )
    torch.testing.assert_close(first, second, atol=0, rtol=0)


@torch.no_grad()
def test_a_modality_that_says_nothing_shows_its_null_token_instead(dit: DiT) -> None:
    words, frames, values, times, present = said(1)
    starts = torch.tensor([0, *MODALITIES]).cumsum(0)
    for modality in range(len(MODALITIES)):
        present[:] = 1
        present[:, starts[modality] : starts[modality + 1]] = 0
        _, _, bias, _ = dit.conditioning(words, frames, values, times, present)
        nulls = bias[0, SLOTS:] == 0
        assert nulls.tolist() == [k == modality for k in range(len(MODALITIES))]


@torch.no_grad()
def test_the_prompts_steer_by_their_shares(dit: DiT) -> None:
    words, frames, values, times, present = said(1)
    present[:] = 0
    present[:, [0, BLEND_TOKENS.start]] = 1
    words[:, BLEND_TOKENS.start], times[:] = words[:, 0], 0
    values[:, 0], values[:, BLEND_TOKENS.start] = 0.25, 0.75

    def gist(order: list[int]) -> Tensor:
        mixed = values.clone()
        mixed[:, [0, BLEND_TOKENS.start]] = values[:, [[0, BLEND_TOKENS.start][k] for k in order]]
        return dit.conditioning(words, frames, mixed, times, present)[3]

    # The same text twice: it does not matter which slot says how much of it.
    torch.testing.assert_close(gist([0, 1]), gist([1, 0]))


@torch.no_grad()
@pytest.mark.parametrize("cuts", [[1, 1, 1], [2, 5], [7, 3, 1, 2]])
def test_decoding_in_pieces_equals_decoding_at_once(cuts: list[int]) -> None:
    torch.manual_seed(1)
    decoder = stirred(Decoder())
    decoder.latents.fit(torch.randn(2000, FRAMES_PER_LATENT * BANDS) - 5)  # type: ignore[operator,union-attr]
    latents = torch.randn(1, sum(cuts), LATENT_DIM)
    noise = noise_spectra(torch.randn(1, 2, sum(cuts) * SAMPLES_PER_LATENT))
    start = decoder.start(1)  # type: ignore[operator]
    whole, _ = decoder(latents, noise, start)
    state, begin, pieces = start, 0, []
    for count in cuts:
        piece, state = decoder(
            latents[:, begin : begin + count],
            noise[:, :, begin * FRAMES_PER_LATENT : (begin + count) * FRAMES_PER_LATENT],
            state,
        )
        pieces.append(piece)
        begin += count
    torch.testing.assert_close(torch.cat(pieces, 2), whole, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("kept", [1, 3, 5])
def test_the_decoder_tells_its_state_on_the_way(kept: int) -> None:
    torch.manual_seed(1)
    decoder = stirred(Decoder())
    latents = torch.randn(2, 5, LATENT_DIM)
    noise = noise_spectra(torch.randn(2, 2, 5 * SAMPLES_PER_LATENT))
    start = torch.randn_like(decoder.start(2))  # type: ignore[operator]
    whole, state = decoder(latents, noise, start, torch.tensor([kept]))
    frames = kept * FRAMES_PER_LATENT
    part, after = decoder(latents[:, :kept], noise[:, :, :frames], start)
    torch.testing.assert_close(whole[:, :, :frames], part, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(state, after, atol=1e-5, rtol=1e-5)


def test_the_synthesis_inverts_the_analysis() -> None:
    audio = torch.randn(2, 5 * SAMPLES_PER_LATENT, 2)
    spectra = torch.view_as_real(stft(to_mid_side(audio)))
    made = to_left_right(synthesise(spectra))
    complete = audio.shape[1] - LAG
    torch.testing.assert_close(made[:, :complete], audio[:, :complete], atol=1e-5, rtol=0)


def test_band_levels_do_not_look_ahead() -> None:
    audio = torch.randn(1, 6 * SAMPLES_PER_LATENT, 2)
    changed = audio.clone()
    changed[:, 3 * SAMPLES_PER_LATENT :] = 0
    frames = 3 * FRAMES_PER_LATENT
    torch.testing.assert_close(band_levels(audio)[:, :frames], band_levels(changed)[:, :frames])


def test_a_full_scale_sine_reads_near_zero_db() -> None:
    time = torch.arange(48 * SAMPLES_PER_LATENT) / 48_000
    sine = torch.sin(2 * torch.pi * 1000 * time)
    peak = stft(sine)[20:].abs().amax(-1)
    assert (peak - 1).abs().max() < 0.01


@pytest.mark.parametrize("bands", [24, 80])
def test_every_band_hears_something(bands: int) -> None:
    matrix = band_matrix(bands)
    torch.testing.assert_close(matrix.sum(1), torch.ones(bands))


def test_a_ragged_length_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 960"):
        band_levels(torch.zeros(1, 961, 2))


@torch.no_grad()
def test_a_band_one_bin_wide_keeps_its_level_and_a_wide_one_takes_all_of_the_noise() -> None:
    """How much a bin's magnitude varies from frame to frame: not at all, or as white noise does."""
    rough = roughness(80)
    assert float(rough[:8].max()) < 0.2
    assert float(rough[200:].min()) == 1
    decoder = Decoder()
    bias = decoder.magnitude.bias.data.view(2, 2, -1)
    bias[0], bias[1] = -20.0, 0.0  # noise alone
    decoder.latents.mean.fill_(-3.0)
    noise = noise_spectra(torch.randn(1, 2, 60 * 960))
    spectra, _ = decoder(torch.zeros(1, 60, LATENT_DIM), noise, decoder.start(1))
    level = spectra[0, 0].square().sum(-1).log() / 2  # (frames, bins) of mid
    spread = level.std(0)
    assert float(spread[1:8].max()) < 0.2
    assert float(spread[200:-1].min()) > 0.4  # the logarithm of a Rayleigh variable has 0.64
