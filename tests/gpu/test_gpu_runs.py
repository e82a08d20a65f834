"""Whole runs on a GPU: the same rows again, every measure that asks the model, sweeps with a GPU for each process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.gpu

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def hydra_is_here() -> None:
    pytest.importorskip("hydra", reason="hydra-core is not installed")


def whole(folder: Path, device: str, *words: str, dtype: str = "auto", llm: str = "tiny") -> Path:
    """A run at the smallest scale; its folder."""
    import whole_runs

    base = [word for word in whole_runs.WHOLE if not word.startswith("llm=")]
    base += [f"llm={llm}", f"llm.device={device}", f"llm.dtype={dtype}"]
    return whole_runs.harmonic(folder, *words, base=base)


def report_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())


@pytest.mark.parametrize("dtype", ["auto", "float32"])
@pytest.mark.parametrize("generator", ["harmonic", "harmonic_dense", "harmonic_dense_synthetic"])
def test_a_run_and_its_repetition_give_the_same_rows(
    device: str, generator: str, dtype: str, tmp_path: Path, record_property: Any
) -> None:
    """llm=tiny scale=smoke, once and again: the same rows; the DLT reads them."""
    words = [f"generator={generator}", "evaluator=privacy", "evaluator.data_leakage_test.max_rows=20"]
    first, again = (whole(tmp_path / name, device, *words, dtype=dtype) for name in ("first", "again"))
    assert first.relative_to(tmp_path / "first") == again.relative_to(tmp_path / "again")
    assert (first / "synthetic.csv").read_bytes() == (again / "synthetic.csv").read_bytes()
    report, repeated = report_of(first), report_of(again)
    assert not any(stage["cached"] for stage in repeated["stages"].values())
    assert {"perplexity/train", "dlt"} <= set(report["metrics"])
    assert report["metrics"] == pytest.approx(repeated["metrics"], rel=1e-6, nan_ok=True)
    if device == "cuda":
        assert report["machine"]["gpu"]
        assert report["peak_gpu_mb"] > 0
        record_property("peak MiB", report["peak_gpu_mb"])


def test_every_measure_that_asks_the_model(device: str, tmp_path: Path) -> None:
    """evaluator=llm (tuned and asked on the GPU), and the attacks on the loss of evaluator=membership."""
    folder = whole(tmp_path, device, "generator=harmonic_dense", "evaluator=llm")
    assert "lle/f1_macro" in report_of(folder)["metrics"]
    attacks = "evaluator.membership_inference.attacks=[loss,min_k]"
    folder = whole(tmp_path, device, "generator=harmonic_dense", "evaluator=membership", attacks)
    assert any(name.startswith("mia/") and "loss" in name for name in report_of(folder)["metrics"])


def test_the_real_model_draws_a_table(device: str, tmp_path: Path, record_property: Any) -> None:
    """SmolLM2-135M at scale=smoke: harmonic_dense and harmonic with free answers first."""
    from experiments.configuration.building import configured

    if not (configured("llm=smollm2_135m")["llm"].cached / "config.json").is_file():
        pytest.skip("SmolLM2 is not in the model cache (HARMONIC_CACHE)")
    for generator in ("harmonic_dense", "harmonic"):
        folder = whole(tmp_path, device, f"generator={generator}", "evaluator=privacy", llm="smollm2_135m")
        report = report_of(folder)
        assert len((folder / "synthetic.csv").read_text().splitlines()) == 13
        fit = report["stages"]["fit"]["seconds"]
        record_property(generator, f"fit {fit:.1f} s, sample {report['stages']['sample']['seconds']:.1f} s")


def swept(output: Path, device: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "experiments.run", "-m", "llm=tiny", f"llm.device={device}", "scale=smoke"]
    command += ["tracker=off", "data_dir=null", "evaluator=fidelity", f"output_dir={output}", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False, timeout=300)


def test_a_sweep_of_two_processes(device: str, tmp_path: Path) -> None:
    """launcher=joblib: two jobs at once, each on a GPU (on the only one together)."""
    if find_spec("hydra_plugins") is None or find_spec("hydra_plugins.hydra_joblib_launcher") is None:
        pytest.skip("hydra-joblib-launcher is not installed")
    done = swept(tmp_path, device, "launcher=joblib", "seed=0,1")
    assert done.returncode == 0, done.stderr[-3000:]
    reports = [report_of(path.parent) for path in sorted((tmp_path / "runs").rglob("DONE"))]
    assert len(reports) == 2
    if device == "cuda":
        assert all(report["peak_gpu_mb"] > 0 for report in reports)


CLAIM = """
import sys
sys.path.insert(0, {root!r})
from experiments.sweeps.devices import claim_gpu
claim_gpu()
import os, torch
torch.zeros(1, device="cuda")
print(torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES", "all"), flush=True)
sys.stdin.readline()
"""


def claimed(processes: int) -> list[list[str]]:
    """What processes that claim a GPU at the same time see: how many GPUs, and which."""
    command = [sys.executable, "-c", CLAIM.format(root=str(ROOT))]
    environment = {**os.environ, "HARMONIC_ONE_GPU": "1"}
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(processes)
    ]
    found = [process.stdout.readline().split() for process in running if process.stdout]
    for process in running:
        process.communicate("\n", timeout=60)
        assert process.returncode == 0
    return found


def test_a_process_claims_one_gpu(card: str) -> None:
    """HARMONIC_ONE_GPU=1: a process sees one GPU, and computes on it."""
    ((count, _),) = claimed(1)
    assert count == "1"


def test_two_processes_claim_two_gpus(cards: int) -> None:
    """HARMONIC_ONE_GPU=1: two processes have different GPUs."""
    found = claimed(2)
    assert [count for count, _ in found] == ["1", "1"]
    assert found[0][1] != found[1][1]


def test_several_processes_tune_and_one_goes_on(cards: int, tmp_path: Path) -> None:
    """Under accelerate launch: experiments.run stage=fit on two GPUs, then one process that continues."""
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    words = ["llm=tiny", "llm.device=cuda", "llm.dtype=auto", "scale=smoke", "tracker=off", "data_dir=null"]
    command = [*launch, "-m", "experiments.run", *words, "generator=harmonic", "stage=fit", f"output_dir={tmp_path}"]
    command += ["generator.sampling.attempts=1", "evaluator=fidelity"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    folder = whole(tmp_path, "cuda", "generator=harmonic", "evaluator=fidelity")
    assert report_of(folder)["stages"]["fit"]["cached"]
