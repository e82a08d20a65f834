"""Reports of a sweep as one frame: what is in it, and what a broken, failed or repeated run does to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sweeps import failure, write_run

from experiments.collect.declared_metrics import declaration_of, declared_metrics
from experiments.collect.frame import tidy, wide, write_frames
from experiments.collect.record import RunRecord, read_run
from experiments.collect.runs import read_runs
from experiments.collect.shown_metrics import MetricColumn
from experiments.report.labelled_results import measured
from experiments.report.tables import result_table
from experiments.sweeps.records import recorded
from harmonic.errors import ConfigError


def only(outputs: Path) -> RunRecord:
    (record,) = read_runs([outputs])
    return record


def test_one_row_a_run_and_metric_with_its_direction(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 0.9, "wasserstein": 0.2, "dcr/share": 0.6, "mle/svm/f1_macro": 0.5}, seed=3)
    frame = tidy(read_runs([tmp_path])).set_index("metric")
    assert frame.loc["nrs", ["dataset", "generator", "llm", "scale", "seed", "n_samples", "value"]].tolist() == [
        "german", "smote", "tiny", "smoke", 3, 60, 0.9,
    ]  # fmt: skip
    assert frame.loc["nrs", "higher_is_better"] and frame.loc["mle/svm/f1_macro", "higher_is_better"]
    assert not frame.loc["wasserstein", "higher_is_better"] and not frame.loc["time/fit_s", "higher_is_better"]
    assert pd.isna(frame.loc["dcr/share", "higher_is_better"]) and frame.loc["dcr/share", "ideal"] == 0.5
    assert frame.loc["time/fit_s", "value"] == 2.5


def test_a_metric_that_could_not_be_computed_keeps_its_reason(tmp_path: Path) -> None:
    write_run(tmp_path, {"dlt": None, "nrs": 1.0}, unavailable={"dlt": "needs a language generator"})
    frame = tidy(read_runs([tmp_path])).set_index("metric")
    assert pd.isna(frame.loc["dlt", "value"]) and frame.loc["dlt", "reason"] == "needs a language generator"
    assert frame.loc["nrs", "reason"] == ""


def test_every_metric_that_an_evaluator_declares_is_known_by_name() -> None:
    declared = declared_metrics()
    for name in ("data_mismatch", "lle/f1_macro", "mle/xgboost/r2", "dlt_holdout", "mia/dcr/auc", "mia/worst"):
        assert declaration_of(name, declared) is not None, name


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '"done"', "{}", '{"status": "done"}', "\x00\x01", '{"metrics": 3}'],
)
def test_a_damaged_report_is_a_row_with_what_the_folder_says(tmp_path: Path, text: str) -> None:
    folder = write_run(tmp_path, {"nrs": 1.0}, seed=2)
    (folder / "report.json").write_text(text)
    record = only(tmp_path)
    assert (record.status, record.dataset, record.generator, record.seed) == ("damaged", "german", "smote", 2)
    assert record.run_id == "00c0ffee" and "report.json" in record.error
    frame = tidy([record])
    assert len(frame) == 1 and frame["metric"].isna().all() and frame["status"].tolist() == ["damaged"]


@pytest.mark.parametrize("change", [{"metrics": {"nrs": "high"}}, {"status": "finished"}, {"stages": {"fit": 3}}])
def test_a_report_with_a_part_of_another_shape_is_damaged(tmp_path: Path, change: dict[str, object]) -> None:
    folder = write_run(tmp_path, {})
    report = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps(report | change))
    assert only(tmp_path).status == "damaged"


def test_a_failed_run_is_a_row_with_its_stage_and_error(tmp_path: Path) -> None:
    write_run(tmp_path, {}, stages={}, peak_rss_mb=None, **failure("sample", "no row was valid"))
    frame = tidy(read_runs([tmp_path]))
    assert frame["status"].tolist() == ["failed"]
    assert frame["error"].tolist() == ["sample: ConfigError: no row was valid"]


def test_done_in_the_report_without_DONE_in_the_folder_is_not_finished(tmp_path: Path) -> None:
    folder = write_run(tmp_path, {"nrs": 1.0})
    (folder / "DONE").unlink()
    record = only(tmp_path)
    assert record.status == "running" and "DONE" in record.error


def test_of_the_same_run_in_two_folders_the_finished_one_counts_however_old(tmp_path: Path) -> None:
    done = write_run(tmp_path / "a", {"nrs": 1.0})
    failed = write_run(tmp_path / "b", {}, finished="2026-05-05T00:00:00+00:00", **failure())
    records = {record.folder: record.superseded for record in read_runs([tmp_path / "a", tmp_path / "b"])}
    assert records == {done: False, failed: True}


def test_of_two_finished_ones_the_latest_counts(tmp_path: Path) -> None:
    old = write_run(tmp_path / "a", {"nrs": 1.0})
    new = write_run(tmp_path / "b", {"nrs": 0.9}, finished="2026-05-05T00:00:00+00:00")
    assert {r.folder: r.superseded for r in read_runs([tmp_path])} == {old: True, new: False}


def test_runs_of_two_generators_with_one_run_id_are_two_runs(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 0.0}, generator="real")  # the same configuration by two names
    write_run(tmp_path, {"nrs": 0.0}, generator="copy")
    assert not any(record.superseded for record in read_runs([tmp_path]))


def test_a_folder_named_twice_counts_once(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 1.0})
    assert len(read_runs([tmp_path, tmp_path / "main", tmp_path])) == 1


def test_runs_that_differ_in_a_setting_are_told_apart_by_it(tmp_path: Path) -> None:
    for seed, temperature in ((0, 0.7), (1, 0.7), (0, 0.9)):
        settings = {"sampling": {"temperature": temperature}, "llm": {"name": str(seed)}}
        write_run(tmp_path, {"nrs": 1.0}, generator="harmonic", seed=seed, run_id=f"{temperature}".replace(".", "a"),
                  settings=settings)  # fmt: skip
    variants = [record.variant for record in read_runs([tmp_path])]
    assert variants == ["temperature=0.7", "temperature=0.7", "temperature=0.9"]


def test_numbers_that_are_equal_and_what_a_method_guarantees_are_no_difference(tmp_path: Path) -> None:
    for run, epsilon in enumerate((1.0, 1, 10)):
        guarantee = {"epsilon": epsilon, "unit": "one row"}
        write_run(tmp_path, {"nrs": 1.0}, generator="aim", seed=run, run_id=f"{run:08}",
                  settings={"epsilon": epsilon, "_guarantee_": guarantee})  # fmt: skip
    assert [record.variant for record in read_runs([tmp_path])] == ["epsilon=1", "epsilon=1", "epsilon=10"]


def test_a_setting_that_only_one_run_knows_and_other_seeds_are_no_difference(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 1.0}, seed=0, settings={"k": 5})
    write_run(
        tmp_path, {"nrs": 1.0}, seed=1, settings={"k": 5, "backend": "torch"}, evaluator={"llm_score": {"rows": 3}}
    )
    assert [record.variant for record in read_runs([tmp_path])] == ["", ""]


def test_settings_of_the_data_differ_within_a_dataset_only(tmp_path: Path) -> None:
    for dataset, rows in (("german", 1), ("adult", 2)):
        write_run(tmp_path, {"nrs": 1.0}, dataset=dataset, evaluator={"lle": {"rows": rows}})
    assert [record.variant for record in read_runs([tmp_path])] == ["", ""]
    write_run(tmp_path, {"nrs": 1.0}, evaluator={"lle": {"rows": 9}}, seed=1)
    variants = {(record.dataset, record.seed): record.variant for record in read_runs([tmp_path])}
    assert variants["german", 1] == "evaluator.lle.rows=9" and variants["german", 0] == "evaluator.lle.rows=1"


def of_file(outputs: Path, value: float, path: str, table: str, **more: Any) -> None:
    """A run of a file of one's own."""
    folder = write_run(outputs, {"nrs": value}, dataset="my", table=table, **more)
    report = json.loads((folder / "report.json").read_text())
    report["config"]["dataset"]["path"] = path
    (folder / "report.json").write_text(json.dumps(report))


def test_two_files_that_are_called_alike_are_two_datasets_and_are_not_ranked_together(tmp_path: Path) -> None:
    for generator, score in (("smote", 0.2), ("tvae", 0.1)):
        for seed, noise in enumerate((0.0, 0.001, 0.003)):
            more = {"generator": generator, "seed": seed}
            value = score + noise * (generator == "smote")
            of_file(tmp_path, value, "a/my.csv", "aaaa", run_id=f"0000000{seed}", **more)
            of_file(tmp_path, value + 0.7, "b/my.csv", "bbbb", run_id=f"0000001{seed}", **more)
    records = read_runs([tmp_path])
    assert {record.dataset for record in records} == {"my (a/my.csv)", "my (b/my.csv)"}
    assert {record.variant for record in records} == {""}
    table = result_table("t", "t", measured(tidy(records)), [MetricColumn("new rows", "nrs")])
    assert table is not None
    best = [(row[1].text, row[2].text.split()[0]) for row in table.rows if row[2].best]
    assert best == [("smote", "0.201"), ("smote", "0.901")]


def test_a_file_that_was_changed_is_another_dataset_and_one_file_by_two_paths_is_one(tmp_path: Path) -> None:
    of_file(tmp_path, 0.1, "my.csv", "aaaaaaaa", run_id="00000001")
    of_file(tmp_path, 0.1, "./my.csv", "aaaaaaaa", run_id="00000002", seed=1)
    assert {record.dataset for record in read_runs([tmp_path])} == {"my"}
    of_file(tmp_path, 0.9, "my.csv", "bbbbbbbb", run_id="00000003")
    assert sorted(record.dataset for record in read_runs([tmp_path])) == [
        "my (./my.csv)", "my (./my.csv)", "my (my.csv, bbbbbb)",
    ]  # fmt: skip


def test_a_job_that_failed_before_it_had_a_folder_is_listed(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 1.0})
    for sweep in ("2026-01-01", "2026-01-02"):
        with recorded(tmp_path / "sweeps" / sweep, 4, ["dataset=csv", "generator=tvae", "seed=7"]):
            raise ConfigError("dataset.path", "nowhere.csv", "there is no such file", "name one")
    done, lost = sorted(read_runs([tmp_path]), key=lambda record: record.status)
    assert done.status == "done"
    assert (lost.status, lost.dataset, lost.generator, lost.seed) == ("failed", "csv", "tvae", 7)
    assert "nowhere.csv" in lost.error


def test_a_job_that_a_later_sweep_finished_is_not_listed(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 1.0})
    with recorded(tmp_path / "sweeps" / "1", 0, ["seed=0"]):
        raise ValueError("out of luck")
    with recorded(tmp_path / "sweeps" / "2", 5, ["seed=0"]) as record:
        record["run"] = "main/german/smote/seed0-00c0ffee"
    assert [record.status for record in read_runs([tmp_path])] == ["done"]


def test_a_folder_without_runs_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no report\.json"):
        read_runs([tmp_path])
    with pytest.raises(ConfigError, match="no such folder"):
        read_runs([tmp_path / "nowhere"])


def test_the_stage_cache_is_not_searched(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 1.0})
    write_run(tmp_path / "cache", {"nrs": 1.0}, seed=1)
    assert len(read_runs([tmp_path])) == 1


def test_the_wide_frame_has_one_row_a_run_also_for_one_without_metrics(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 0.9, "dlt": None})
    write_run(tmp_path, {"nrs": 0.8, "wasserstein": 0.1}, seed=1)
    write_run(tmp_path, {}, seed=2, stages={}, peak_rss_mb=None, **failure())
    table = wide(tidy(read_runs([tmp_path]))).set_index("seed")
    assert len(table) == 3
    assert table["nrs"].tolist()[:2] == [0.9, 0.8] and pd.isna(table.loc[2, "nrs"])
    assert pd.isna(table.loc[0, "wasserstein"]) and table["dlt"].isna().all()


def test_the_written_frames_read_back_alike(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 0.9, "dlt": None}, n_samples=None, unavailable={"dlt": 'no\nlikelihood, "none"'})
    frame = tidy(read_runs([tmp_path]))
    parquet, csv, _ = write_frames(frame, tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(parquet), frame)
    again = pd.read_csv(csv, keep_default_na=False, na_values={"value": ""})
    assert again["value"].tolist() == pytest.approx(frame["value"].tolist(), nan_ok=True)
    assert again["reason"].tolist() == frame["reason"].tolist()


def test_a_report_of_another_encoding_is_damaged_and_nothing_more(tmp_path: Path) -> None:
    folder = write_run(tmp_path, {})
    (folder / "report.json").write_bytes(b"\xff\xfe{}")
    assert read_run(folder).status == "damaged"
