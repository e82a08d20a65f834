"""Speed of LoRA tuning, compared with TRL's SFTTrainer with its defaults.

    python -m experiments.benchmarks.tuning [--examples 16] [--repeats 2] [--device-batch 1 2 4]

Both tune the same model on the same examples (HARMONIC's tuning prompts of Diabetes) with the same adapter, optimizer,
schedule, batch and seed, each in its own process, in turns:

- TRL: SFTTrainer with SFTConfig's defaults and a prompt/completion dataset of chat messages, the whole batch at once;
- ours: harmonic.tuning.lora.tune.

Tokens are those of the examples without padding; the time does not include loading the model. The losses may differ:
with TRL the answer ends with the template's line break, and dropout draws other masks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harmonic.llm.language_model import LanguageModel
from harmonic.peak_memory import peaks
from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.prompt import Prompt
from harmonic.prompts.row_format import find_row_format
from harmonic.prompts.training_prompts import Neighborhoods, answers
from harmonic.tuning.lora import tune
from harmonic.tuning.settings import Tuning

SEED = 0


def load(llm: str, dataset: str, count: int) -> tuple[LanguageModel, list[Prompt]]:
    """The language model of conf/llm and the first tuning prompts of a dataset of conf/dataset."""
    from experiments.configuration.building import configured

    parts = configured(f"llm={llm}", f"dataset={dataset}")
    train = parts["dataset"].load(SEED).train
    filtered = train.schema.task.is_classification
    around = Neighborhoods.of(train, k=5, metric="mixed", filter=filtered, threshold=2, seed=SEED)
    orders = ColumnOrders.of(train.schema, permutation="row")
    prompts = list(answers(train, find_row_format("json", train.schema), around, orders, shown=5, seed=SEED))
    return parts["llm"], prompts[:count]


def settings(batch: int, device_batch: int | None = None) -> Tuning:
    """The settings of both procedures. Only ours: how many examples go through the model at once."""
    return Tuning(learning_rate=1e-3, batch_size=batch, device_batch_size=device_batch, checkpoint_every=None)


def ours(llm: LanguageModel, prompts: list[Prompt], shared: Tuning, directory: Path) -> dict[str, Any]:
    """tokens, seconds and the loss of each step."""
    facts = tune(llm, prompts, shared, seed=SEED, directory=directory)
    points = json.loads((directory / "history.json").read_text())
    return {"tokens": facts["tokens"], "seconds": facts["seconds"], "losses": [p["train/loss"] for p in points]}


def trl_defaults(llm: LanguageModel, prompts: list[Prompt], shared: Tuning, directory: Path) -> dict[str, Any]:
    """tokens, seconds and the loss of each step."""
    import time

    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    model, tokenizer = llm.load()
    rows = [
        {
            "prompt": [{"role": "user", "content": prompt.prompt}],
            "completion": [{"role": "assistant", "content": prompt.completion}],
        }
        for prompt in prompts
    ]
    arguments = SFTConfig(
        output_dir=str(directory),
        num_train_epochs=shared.epochs,
        learning_rate=shared.learning_rate,
        lr_scheduler_type=shared.scheduler,
        warmup_steps=shared.warmup_ratio,
        weight_decay=shared.weight_decay,
        per_device_train_batch_size=shared.batch_size,
        use_cpu=llm.resolved_device() == "cpu",  # without it, its bf16 default does not start on a CPU
        seed=SEED,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    adapter = LoraConfig(
        r=shared.rank,
        lora_alpha=shared.alpha,
        lora_dropout=shared.dropout,
        target_modules=list(llm.target_modules),
        task_type="CAUSAL_LM",
    )
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=adapter,
    )
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    tokens = sum(len(row["input_ids"]) for row in trainer.train_dataset)
    losses = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    return {"tokens": tokens, "seconds": seconds, "losses": losses}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """One procedure in this process."""
    llm, prompts = load(arguments.llm, arguments.dataset, arguments.examples)
    with TemporaryDirectory() as scratch:
        if arguments.procedure == "trl":
            found = trl_defaults(llm, prompts, settings(arguments.batch), Path(scratch))
        else:
            shared = settings(arguments.batch, None if arguments.procedure == "ours" else int(arguments.procedure))
            found = ours(llm, prompts, shared, Path(scratch))
    return found | {"tokens_per_s": found["tokens"] / found["seconds"]} | peaks()


def run_apart(procedure: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """`measure` in its own process."""
    command = [sys.executable, "-m", "experiments.benchmarks.tuning", "--procedure", procedure]
    for name in ("llm", "dataset", "examples", "batch"):
        command += [f"--{name}", str(getattr(arguments, name))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def show(runs: dict[str, list[dict[str, Any]]], medians: dict[str, float]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    grid = Table("procedure", "tokens", "tokens/s, each run", "median", "/ TRL", "peak MB", "loss of each step")
    for name, found in runs.items():
        label = {"trl": "TRL's defaults", "ours": "ours"}.get(name, f"ours, {name} at once")
        speeds = " ".join(f"{run['tokens_per_s']:.0f}" for run in found)
        losses = " ".join(f"{loss:.3f}" for loss in found[0]["losses"])
        peak, ratio = max(run["peak_rss_mb"] for run in found), medians[name] / medians["trl"]
        grid.add_row(
            label, f"{found[0]['tokens']:,.0f}", speeds, f"{medians[name]:.0f}", f"{ratio:.2f}", f"{peak:,.0f}", losses
        )
    Console(width=120).print(grid)


def main() -> None:
    """Parse the command line. With --procedure measure in this process, else compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llm", default="smollm2_135m", help="a file of conf/llm")
    parser.add_argument("--dataset", default="diabetes", help="a file of conf/dataset")
    parser.add_argument("--examples", type=int, default=16)
    parser.add_argument("--batch", type=int, default=4, help="examples in an optimizer step")
    parser.add_argument(
        "--device-batch", nargs="+", default=["ours"], help="examples at once; ours: the default of Tuning"
    )
    parser.add_argument("--repeats", type=int, default=1, help="runs of each; the median counts")
    parser.add_argument("--procedure", help="measure only this: trl, ours, or a number of examples at once for ours")
    arguments = parser.parse_args()
    if arguments.procedure:
        print(json.dumps(measure(arguments)))
        return
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ("trl", *arguments.device_batch)}
    for _ in range(arguments.repeats):
        for name, found in runs.items():
            found.append(run_apart(name, arguments))
    medians = {name: statistics.median(run["tokens_per_s"] for run in found) for name, found in runs.items()}
    show(runs, medians)
    ratio = medians[arguments.device_batch[0]] / medians["trl"]
    tokens_per_s = {name: round(value, 1) for name, value in medians.items()}
    losses = {name: found[0]["losses"] for name, found in runs.items()}
    result = {"benchmark": "tuning", "tokens_per_s": tokens_per_s, "losses": losses, "ratio": round(ratio, 2)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
