"""Dashboards: what they show, their form as W&B stores it, and that sending one again updates it (W&B is a mock)."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import wandb
import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.reports.v2.internal as report_models
import wandb_workspaces.workspaces as ws
import wandb_workspaces.workspaces.internal as view_models
from sweeps import write_run
from test_tracking import records

from experiments.report.collected import collect
from experiments.report.command import main as report
from experiments.report.dashboard import picture, pushing, specification
from experiments.report.dashboard.command import main
from experiments.report.dashboard.contents import SECTIONS, Contents, Quantity, contents_of, mean_table
from experiments.report.dashboard.target import Target, target_of
from harmonic.errors import ConfigError

GOLDEN = Path(__file__).parent / "golden.json"


class Server:
    """The parts of wandb.Api that are used, over views in memory; as in the tests of wandb-workspaces."""

    def __init__(self, projects: tuple[str, ...] = ("team/tables",), chart: Exception | None = None) -> None:
        self.known, self.views, self.chart = set(projects), {}, chart
        self.default_entity: str | None = "team"
        self._service_api = SimpleNamespace(app_url="https://wandb.test/", execute_graphql=self._execute)

    def _execute(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        given = dict(variables)
        if "UpsertView2" in query or "upsertView" in query:
            assert f"{given['entityName']}/{given['projectName']}" in self.known
            key = given.get("id") or f"id{len(self.views)}"
            self.views[key] = given | {"id": key}
            project = {"id": "p1", "name": given["projectName"], "entityName": given["entityName"]}
            return {"upsertView": {"view": self.views[key] | {"project": project}, "inserted": not given.get("id")}}
        entity = given.get("entity") or given["entityName"]
        project = given.get("project") or given["projectName"]
        if f"{entity}/{project}" not in self.known:
            return {"project": None}
        if "ProjectInternalId" in query:
            return {"project": {"id": "p1", "internalId": f"internal of {project}"}}
        found = [view for view in self.views.values() if view["type"] == given["type"]]
        start = int(given["after"] or 0)  # a page has one view, so that all pages must be read
        page = {"endCursor": str(start + 1), "hasNextPage": start + 1 < len(found)}
        edges = [
            {"node": {key: view[key] for key in ("id", "name", "displayName")}} for view in found[start : start + 1]
        ]
        return {"project": {"allViews": {"edges": edges, "pageInfo": page}}}

    def projects(self, entity: str) -> list[Any]:
        return [SimpleNamespace(name=known.partition("/")[2]) for known in self.known if known.startswith(f"{entity}/")]

    def create_project(self, name: str, entity: str) -> None:
        self.known.add(f"{entity}/{name}")

    def create_custom_chart(self, *, entity: str, name: str, **_: Any) -> str:
        if self.chart:
            raise self.chart
        return f"{entity}/{name}"

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [view for view in self.views.values() if view["type"] == kind]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    found = Server()
    monkeypatch.setattr(wandb, "Api", lambda: found)
    return found


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ENTITY", "PROJECT", "MODE", "API_KEY"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr(wandb, "Api", lambda: pytest.fail("W&B was asked"))


def sweep(outputs: Path) -> Path:
    """Three generators on two tables with different scores, two seeds; the commands gave another k to each seed."""
    number = 0
    for dataset, score in (("german", "f1_macro"), ("abalone", "r2")):
        for generator, base in (("real", 0.7), ("smote", 0.6), ("harmonic", 0.65)):
            for seed in (0, 1):
                number += 1
                words = [f"generator={generator}", f"dataset={dataset}", f"seed={seed}", f"generator.k={seed + 3}"]
                write_run(
                    outputs,
                    {f"mle/{score}": base + seed / 50, "mia/worst": base - 0.05, "nrs": 0.1, "column_shapes": 0.9},
                    dataset=dataset, generator=generator, seed=seed, run_id=f"{number:08x}", headline=score,
                    overrides=[*words, "evaluator=full", "output_dir=x"],
                )  # fmt: skip
    return outputs


def made(outputs: Path, name: str = "harmonic: sweep", sections: tuple[str, ...] = SECTIONS) -> dict[str, Any]:
    found = collect([outputs])
    shown = contents_of(found.records, found.values)
    shown = replace(shown, sections={name: part for name, part in shown.sections.items() if name in sections})
    return specification.specification(
        name,
        shown,
        found.tables[:1],
        ["Some words.", "More words."],
        project="tables",
        entity=None,
        sweep_run="5eeb0000",
    )


def without_expressions(tree: Any) -> Any:
    """The specification without the long expressions of W&B's own package that show a table."""
    if isinstance(tree, dict):
        return {key: without_expressions(value) for key, value in tree.items() if key != "panel2Config"}
    return [without_expressions(one) for one in tree] if isinstance(tree, list) else tree


def test_sections_scatters_and_what_varied_follow_from_the_runs(tmp_path: Path) -> None:
    found = collect([sweep(tmp_path)])
    shown = contents_of(found.records, found.values)
    assert tuple(shown.sections) == SECTIONS
    assert {one.key for one in shown.sections["Utility"]} == {"mle/f1_macro", "mle/r2"}
    assert {one.key for one in shown.sections["Privacy"]} == {"mia/worst", "nrs"}
    assert {one.key for one in shown.sections["Fidelity"]} == {"column_shapes"}
    assert {one.key for one in shown.sections["Cost"]} == {"time/fit_s", "peak_rss_mb"}
    assert {(x.key, y.key) for x, y in shown.scatters} == {("mle/f1_macro", "mia/worst"), ("mle/r2", "mia/worst")}
    assert shown.varied == [
        ("generator", "run.generator"), ("dataset", "run.dataset"), ("seed", "seed"), ("generator.k", "generator.k")
    ]  # fmt: skip


def test_tables_have_mean_and_sample_deviation_over_seeds(tmp_path: Path) -> None:
    found = collect([sweep(tmp_path)])
    table = mean_table(found.values, [Quantity("MLE", "mle/f1_macro"), Quantity("attack", "mia/worst")])
    row = table[(table["metric"] == "MLE") & (table["generator"] == "smote")].iloc[0]
    reference = pd.Series([0.6, 0.62])
    assert math.isclose(row["mean"], reference.mean()) and math.isclose(row["deviation"], reference.std())
    assert math.isclose(row["low"], reference.mean() - reference.std()) and row["seeds"] == 2
    assert len(table) == 3 + 6 and set(table["dataset"][table["metric"] == "attack"]) == {"german", "abalone"}


def test_one_seed_has_no_deviation(tmp_path: Path) -> None:
    write_run(tmp_path, {"nrs": 0.5})
    row = mean_table(collect([tmp_path]).values, [Quantity("NRS", "nrs")]).iloc[0]
    assert math.isnan(row["deviation"]) and row["low"] == row["mean"] == row["high"] == 0.5


def test_the_specification_is_the_golden_one(tmp_path: Path) -> None:
    """After a change that is meant: write `found` into the file, and read what changed."""
    write_run(tmp_path, {"mle/f1_macro": 0.5, "mia/worst": 0.6}, overrides=["generator=smote", "generator.k=3"])
    write_run(
        tmp_path, {"mle/f1_macro": 0.7, "mia/worst": 0.5}, generator="harmonic", run_id="1", overrides=["generator.k=5"]
    )
    found = without_expressions(made(tmp_path, sections=("Utility",)))
    assert found == json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert found == without_expressions(made(tmp_path, sections=("Utility",))), "no random ids"


def test_view_and_report_come_back_from_their_form_unchanged(tmp_path: Path, server: Server) -> None:
    found = made(sweep(tmp_path))
    view = view_models.View(
        entity="team", project="tables", display_name="d", name="nw-x-v", id="i",
        spec=view_models.WorkspaceViewspec.model_validate(found["view"]),
    )  # fmt: skip
    again = ws.Workspace._from_model(view)._to_model()
    assert again.spec.model_dump(by_alias=True, exclude_none=True, mode="json") == found["view"]
    model = report_models.ReportViewspec(
        display_name="d", description="", project=report_models.Project(name="tables", entity_name="team"),
        spec=report_models.Spec.model_validate(found["report"]),
    )  # fmt: skip
    back = wr.Report._from_model(model)
    back.width = model.spec.width
    assert back._to_model().spec.model_dump(by_alias=True, exclude_none=True, mode="json") == found["report"]


def test_sending_twice_updates_and_makes_no_second_view_or_report(tmp_path: Path, server: Server) -> None:
    found = made(sweep(tmp_path))
    for other in ("before", "after"):
        pushing.push(found | {"name": other}, Target("tables", "team"))
    first = pushing.push(found, Target("tables", "team"))
    assert first.new == ("view", "report")
    changed = copy.deepcopy(found)
    changed["view"]["section"]["panelBankConfig"]["sections"][0]["name"] = "Usefulness"
    second = pushing.push(changed, Target("tables", "team"))
    assert second.new == () and second == pushing.Pushed(first.view, first.report)
    views, reports = server.of("project-view"), server.of("runs")
    assert sorted(one["displayName"] for one in views) == sorted(one["displayName"] for one in reports)
    assert len(views) == len(reports) == 3
    (view,) = (one for one in views if one["displayName"] == "harmonic: sweep")
    assert "Usefulness" in view["spec"], "the view was updated"
    assert first.view == f"https://wandb.test/team/tables?nw={view['name'][3:-2]}"


def test_everything_that_is_sent_names_entity_and_project(tmp_path: Path, server: Server) -> None:
    pushing.push(made(sweep(tmp_path)), Target("new-project"))
    assert "team/new-project" in server.known, "a new project is made"
    for one in server.views.values():
        assert (one["entityName"], one["projectName"]) == ("team", "new-project")
    (sent,) = server.of("runs")
    runsets = [
        runset for block in json.loads(sent["spec"])["blocks"] if block["type"] == "panel-grid"
        for runset in block["metadata"]["runSets"]
    ]  # fmt: skip
    assert len(runsets) == 9
    assert {(one["project"]["entityName"], one["project"]["name"]) for one in runsets} == {("team", "new-project")}


def test_bars_with_deviations_have_our_chart_and_are_left_out_where_wandb_does_not_take_it(
    tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    found = made(sweep(tmp_path))
    pushing.push(found, Target("tables", "team"))
    assert all(one["spec"].count(f'"team/{specification.CHART}"') == 4 for one in server.views.values())
    server.chart = ValueError("a chart of this name exists")
    pushing.push(found, Target("tables", "team"))
    assert all(one["spec"].count(f'"team/{specification.CHART}"') == 4 for one in server.views.values())
    server.chart = wandb.Error("not supported")
    pushing.push(found, Target("tables", "team"))
    assert not any(specification.CHART in one["spec"] for one in server.views.values())
    assert "not supported" in caplog.text


def test_an_unknown_entity_and_refusals_are_one_error(tmp_path: Path, server: Server) -> None:
    found = made(sweep(tmp_path))
    server.default_entity = None
    with pytest.raises(ConfigError, match=r"--entity=[\s\S]*--entity NAME, or set WANDB_ENTITY"):
        pushing.push(found, Target("tables"))

    def refusing(*_: object, **__: object) -> None:
        raise wandb.Error("permission denied")

    server.default_entity, server._service_api.execute_graphql = "team", refusing
    with pytest.raises(ConfigError, match=r"--project=team/tables: .*permission denied[\s\S]*wandb login"):
        pushing.push(found, Target("tables"))


def test_project_and_entity_are_those_of_the_runs_or_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tracked(*trackers: dict[str, str]) -> Any:
        return [SimpleNamespace(report={"config": {"tracker": one}}) for one in trackers]

    assert target_of(tracked({"project": "a", "entity": "me"}, {"_target_": "Null"})) == Target("a", "me")
    assert target_of(tracked({"project": "a"})) == Target("a", None)
    assert target_of(tracked(), project="b", entity="you") == Target("b", "you")
    with pytest.raises(ConfigError, match=r"--project=: no run was tracked[\s\S]*--project NAME"):
        target_of(tracked({}))
    with pytest.raises(ConfigError, match=r"--project=a, b: the runs differ in tracker.project[\s\S]*--project a"):
        target_of(tracked({"project": "a"}, {"project": "b"}))
    with pytest.raises(ConfigError, match=r"--entity=me, you"):
        target_of(tracked({"project": "a", "entity": "me"}, {"project": "a", "entity": "you"}))
    monkeypatch.setenv("WANDB_PROJECT", "of the environment")
    assert target_of(tracked({"project": "a"})).project == "of the environment"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_offline_a_report_writes_the_dashboard_the_tables_and_the_commands_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    outputs, folder = sweep(tmp_path / "outputs"), tmp_path / "report"
    (outputs / "wandb" / "offline-run-1-abc").mkdir(parents=True)
    report([str(outputs), "--to", str(folder), "--format", "data", "--wandb", "tables", "--entity", "team"])
    (kept,) = (folder / "wandb").glob("offline-run-*")
    said = capsys.readouterr().out
    for line in (
        f"wandb sync {outputs}/wandb/offline-run-*", f"wandb sync {kept}",
        f"harmonic-dashboard {folder}/dashboard.json --entity team",
    ):  # fmt: skip
        assert line in said
    found = records(kept)
    (run,) = found["run"]
    assert (run.project, run.entity, run.job_type) == ("tables", "team", "sweep")
    assert f'"value": "{run.run_id}"' in (folder / "dashboard.json").read_text(encoding="utf-8")
    logged = {item.key or item.nested_key[0] for record in found["history"] for item in record.item}
    assert {f"mean/{name.lower()}" for name in SECTIONS} <= logged
    (artifact,) = (one for one in found["artifact"] if one.type == "report")
    assert {entry.path for entry in artifact.manifest.contents} >= {"runs.csv", "runs_wide.csv"}


def test_the_command_sends_a_file_or_says_how(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = specification.write(made(sweep(tmp_path / "outputs")), tmp_path)
    main([str(path)])
    assert f"harmonic-dashboard {path}" in capsys.readouterr().out and server.views == {}
    monkeypatch.setattr("experiments.report.dashboard.command.is_online", lambda: True)
    main([str(path), "--entity", "team", "--name", "mine"])
    assert "made the view: https://wandb.test/team/tables?nw=" in (said := capsys.readouterr().out)
    assert "made the report: https://wandb.test/team/tables/reports/mine--" in said
    main([str(path), "--entity", "team", "--name", "mine"])
    assert "updated the view" in (said := capsys.readouterr().out) and "updated the report" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing"], "no such folder"),
        (["bad.json"], "cannot be read"),
        (["old.json"], "another version"),
        (["old.json", "--name", "a + b"], "W&B refuses + in the name"),
        (["outputs"], "name it: --project NAME"),
    ],
)
def test_what_cannot_be_shown_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "outputs", {"nrs": 0.5})
    Path("bad.json").write_text("{}")
    Path("old.json").write_text(json.dumps({"version": 0, "name": "", "view": {}, "report": {}, "chart": {}}))
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "outputs" / "report").exists()


def test_the_picture_has_every_section_and_panel_with_the_runs_own_numbers(tmp_path: Path) -> None:
    found = collect([sweep(tmp_path)])
    shown = contents_of(found.records, found.values)
    tables = {specification.table_name(name): mean_table(found.values, part) for name, part in shown.sections.items()}
    figure = picture.figure_of(made(tmp_path), found.records, tables)
    assert [part.get_suptitle() for part in figure.subfigs] == [*SECTIONS, "What varied"]
    axes = {one.get_title(loc="left"): one for one in figure.get_axes()}
    bars = axes["MLE, r2 ↑"]
    drawn = dict(zip([label.get_text() for label in bars.get_yticklabels()], bars.patches, strict=True))
    assert drawn.keys() == {"real · abalone", "smote · abalone", "harmonic · abalone"}
    assert math.isclose(drawn["smote · abalone"].get_width(), 0.61)
    (points,) = [one for title, one in axes.items() if title.startswith("MLE, f1_macro ↑ against")]
    offsets = [number for pair in sorted(tuple(one.get_offsets()[0]) for one in points.collections) for number in pair]
    assert offsets == pytest.approx([0.61, 0.55, 0.66, 0.6, 0.71, 0.65])
    deviations = axes["MLE, r2 ↑, mean ± deviation"]
    (lines,) = deviations.collections
    assert lines.get_segments()[0][:, 0] == pytest.approx([0.66 - 0.02 / 2**0.5, 0.66 + 0.02 / 2**0.5])  # harmonic
    varied = axes["What varied, and what came of it"]
    assert len(varied.lines) == 12
    assert [label.get_text() for label in varied.get_xticklabels()][:4] == [
        "generator",
        "dataset",
        "seed",
        "generator.k",
    ]
    assert picture.draw(made(tmp_path), found.records, tables, tmp_path / "d.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match=r"--picture=.*d\.doc[\s\S]*dashboard\.png"):
        picture.draw(made(tmp_path), found.records, tables, tmp_path / "d.doc")


def test_names_from_folders_are_names_that_wandb_accepts() -> None:
    name = specification.name_for(Path("/tmp/a+b=c 😀"))
    assert specification.checked_name(name) == name == "harmonic a-b-c -"


def test_runs_without_results_have_a_dashboard_without_panels() -> None:
    found = specification.specification("n", Contents({}), [], [], project="p", entity=None, sweep_run="s")
    assert found["view"]["section"]["panelBankConfig"]["sections"] == []
