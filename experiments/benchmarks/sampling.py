"""Rows per second in sampling: one prompt at a time, batched `generate`, and ours, free and constrained.

    python -m experiments.benchmarks.sampling [--run FOLDER] [--rows 32] [--reference-rows 3] [--batch-sizes 8 16 32 64]

The prompts are HARMONIC's for Diabetes (five random rows each). With --run the model has that run's adapter and ends
its answers itself, after at most --new-tokens. Without --run the model is not tuned and seldom ends an answer: each
free procedure then writes exactly --new-tokens tokens a row, the length of a tuned answer. `ours, constrained` writes
whole, valid rows of any length. Procedures:

- reference: transformers' `generate`, one prompt at a time (as published), on the first rows;
- generate: the same in batches, with prompts padded on the left; the best batch size counts;
- ours: harmonic.decoding.decoder, all rows in one batch.

All draw at temperature 0.7 from the whole vocabulary with the same weights. For busy machines: --repeats repeats all in
turns and takes the fastest of each; --cpu-time counts the processor time of one thread.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from experiments.configuration.building import configured
from harmonic.decoding.decoder import Decoder
from harmonic.prompts.chat import Chat
from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.contexts import RandomRows
from harmonic.prompts.row_format import InvalidAnswer, RowFormat, find_row_format
from harmonic.prompts.sampling_prompts import sampling_prompts
from harmonic.randomness import derive
from harmonic.tuning.lora import load_tuned

TEMPERATURE, SEED = 0.7, 0


def load(llm: str, dataset: str, rows: int, run: Path | None) -> tuple[Any, Chat, RowFormat, list[list[int]]]:
    """The model (with the run's adapter, if there is one), its chat, the rows' format, and the prompts' token ids."""
    parts = configured(f"llm={llm}", f"dataset={dataset}", "data_dir=null")
    train = parts["dataset"].load(SEED).train
    model, tokenizer = load_tuned(parts["llm"], run / "adapter") if run else parts["llm"].load()
    chat = Chat(tokenizer)
    form, orders = find_row_format("json", train.schema), ColumnOrders.of(train.schema, permutation="row")
    shown = RandomRows(np.arange(len(train)), 5, SEED)
    prompts = sampling_prompts(train, form, shown, orders, range(rows), document=False)
    return model, chat, form, chat.prompts([prompt.prompt for prompt in prompts])


def generate(model: Any, end: int, prompts: list[list[int]], batch: int, least: int, most: int) -> int:
    """Sampling with transformers: batches in order of length, padded on the left. Returns the number of rows."""
    import torch

    prompts = sorted(prompts, key=len)
    for start in range(0, len(prompts), batch):
        part = prompts[start : start + batch]
        width = max(map(len, part))
        ids = torch.tensor([[end] * (width - len(prompt)) + prompt for prompt in part], device=model.device)
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in part], device=model.device)
        model.generate(
            ids,
            attention_mask=mask,
            do_sample=True,
            temperature=TEMPERATURE,
            top_k=0,
            max_new_tokens=most,
            min_new_tokens=least,
            eos_token_id=end,
            pad_token_id=end,
        )
    return len(prompts)


def ours(model: Any, end: int, prompts: list[list[int]], new_tokens: int) -> int:
    """Free decoding with a new decoder, so that its set-up counts. Returns the number of rows."""
    decoder = Decoder(model, end, TEMPERATURE, new_tokens)
    decoder.share_prefix(prompts)
    return len(decoder.free(prompts, draws(len(prompts))))


def ours_constrained(
    model: Any, chat: Chat, form: RowFormat, prompts: list[list[int]], new_tokens: int, found: dict[str, float]
) -> int:
    """Constrained decoding, including grammars. Returns the number of valid rows."""
    from harmonic.decoding.constraints import RowConstraints

    decoder = Decoder(model, chat.end, TEMPERATURE, new_tokens)
    decoder.share_prefix(prompts)
    rows, names = RowConstraints(form, chat.tokenizer, chat.end), form.schema.names
    generators = draws(len(prompts))
    constraints = [rows.start([names[i] for i in draw.permutation(len(names))]) for draw in generators]
    answers = decoder.constrained(prompts, generators, constraints)
    found["tokens_per_row"] = sum(len(answer.ids) for answer in answers) / len(answers)
    return sum(is_row(chat.text(answer.ids), form) for answer in answers)


def draws(count: int) -> list[np.random.Generator]:
    """Each row's random numbers."""
    return [np.random.default_rng(derive(SEED, "answers", row)) for row in range(count)]


def is_row(text: str, form: RowFormat) -> bool:
    """Whether the answer is a row."""
    try:
        form.parse(text, form.schema.names)
    except InvalidAnswer:
        return False
    return True


def contenders(
    arguments: argparse.Namespace, model: Any, chat: Chat, form: RowFormat, prompts: list[list[int]]
) -> Iterator[tuple[str, Callable[[], int]]]:
    """The procedures by name."""
    new, end = arguments.new_tokens, chat.end
    least = 1 if arguments.run else new
    yield "reference", lambda: generate(model, end, prompts[: arguments.reference_rows], 1, least, new)
    for size in arguments.batch_sizes:
        if size <= arguments.rows:
            yield f"generate, {size}", lambda size=size: generate(model, end, prompts, size, least, new)  # type: ignore[misc]
    never = -1  # no token is -1, so nothing ends early
    yield "ours, free", lambda: ours(model, end if arguments.run else never, prompts, new)
    yield "ours, constrained", lambda: ours_constrained(model, chat, form, prompts, new, arguments.found)


def show(speeds: dict[str, float], best: float, arguments: argparse.Namespace) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table as Grid

    title = f"Sampling: {arguments.llm}, {arguments.rows} prompts of {arguments.dataset}, {arguments.new_tokens} tokens"
    grid = Grid("procedure", "rows / s", "/ reference", "/ best generate", title=title)
    for name, speed in speeds.items():
        grid.add_row(name, f"{speed:.3f}", f"{speed / speeds['reference']:.2f}", f"{speed / best:.2f}")
    Console(width=100).print(grid)


def main() -> None:
    """Parse the command line, time the contenders, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--reference-rows", type=int, default=3)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--new-tokens", type=int, default=95)
    parser.add_argument("--run", type=Path, help="folder of a finished run, for its tuned model")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--cpu-time", action="store_true", help="processor time of one thread")
    parser.add_argument("--llm", default="smollm2_135m")
    parser.add_argument("--dataset", default="diabetes")
    arguments = parser.parse_args()
    arguments.found = {}
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    if arguments.cpu_time:
        import torch

        torch.set_num_threads(1)
    model, chat, form, prompts = load(arguments.llm, arguments.dataset, arguments.rows, arguments.run)
    generate(model, chat.end, prompts[:1], 1, 2, 2)  # the set-up of the first call does not count
    speeds: dict[str, float] = {}
    for _ in range(arguments.repeats):
        for name, run in contenders(arguments, model, chat, form, prompts):
            started = clock()
            rows = run()
            speeds[name] = max(speeds.get(name, 0.0), rows / (clock() - started))
    best = max((speed for name, speed in speeds.items() if name.startswith("generate")), default=speeds["reference"])
    show(speeds, best, arguments)
    report = {
        "benchmark": "sampling",
        "llm": arguments.llm,
        "rows": arguments.rows,
        "tuned": arguments.run is not None,
        "cpu_time": arguments.cpu_time,
        "prompt_tokens": round(sum(map(len, prompts)) / len(prompts), 1),
        "new_tokens": arguments.new_tokens,
        "constrained_tokens_per_row": round(arguments.found["tokens_per_row"], 1),
        "rows_per_s": {name: round(speed, 4) for name, speed in speeds.items()},
        "ratio": round(speeds["ours, free"] / speeds["reference"], 2),
        "ratio_best_generate": round(speeds["ours, free"] / best, 2),
        "ratio_constrained": round(speeds["ours, constrained"] / speeds["reference"], 2),
        "ratio_constrained_best_generate": round(speeds["ours, constrained"] / best, 2),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
