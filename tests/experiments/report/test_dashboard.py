"""A sweep's report on W&B, offline: the table of runs, the page and the files are in its record."""

from __future__ import annotations

from pathlib import Path

import pytest
from sweeps import write_run
from test_tracking import records

from experiments.report.command import main


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_report_can_be_sent_to_wandb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    write_run(tmp_path, {"nrs": 0.5})
    main([str(tmp_path), "--to", str(tmp_path / "report"), "--format", "data", "--wandb", "tables"])
    (folder,) = (tmp_path / "report" / "wandb").glob("offline-run-*")
    found = records(folder)
    assert found["run"][0].project == "tables" and found["run"][0].job_type == "sweep"
    logged = {".".join(item.nested_key) or item.key for record in found["history"] for item in record.item}
    assert any(name.startswith("runs") for name in logged)
    (artifact,) = (one for one in found["artifact"] if one.type == "report")
    assert {entry.path for entry in artifact.manifest.contents} >= {"runs.csv", "runs_wide.csv"}
    assert f"wandb sync {folder}" in capsys.readouterr().out
