"""What a check on a GPU ends with: the machine, which paths ran, which did not and why, as Markdown."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib import metadata

PACKAGES = ("torch", "transformers", "peft", "trl", "accelerate", "bitsandbytes", "vllm")


@dataclass
class Outcome:
    """One test. path: what it covers, in words. outcome: "passed", "failed" or "skipped", with the reason."""

    path: str
    outcome: str = "passed"
    reason: str = ""
    seconds: float = 0.0
    figures: list[tuple[str, object]] = field(default_factory=list)


def summary(outcomes: Sequence[Outcome], device: str) -> str:
    """The summary of these outcomes on `device`, "cuda" or "cpu"."""
    ran, failed, skipped = (
        [one for one in outcomes if one.outcome == name] for name in ("passed", "failed", "skipped")
    )
    seconds = sum(one.seconds for one in outcomes)
    lines = [
        f"### GPU check, {date.today().isoformat()}",
        "",
        machine(device),
        "",
        f"{len(ran)} paths ran, {len(failed)} failed, {len(skipped)} were not run. {seconds:.0f} s in all.",
    ]
    if failed:
        lines += ["", "| failed | why |", "|---|---|"]
        lines += [f"| {cell(one.path)} | {cell(one.reason)} |" for one in failed]
    if ran:
        lines += ["", "| ran | seconds | figures |", "|---|---|---|"]
        for one in ran:
            figures = "; ".join(f"{name} {value}" for name, value in one.figures)
            lines.append(f"| {cell(one.path)} | {one.seconds:.1f} | {cell(figures)} |")
    if skipped:
        lines += ["", "| not run | why |", "|---|---|"]
        lines += [f"| {cell(one.path)} | {cell(one.reason)} |" for one in skipped]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """The text in a cell of a table."""
    return " ".join(text.replace("|", "\\|").split())


def machine(device: str) -> str:
    """The card, its driver, and the versions, in one line."""
    parts = [*_card(device), f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            parts.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(parts) + "."


def _card(device: str) -> list[str]:
    import torch

    if device != "cuda" or not torch.cuda.is_available():
        return ["**On the CPU: this shows that the checks themselves work, and nothing about a GPU**"]
    properties = torch.cuda.get_device_properties(0)
    count = torch.cuda.device_count()
    cards = f"{count} × {properties.name}" if count > 1 else properties.name
    memory = f"{properties.total_memory / 2**30:.1f} GiB"
    return [f"{cards} ({memory})", f"driver {driver()}", f"CUDA {torch.version.cuda}"]


def driver() -> str:
    """The version of NVIDIA's driver, if nvidia-smi is there to ask."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "unknown"
    query = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False, timeout=30)
    return (done.stdout.split() or ["unknown"])[0]
