"""The memory that a batch takes on the card: as much as its budget says, and no more than there is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.gpu

FREE = 3 * 2**30  # bytes that the test leaves on the card
WANTED = 2**20  # tokens: more than fit


def drawn(decoder: Any, length: int) -> int:
    """Draw a batch as large as the budget allows, from prompts of this length; the number of rows."""
    from small_models import draws

    rows = max(decoder.budget() // (length + decoder.max_new_tokens), 1)
    asked = [np.random.default_rng(row).integers(0, 256, length).tolist() for row in range(min(rows, 64))]
    decoder.free(asked, draws(len(asked)))
    return len(asked)


def test_the_budget_holds_on_a_card_that_is_nearly_full(card: str, record_property: Any) -> None:
    """generator.sampling.batch_tokens on a nearly full card: fewer, the same for every batch, within the memory."""
    import torch
    from small_models import tiny

    from harmonic.decoding.decoder import Decoder, cache_bytes_per_token

    torch.cuda.empty_cache()
    model = tiny(card, dtype="bfloat16", hidden_size=1024, layers=8, heads=8, key_value_heads=8).load()[0]
    token_bytes = cache_bytes_per_token(model.config, model.dtype)
    assert token_bytes == 2 * 8 * 1024 * 2
    spare = torch.cuda.mem_get_info()[0] - FREE
    ballast = torch.empty(max(spare, 0), dtype=torch.uint8, device=card)
    decoder = Decoder(model, -1, 1.0, max_new_tokens=100, batch_tokens=WANTED)
    try:
        before, budget = torch.cuda.memory_allocated(), decoder.budget()
        torch.cuda.reset_peak_memory_stats()
        assert budget < WANTED and FREE / 8 < budget * token_bytes <= FREE / 2
        length = budget // 64 - 100  # 64 rows, which take the whole budget
        rows = drawn(decoder, length)
        taken = torch.cuda.max_memory_allocated() - before
        record_property("tokens", budget)
        record_property("rows", rows)
        record_property("cache MiB", f"{budget * token_bytes / 2**20:.0f}")
        record_property("peak MiB", f"{taken / 2**20:.0f}")
        assert rows == 64
        assert 0.9 * budget * token_bytes < taken < FREE
        # What the batch has freed PyTorch keeps: the next batch has as many tokens.
        assert torch.cuda.memory_reserved() - torch.cuda.memory_allocated() > budget * token_bytes / 2
        assert decoder.budget() == budget
        drawn(decoder, length)
    finally:  # or the tests after a failure would have no memory
        del ballast, decoder, model
        torch.cuda.empty_cache()


def test_a_models_memory_is_given_back(card: str, tmp_path: Any, record_property: Any) -> None:
    """Tuning gives the card's memory back: a second one leaves no more allocated than the first."""
    import torch
    from small_models import EXAMPLES, tiny

    from harmonic.tuning.lora import tune
    from harmonic.tuning.settings import Tuning

    settings, left = Tuning(batch_size=4, checkpoint_every=None), []
    for name in ("first", "second"):
        tune(tiny(card, hidden_size=512, layers=8), EXAMPLES, settings, seed=0, directory=tmp_path / name)
        left.append(torch.cuda.memory_allocated() / 2**20)
    record_property("MiB left", f"{left[0]:.0f}, {left[1]:.0f}")
    assert left[1] - left[0] < 10  # the model alone takes more than 60
