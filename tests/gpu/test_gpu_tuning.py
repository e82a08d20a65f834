"""Tuning on a GPU: it learns, repeats, goes on where it stopped, and takes the memory that its settings say."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.gpu

ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path, llm: Any, seed: int = 0, history: Any = None, **given: Any) -> dict[str, float]:
    from small_models import EXAMPLES

    from harmonic.tuning.lora import tune
    from harmonic.tuning.settings import Tuning

    validation = EXAMPLES[:2] if given.pop("validated", False) else ()
    shared: dict[str, Any] = {"batch_size": 4, "learning_rate": 1e-2, "epochs": 2, "checkpoint_every": None}
    settings = Tuning(**shared | given)
    return tune(llm, EXAMPLES, settings, seed=seed, directory=folder, history=history, validation=validation)


def digest(folder: Path) -> str:
    return sha256((folder / "adapter" / "adapter_model.safetensors").read_bytes()).hexdigest()


def losses(folder: Path) -> list[float]:
    points = json.loads((folder / "history.json").read_text())
    return [point["train/loss"] for point in points if "train/loss" in point]


def test_the_losses_are_those_of_the_cpu(device: str, tmp_path: Path) -> None:
    """Tuning in float32 has the losses of the CPU."""
    from small_models import tiny

    for name in ("cpu", device):
        run(tmp_path / name, tiny(name, embedding_factor=10.0), dropout=0.0, learning_rate=1e-3)
    found, expected = losses(tmp_path / device), losses(tmp_path / "cpu")
    assert found[0] == pytest.approx(expected[0], abs=1e-4)  # before anything is learnt
    assert found == pytest.approx(expected, abs=2e-2)


@pytest.mark.parametrize("dtype", ["auto", "bfloat16", "float16", "float32"])
def test_tuning_learns_and_a_seed_gives_the_same_adapter(device: str, dtype: str, tmp_path: Path) -> None:
    """Tuning learns, and its seed gives the same adapter bit by bit."""
    from small_models import tiny

    if device == "cpu" and dtype == "float16":
        pytest.skip("float16 cannot be tuned on a CPU")
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        llm = tiny(device, dtype=dtype, hidden_size=64, embedding_factor=10.0)
        run(tmp_path / name, llm, seed=seed, epochs=6, scheduler="constant")
    assert losses(tmp_path / "a")[-1] < losses(tmp_path / "a")[0] - 0.5
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_fixed_order_is_left_again(card: str, tmp_path: Path) -> None:
    """Tuning leaves PyTorch's choice of kernels as it found it."""
    import torch
    from small_models import tiny

    run(tmp_path, tiny(card), epochs=1)
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_device_batch_changes_nothing_but_rounding(device: str, tmp_path: Path) -> None:
    """tuning.device_batch_size 1, 2 and 4 give the same losses."""
    from small_models import tiny

    for size in (1, 2, 4):
        run(tmp_path / str(size), tiny(device), device_batch_size=size, dropout=0.0, learning_rate=1e-3)
    assert losses(tmp_path / "1") == pytest.approx(losses(tmp_path / "4"), abs=1e-3)
    assert losses(tmp_path / "2") == pytest.approx(losses(tmp_path / "4"), abs=1e-3)


def test_gradient_checkpointing_takes_less_memory(card: str, tmp_path: Path, record_property: Any) -> None:
    """tuning.gradient_checkpointing: the same losses with less memory."""
    import torch
    from small_models import tiny

    peaks = {}
    for on in (False, True):
        torch.cuda.reset_peak_memory_stats()
        llm = tiny(card, hidden_size=512, layers=8)
        run(tmp_path / str(on), llm, gradient_checkpointing=on, dropout=0.0, learning_rate=1e-3)
        peaks[on] = torch.cuda.max_memory_allocated() / 2**20
    record_property("peak MiB without", f"{peaks[False]:.0f}")
    record_property("with", f"{peaks[True]:.0f}")
    assert losses(tmp_path / "True") == pytest.approx(losses(tmp_path / "False"), abs=1e-3)
    assert peaks[True] < 0.8 * peaks[False]


def test_a_stopped_run_goes_on_to_the_same_adapter(device: str, tmp_path: Path) -> None:
    """A stopped tuning continues from its checkpoint to the same adapter, dropout and all."""
    from small_models import tiny

    def stop(values: Any, step: int) -> None:
        if step == 5:
            raise KeyboardInterrupt

    llm = tiny(device, dtype="bfloat16", hidden_size=64)
    run(tmp_path / "whole", llm, checkpoint_every=2)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", llm, checkpoint_every=2, history=stop)
    assert (tmp_path / "broken" / "checkpoints" / "checkpoint-4").is_dir()
    run(tmp_path / "broken", llm, checkpoint_every=2)
    assert digest(tmp_path / "broken") == digest(tmp_path / "whole")


def test_minutes_and_validation(device: str, tmp_path: Path) -> None:
    """tuning.minutes and tuning.validation."""
    from small_models import tiny

    facts = run(tmp_path / "timed", tiny(device), epochs=100_000, minutes=0.02, checkpoint_every=None)
    assert 4 <= facts["steps"] < 10_000
    facts = run(tmp_path / "held", tiny(device, embedding_factor=10.0), validated=True, epochs=3)
    assert facts["validation_loss"] > 0


SCRIPT = """
import os, sys
from pathlib import Path
sys.path[:0] = [{root!r}, {helpers!r}]
import torch
from small_models import EXAMPLES, tiny
from harmonic.tuning.lora import tune
from harmonic.tuning.settings import Tuning

if __name__ == "__main__":
    llm = tiny(sys.argv[1], embedding_factor=10.0)
    settings = Tuning(batch_size=4, learning_rate=1e-3, epochs=2, dropout=0.0, checkpoint_every=None)
    facts = tune(llm, EXAMPLES, settings, seed=0, directory=Path(sys.argv[2]))
    print("finished", os.environ["RANK"], torch.distributed.get_backend(), int(facts["tokens"]), flush=True)
"""


def script(folder: Path, device: str) -> list[str]:
    """The words that run the script, without Python."""
    file = folder / "script.py"
    file.write_text(SCRIPT.format(root=str(ROOT), helpers=str(ROOT / "tests" / "helpers")))
    return [str(file), device, str(folder / "together")]


def printed(command: list[str], **environment: str) -> list[list[str]]:
    """The words that each process of the script printed."""
    shared = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(command, env=shared, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return sorted(line.split()[1:] for line in done.stdout.splitlines() if line.startswith("finished"))


def test_one_process_of_a_launcher(device: str, tmp_path: Path) -> None:
    """One process as torchrun and accelerate start it: the way through torch.distributed."""
    from small_models import tiny

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    found = printed([sys.executable, *script(tmp_path, device)], **places)
    alone = run(tmp_path / "alone", tiny(device, embedding_factor=10.0), dropout=0.0, learning_rate=1e-3)
    assert found == [["0", "nccl" if device == "cuda" else "gloo", str(int(alone["tokens"]))]]
    assert losses(tmp_path / "together") == pytest.approx(losses(tmp_path / "alone"), abs=1e-4)


def test_a_process_for_each_gpu(cards: int, tmp_path: Path) -> None:
    """Under accelerate launch: two processes, one GPU each."""
    from small_models import tiny

    launcher = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
    launcher += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    found = printed([sys.executable, "-m", *launcher, *script(tmp_path, "cuda")])
    alone = run(tmp_path / "alone", tiny("cuda", embedding_factor=10.0), dropout=0.0, learning_rate=1e-3)
    tokens = str(int(alone["tokens"]))
    assert found == [["0", "nccl", tokens], ["1", "nccl", tokens]]
    assert losses(tmp_path / "together") == pytest.approx(losses(tmp_path / "alone"), abs=1e-3)
