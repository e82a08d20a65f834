"""All shards of a table from one command: a sweep over the shards that are not complete, with any of the launchers.

A job draws one shard, as `harmonic-sample … shard=` does. Its record, and on a cluster its output, are in
`<table>.sweeps/<time>` beside the table.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_module
from hydra.core.hydra_config import HydraConfig

from experiments.configuration.hydra_errors import plain_errors, raised
from experiments.sample_again import is_for_hydra, read_settings, sample_again, sharded_sample
from experiments.sweeps.devices import claim_gpu
from experiments.sweeps.grid import number_of
from experiments.sweeps.lost_jobs import stopped_by_signals
from experiments.sweeps.records import recorded, summarized
from harmonic.errors import SamplingError
from harmonic.shell import hydra_word, quoted


@hydra.main(version_base="1.3", config_path="../conf", config_name="sample")
def job(config: Any) -> None:
    """Draw one shard. Hydra's launcher calls this for each job."""
    context = HydraConfig.get()
    shard = f"shard={config.shard}"
    with recorded(Path(context.sweep.dir), number_of(context), [shard]), stopped_by_signals():
        claim_gpu()
        sample_again(Path(config.run_folder), read_settings([*config.settings, shard]))


def sample_side_by_side(folder: Path, words: Sequence[str]) -> list[Path]:
    """Draw all shards of a table with a launcher. Returns the paths of its folder and of its description.

    words: of `harmonic-sample`, with launcher= and shards=. What is there already is not drawn again. Raises
    ConfigError before any job starts; SamplingError if parts are missing at the end, because jobs failed or were lost.
    """
    wanted = read_settings(words)
    launching = [hydra_word("launcher", wanted.launcher), *wanted.hydra_words]
    with plain_errors(words=launching), initialize_config_module("conf", version_base="1.3"):
        compose("sample", launching, return_hydra_config=True)
    table = sharded_sample(folder, wanted)
    table.check()
    assert wanted.shards is not None
    left = [shard for shard in range(wanted.shards) if table.missing(wanted.shards, shard)]
    if left:
        own = [word for word in words if not is_for_hydra(word) and not word.startswith("launcher=")]
        given = {"run_folder": str(folder), "settings": own, "output_dir": f"{table.folder}.sweeps"}
        shards = f"shard={','.join(map(str, left))}"
        with plain_errors(words=launching):
            summarized(lambda: _sweep([*launching, *(hydra_word(*one) for one in given.items()), shards]))
    missing = table.missing()
    print(f"{table.count - len(missing)} of {table.count} parts are there")
    if missing:
        again = " ".join(map(quoted, ["harmonic-sample", str(folder), *words]))
        raise SamplingError(f"missing are the parts {_ranges(missing)}\n  fix: the same command draws them: {again}")
    return table.describe()


def _sweep(words: Sequence[str]) -> None:
    """Run `job` for each value of the words; Hydra reads them from the command line."""
    before, sys.argv = sys.argv, ["harmonic-sample", "--multirun", *words]
    try:
        with raised():
            job()
    finally:
        sys.argv = before


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers in words: "0, 3-5"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)
