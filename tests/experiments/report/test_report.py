"""The report's page and command: whole, self-contained, safe with any name, and honest about what is missing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_module
from omegaconf import open_dict
from sweeps import failure, write_run

from experiments.collect.record import read_run
from experiments.report.charts import pareto_front
from experiments.report.command import main, make_report
from experiments.report.figures import panels, styled, svg
from experiments.report.run_charts import association, column_distributions, losses, perplexities, relation_differences
from experiments.report.run_files import RowsOfRuns, Unavailable, history, series
from experiments.run import run_job
from harmonic.errors import ConfigError
from harmonic.tables.table import Column, Kind, Schema, Table, Task

ROOT = Path(__file__).resolve().parents[3]
NASTY = "<script>alert('x')</script> & \"quoted\" $a_b$ {{ 7*7 }}"
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Reads a page: its text, its tags, what it refers to, and whether every tag is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._seen(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._seen(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data

    def _seen(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name.rpartition(":")[2] in ("src", "href", "action", "data", "poster", "srcset", "background"):
                self.references.append(str(value))
            assert not name.startswith("on"), name


def page_of(outputs: Path, to: Path, **options: int) -> tuple[Page, str]:
    make_report([outputs], to, formats=["html"], **options)
    html = (to / "report.html").read_text(encoding="utf-8")
    return Page(html), html


def check_whole(page: Page, html: str) -> None:
    """Well-formed, and nothing in it is fetched or run."""
    assert page.open == []
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(page.tags)
    assert all(reference.startswith(("#", "data:image/png")) for reference in page.references)
    assert all(reference[1:] in page.ids for reference in page.references if reference.startswith("#"))
    assert re.findall(r"url\((?!#)", html) == [] and "@import" not in html
    assert len(page.ids) == len(set(page.ids))


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of two real runs and a failed one, on packaged data."""
    outputs = tmp_path_factory.mktemp("outputs")
    for seed in (0, 1):
        overrides = ["generator=marginals", "llm=tiny", "scale=smoke", "tracker=off", f"seed={seed}", "data_dir=null"]
        with initialize_config_module("conf", version_base="1.3"):
            config = compose(
                "config", [*overrides, "evaluator=fidelity", f"output_dir={outputs}"], return_hydra_config=True
            )
            added = compose("config", [*overrides, "evaluator=privacy"]).evaluator.privacy
        choices = dict(config.hydra.runtime.choices)
        with open_dict(config):
            del config["hydra"]
            config.evaluator.privacy = added
        run_job(config, choices)
    write_run(outputs, {}, dataset="diabetes", generator="tvae", seed=5, **failure("sample", "no row was valid"))
    return outputs


def test_real_runs_end_to_end(swept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(swept), "--to", str(tmp_path / "report")])
    printed = capsys.readouterr().out
    assert "| diabetes | *marginals* |" in printed and "failed: diabetes tvae seed 5" in printed
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names == {"report.html", "runs.csv", "runs.parquet", "runs_wide.csv", "tables.md", "tables.tex"}
    frame = pd.read_parquet(tmp_path / "report" / "runs.parquet")
    report = json.loads(next(swept.glob("runs/diabetes/marginals/seed0*/report.json")).read_text())
    row = frame[(frame["metric"] == "dcr/mean") & (frame["seed"] == 0)].iloc[0]
    assert row["value"] == report["metrics"]["dcr/mean"] and row["higher_is_better"]
    html = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    check_whole(page, html)
    assert page.tags.count("svg") == 3  # distances, columns, relations; nobody was tuned, no utility was measured
    for word in ("BMI", "DiabetesPedigreeFunction", "no row was valid", "sample", "Traceback …", "2 done, 1 failed"):
        assert word in page.text, word


def test_a_run_brings_its_series_along(swept: Path) -> None:
    folder = next(swept.glob("runs/diabetes/marginals/seed0*"))
    assert (folder / "series" / "privacy.npz").is_file()
    assert series(read_run(folder))["dcr"].shape == (12,)


def test_series_are_found_in_the_stage_cache_where_the_folder_has_none(swept: Path, tmp_path: Path) -> None:
    shutil.copytree(swept, tmp_path / "outputs", symlinks=True)
    folder = next((tmp_path / "outputs").glob("runs/diabetes/marginals/seed0*"))
    kept = series(read_run(folder))["dcr"]
    shutil.rmtree(folder / "series")
    assert (series(read_run(folder))["dcr"] == kept).all()
    shutil.rmtree(tmp_path / "outputs" / "cache")
    assert series(read_run(folder)) == {}


def test_a_page_is_made_whatever_is_missing_or_damaged(swept: Path, tmp_path: Path) -> None:
    shutil.copytree(swept, tmp_path / "outputs", symlinks=True)
    first, second = sorted((tmp_path / "outputs").glob("runs/diabetes/marginals/seed*"))
    for path in (first / "series" / "privacy.npz", first / "synthetic.csv", second / "report.json"):
        path.unlink()
        path.write_text("no longer")
    page, html = page_of(tmp_path / "outputs", tmp_path)
    check_whole(page, html)
    assert "No distributions" in page.text and "No column charts: synthetic.csv cannot be read" in page.text
    assert "1 done, 1 failed, 1 damaged" in page.text


def test_rows_that_are_no_longer_the_runs_are_not_drawn_beside_it(swept: Path, tmp_path: Path) -> None:
    folder = next(swept.glob("runs/diabetes/marginals/seed0*"))
    real, synthetic = RowsOfRuns().beside(read_run(folder))
    assert len(real) == 491 and len(synthetic) == 12
    shutil.copytree(folder, tmp_path / "run")
    report = json.loads((folder / "report.json").read_text()) | {"data": "another fingerprint"}
    (tmp_path / "run" / "report.json").write_text(json.dumps(report))
    with pytest.raises(Unavailable, match="the data have changed since the run"):
        RowsOfRuns().beside(read_run(tmp_path / "run"))


def test_runs_left_out_of_the_details_are_counted(swept: Path, tmp_path: Path) -> None:
    page, html = page_of(swept, tmp_path, details=0)
    check_whole(page, html)
    assert page.tags.count("svg") == 1 and "Runs in detail" not in page.text


def test_names_with_markup_in_them_are_only_names(tmp_path: Path) -> None:
    for generator in ("harmonic", "smote"):
        for seed in range(2):
            metrics = {"mle/f1_macro": 0.5 + seed / 10, "dcr/mean": 1.0, "nrs": 0.9}
            write_run(tmp_path, metrics, dataset="da<b>ta", generator=generator, seed=seed, settings={"note": NASTY})
    write_run(tmp_path, {"nrs": None}, dataset="da<b>ta", seed=5, unavailable={"nrs": NASTY})
    write_run(tmp_path, {}, dataset="da<b>ta", seed=6, **failure("fit", NASTY))
    page, html = page_of(tmp_path, tmp_path / "to")
    check_whole(page, html)
    assert "<script" not in html and "da<b>ta" in page.text and NASTY in page.text
    assert "alert" in page.text and "{{ 7*7 }}" in page.text


def nasty_tables() -> tuple[Table, Table]:
    columns = (
        Column(name=NASTY, kind=Kind.CATEGORY, categories=("$x^", "$a_b$", "<b>&", "日本")),
        Column(name="a\nb", kind=Kind.FLOAT),
        Column(name="constant", kind=Kind.INTEGER),
    )
    schema = Schema(columns=columns, target="a\nb", task=Task.REGRESSION, description="")
    frame = pd.DataFrame({NASTY: ["$x^", "$a_b$", "<b>&", "日本"], "a\nb": [1.0, 2.0, 3.0, 1e9], "constant": [3] * 4})
    return Table(frame, schema), Table(frame.iloc[[0, 0]].reset_index(drop=True), schema)


def test_charts_of_any_table_hold_its_names_as_text() -> None:
    real, synthetic = nasty_tables()
    drawn = column_distributions(real, synthetic, "r-1") + relation_differences(real, synthetic, "r-1")
    page = Page(drawn)
    check_whole(page, drawn)
    assert "<script" not in drawn and all(text in page.text for text in ("$x^", "$a_b$", "<b>&", "日本"))


@pytest.mark.parametrize("value", [1e300, -1e300, 0.0, 3.0])
def test_odd_numbers_are_drawn(value: float) -> None:
    schema = Schema(
        columns=(Column(name="x", kind=Kind.FLOAT), Column(name="y", kind=Kind.FLOAT)), target="y",
        task=Task.REGRESSION, description="",
    )  # fmt: skip
    real = Table(pd.DataFrame({"x": [value, value, value], "y": [1.0, 2.0, 3.0]}), schema)
    synthetic = Table(pd.DataFrame({"x": [value, 1.0], "y": [value, 2.0]}), schema)
    drawn = column_distributions(real, synthetic, "r") + relation_differences(real, synthetic, "r2")
    check_whole(Page(drawn), drawn)


def test_a_chart_that_fails_costs_only_itself(swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise ZeroDivisionError("odd rows")

    monkeypatch.setattr("experiments.report.run_charts.relation_differences", broken)
    page, html = page_of(swept, tmp_path, details=1)
    check_whole(page, html)
    assert "ZeroDivisionError: odd rows" in page.text and page.tags.count("svg") == 2


def test_colours_are_the_pages() -> None:
    drawn = losses([{"step": 1, "train/loss": 2.0}, {"step": 2, "train/loss": 1.5}], "x")
    drawn += perplexities({"train": np.array([1.5, 2.0]), "synthetic": np.array([1.2, np.inf])}, "y")
    assert set(re.findall(r"#[0-9a-f]{6}", drawn)) <= {"#000000"}  # Matplotlib's default of what has no colour
    assert {"var(--ink)", "var(--real)", "var(--synthetic)"} <= set(re.findall(r"var\(--\w+\)", drawn))
    assert "1.500" in Page(drawn).text


def test_drawing_leaves_matplotlibs_settings_alone() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    with styled():
        figure, axes = panels(1, 1, (2, 2))
        axes[0].plot([0, 1])
        svg(figure, "n", "d")
    assert dict(matplotlib.rcParams) == before


def test_the_pareto_front_of_a_hand_made_set() -> None:
    #         front       beaten by 0  front       front again  as good in x, worse in y
    points = [(0.9, 0.2), (0.8, 0.1), (0.5, 0.8), (0.5, 0.8), (0.5, 0.7)]
    assert pareto_front(points) == [0, 2, 3]
    assert pareto_front([]) == [] and pareto_front([(1.0, 1.0)]) == [0]


def test_associations_are_those_of_pandas_and_of_coded_groups() -> None:
    random = np.random.default_rng(0)
    group = random.integers(0, 2, 300)
    frame = pd.DataFrame({"x": random.normal(size=300), "g": np.array(["no", "yes"])[group]})
    frame["y"] = frame["x"] * 0.5 + group + random.normal(size=300)
    frame["h"] = np.where(random.random(300) < 0.8, frame["g"], "yes")
    frame["same"] = "one"
    kinds = {"x": Kind.FLOAT, "g": Kind.CATEGORY, "y": Kind.FLOAT, "h": Kind.CATEGORY, "same": Kind.CATEGORY}
    columns = tuple(Column(name=name, kind=kind) for name, kind in kinds.items())
    schema = Schema(columns=columns, target="x", task=Task.REGRESSION, description="")
    found = pd.DataFrame(association(frame[list(kinds)], schema), index=list(kinds), columns=list(kinds))
    # With two groups, the correlation ratio and Cramér's V are |r| of the groups coded as 0 and 1.
    coded = frame.assign(g=group, h=(frame["h"] == "yes").astype(int))
    assert found.loc["x", "y"] == pytest.approx(frame["x"].corr(frame["y"]))
    assert found.loc["g", "y"] == pytest.approx(abs(coded["g"].corr(coded["y"])))
    assert found.loc["g", "h"] == pytest.approx(abs(coded["g"].corr(coded["h"])))
    assert (found["same"] == 0).all() and np.allclose(found, found.T)


def test_a_loss_history_is_read_and_a_damaged_one_is_said(tmp_path: Path) -> None:
    folder = write_run(tmp_path, {})
    (folder / "history.json").write_text(json.dumps([{"step": 1, "train/loss": 2.0}, {"step": 2}]))
    assert history(read_run(folder)) == [{"step": 1, "train/loss": 2.0}]
    (folder / "history.json").write_text("[{")
    with pytest.raises(Unavailable, match=r"history\.json"):
        history(read_run(folder))


def test_a_folder_without_reports_is_one_error_and_exit_code_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "experiments.report.command", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("error: ") == 1 and "Traceback" not in done.stderr
    assert str(tmp_path) in done.stderr and "fix: " in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_method_to_compare_with_names_the_known_ones(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 1.0})
    with pytest.raises(ConfigError, match="did you mean 'smote'"):
        make_report([tmp_path], tmp_path / "to", against="smoet")
    assert not (tmp_path / "to").exists()


def test_a_method_that_ran_in_several_settings_must_be_named_in_full(tmp_path: Path) -> None:
    for k in (3, 5):
        write_run(tmp_path, {"nrs": 1.0}, generator="harmonic", settings={"k": k}, run_id=str(k))
    with pytest.raises(ConfigError, match="harmonic, k=3; harmonic, k=5"):
        make_report([tmp_path], tmp_path / "to", against="harmonic")
    make_report([tmp_path], tmp_path / "to", against="harmonic, k=3", formats=["markdown"])
    assert "Is harmonic, k=3 different?" in (tmp_path / "to" / "tables.md").read_text()


def test_a_folder_that_cannot_be_written_to_is_a_clear_error(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 1.0})
    with pytest.raises(ConfigError, match="--to"):
        make_report([tmp_path], Path("/dev/null/x"), formats=["markdown"])


def test_only_the_formats_asked_for_are_written(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 1.0})
    assert make_report([tmp_path], formats=["latex"]) == [tmp_path / "report" / "tables.tex"]
    assert [path.name for path in (tmp_path / "report").iterdir()] == ["tables.tex"]


def test_runs_of_which_none_finished_still_make_a_page(tmp_path: Path) -> None:
    write_run(tmp_path, {}, **failure("fit", "out of memory"))
    page, html = page_of(tmp_path, tmp_path / "to")
    check_whole(page, html)
    assert "out of memory" in page.text and "1 failed" in page.text


def test_the_console_script_is_this_programs_main() -> None:
    import tomllib

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["harmonic-report"] == f"{main.__module__}:{main.__name__}"


def test_the_command_line_loads_neither_hydra_nor_matplotlib() -> None:
    names = ("hydra", "matplotlib", "torch")
    code = f"import experiments.report.command, sys; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
