"""The oldest versions that pyproject.toml allows, as constraints: make test-oldest.

numpy>=2 becomes numpy==2.0.*: the lowest minor version, with its newest corrections.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = ("synthcity", "great", "realtabformer", "forestflow", "search", "slurm", "dev")


def oldest(requirements: list[str]) -> list[str]:
    """The constraints for requirements of the form name>=1.2,<2; one without a lower bound has none."""
    found = []
    for requirement in requirements:
        read = re.match(r"([\w.-]+)>=(\d+(?:\.\d+)*)", requirement)
        if read is None:
            continue
        name, version = read.groups()
        parts = version.split(".") + ["0"] * (2 - len(version.split(".")))
        found.append(f"{name}=={'.'.join(parts)}" + (".*" if len(parts) == 2 else ""))
    return found


def required() -> list[str]:
    """What make setup installs, as pyproject.toml has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *(one for extra in EXTRAS for one in project["optional-dependencies"][extra])]


if __name__ == "__main__":
    sys.stdout.write("\n".join(oldest(required())) + "\n")
