"""Time of scoring rows as answers to one shared prompt: harmonic/tuning/scoring.py compared with one row at a time.

    python -m experiments.benchmarks.scoring [--rows 256]

Diabetes rows after one sampling prompt, scored by the default model as in the Data Leakage Test.

- ours: `answer_token_nll` on all --rows rows; the time includes the shared prompt;
- plain: a forward pass over prompt and row for each of the first --limit rows, half of them before and half of them
  after ours; the time is scaled to all rows.

The difference is between the mean log-likelihoods of the --limit rows, in nats per token. In bfloat16 both round;
--dtype float32 shows that the procedures agree. `cpu_ratio` compares processor seconds: with OMP_NUM_THREADS=1 it is
right on a busy machine, too.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.configuration.building import configured
from harmonic.peak_memory import peaks, reset_peaks
from harmonic.prompts.chat import Chat
from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.contexts import RandomRows
from harmonic.prompts.row_format import RowTexts, find_row_format
from harmonic.prompts.sampling_prompts import sampling_prompts
from harmonic.tuning.scoring import BATCH_TOKENS, answer_token_nll

if TYPE_CHECKING:
    from transformers import PreTrainedModel

K, SEED = 5, 0


def clocks() -> NDArray[np.float64]:
    """Wall and processor seconds, (2,)."""
    return np.array([time.perf_counter(), time.process_time()])


def plain_nll(
    model: PreTrainedModel, context: Sequence[int], answers: Sequence[Sequence[int]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean nll of each answer, one forward pass over context and answer each; wall and processor seconds, (2,)."""
    import torch
    from torch.nn import functional

    values = np.empty(len(answers))
    started = clocks()
    with torch.inference_mode():
        for index, answer in enumerate(answers):
            ids = torch.tensor([[*context, *answer]], device=model.device)
            logits = model(input_ids=ids).logits[0, len(context) - 1 : -1]
            values[index] = functional.cross_entropy(logits.float(), ids[0, len(context) :]).item()
    return values, clocks() - started


def compare(rows: int, limit: int, batch_tokens: int, dtype: str) -> dict[str, Any]:
    """Score the rows both ways."""
    import torch

    parts = configured("llm=smollm2_135m", f"llm.dtype={dtype}", "dataset=diabetes", "data_dir=null")
    model, tokenizer = parts["llm"].load()
    table = parts["dataset"].load(SEED).train
    rows = min(rows, len(table))
    chat = Chat(tokenizer)
    form, orders = find_row_format("json", table.schema), ColumnOrders.of(table.schema, permutation="row")
    shown = RandomRows(np.arange(len(table)), K, SEED)
    (prompt,) = sampling_prompts(table, form, shown, orders, range(1), document=False)
    context = chat.prompts([prompt.prompt])[0]
    answers = chat.completions(RowTexts(table, form).render(np.arange(rows)))
    limit = min(limit, rows)
    plain_nll(model, context, answers[:1])  # warm up
    answer_token_nll(model, context, answers[:2], batch_tokens=batch_tokens)
    first, before = plain_nll(model, context, answers[: limit // 2])
    reset_peaks()
    started = clocks()
    tokens = answer_token_nll(model, context, answers, batch_tokens=batch_tokens)
    ours = np.array([losses.mean() for losses in tokens])
    seconds, memory = clocks() - started, peaks()
    second, after = plain_nll(model, context, answers[limit // 2 : limit])
    plain = (before + after) * rows / limit
    return {
        "benchmark": "scoring",
        "rows": rows,
        "context_tokens": len(context),
        "answer_tokens": round(float(np.mean([len(answer) for answer in answers])), 1),
        "dtype": str(model.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "batch_tokens": batch_tokens,
        "seconds": round(seconds[0], 2),
        "plain_seconds": round(plain[0], 2),
        "plain_rows_measured": limit,
        "max_difference": float(np.abs(ours[:limit] - np.concatenate([first, second])).max()),
        **memory,
        "cpu_ratio": round(plain[1] / seconds[1], 2),
        "ratio": round(plain[0] / seconds[0], 2),
    }


def show(found: dict[str, Any]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table as Grid

    title = "{rows} rows of {answer_tokens} tokens behind {context_tokens}, {dtype}, {threads} threads".format(**found)
    grid = Grid("procedure", "rows timed", "seconds", "rows/s", "plain / this", title=title)
    for name, seconds, timed in (
        ("ours", found["seconds"], f"{found['rows']}"),
        ("plain, one row at a time", found["plain_seconds"], f"{found['plain_rows_measured']}, scaled"),
    ):
        ratio = found["plain_seconds"] / seconds
        grid.add_row(name, timed, f"{seconds:.1f}", f"{found['rows'] / seconds:.2f}", f"{ratio:.1f}")
    Console(width=120).print(grid)


def main() -> None:
    """Parse the command line, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=256, help="rows to score, at most those of the training split")
    parser.add_argument("--limit", type=int, default=24, help="rows for the plain procedure")
    parser.add_argument("--batch-tokens", type=int, default=BATCH_TOKENS, help="tokens in each of our forward passes")
    parser.add_argument("--dtype", default="auto", choices=("auto", "bfloat16", "float32"))
    arguments = parser.parse_args()
    if arguments.rows < 2 or arguments.limit < 2:
        parser.error("--rows and --limit must be 2 or more")
    found = compare(arguments.rows, arguments.limit, arguments.batch_tokens, arguments.dtype)
    show(found)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
