"""The specification of a dashboard, as W&B stores it: a saved view of the project, and a report with tables and words.

It is made without a network, is plain JSON, and does not depend on where it is sent: `pushing` adds entity and project.
W&B's own package makes it (wandb-workspaces), so that its form is that of the installed version.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from experiments.report.dashboard.contents import Contents, Quantity
from experiments.report.tables import ResultTable
from experiments.report.typeset import markdown
from harmonic.errors import ConfigError
from harmonic.storage import write_json

FILE, VERSION = "dashboard.json", 1
CHART = "harmonic-mean-and-deviation"
"""The name of the chart with bars of means and lines of deviations; W&B keeps such charts by entity."""
GROUPS = ("run.generator", "run.dataset")


def specification(
    name: str, contents: Contents, tables: Sequence[ResultTable], words: Sequence[str], *, project: str | None,
    entity: str | None, sweep_run: str,
) -> dict[str, Any]:  # fmt: skip
    """The specification of a view and a report, both called `name`.

    `words`: paragraphs at the beginning of the report. `sweep_run`: the id of the W&B run that has the tables
    (`sweep_run.send`). `project`, `entity`: where the runs are, if that is known.
    """
    view = _view(name, contents, sweep_run)._to_model()
    report = _report(name, contents, tables, words, sweep_run)._to_model()
    return {
        "version": VERSION, "name": name, "entity": entity, "project": project, "chart": CHART_SPECIFICATION,
        "description": words[0] if words else "",
        "view": view.spec.model_dump(by_alias=True, exclude_none=True, mode="json"),
        "report": report.spec.model_dump(by_alias=True, exclude_none=True, mode="json"),
    }  # fmt: skip


def write(found: dict[str, Any], folder: Path) -> Path:
    """Write the specification as dashboard.json in the folder. Returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FILE, found)
    return folder / FILE


def read(path: Path) -> dict[str, Any]:
    """The specification in a file. Raises ConfigError if it is none, or of another version."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not {"name", "view", "report", "chart"} <= set(found):
            raise ValueError("it has no view and no report")
    except (OSError, ValueError, TypeError) as error:
        fix = f"name a {FILE} that harmonic-dashboard wrote, or a folder with runs"
        raise ConfigError("dashboard", path, f"cannot be read ({error})", fix) from error
    if found.get("version") != VERSION:
        fix = "make it again from the runs: harmonic-dashboard outputs"
        raise ConfigError("dashboard", path, "was written by another version of harmonic", fix)
    return dict(found)


def checked_name(name: str) -> str:
    """The name, if W&B accepts it for a view. Raises ConfigError for symbols that it refuses."""
    bad = sorted({letter for letter in name if _refused(letter)})
    if bad or not name.strip():
        problem = f"W&B refuses {' '.join(bad)} in the name of a view" if bad else "is empty"
        raise ConfigError("--name", name, problem, "use letters, digits, spaces and . : _ -")
    return name


def name_for(folder: Path) -> str:
    """The name of the dashboard of an output folder."""
    text = f"harmonic {folder.resolve().name}"
    return "".join("-" if _refused(letter) else letter for letter in text)


def _refused(letter: str) -> bool:
    """As wandb_workspaces.utils.validators.validate_no_emoji."""
    return unicodedata.category(letter) in ("So", "Sk", "Sm", "Sc", "Cs")


def _view(name: str, contents: Contents, sweep_run: str) -> Any:
    """The saved view: runs in groups, the most important numbers as columns, and the panels in sections."""
    import wandb_workspaces.workspaces as ws
    from wandb_workspaces import expr

    keys = [quantity.key for pair in contents.scatters for quantity in pair]
    keys += [found[0].key for found in contents.sections.values()]
    sections = [
        ws.Section(
            name=section, panels=panels, is_open=True, layout_settings=ws.SectionLayoutSettings(columns=3, rows=2)
        )
        for section, panels in _panels(contents, tables=True)
    ]
    settings = ws.RunsetSettings(
        filters=expr.Or(expr.Config("evaluate_on") == "test", expr.Metric("ID") == sweep_run),
        groupby=[expr.Config(key) for key in GROUPS],
        order=[expr.Ordering(expr.Metric("CreatedTimestamp"), ascending=False)],
        pinned_columns=[_column(key) for key in GROUPS] + [f"summary:{key}" for key in dict.fromkeys(keys)],
    )
    view = ws.Workspace(
        entity="", project="", name=name, sections=sections, runset_settings=settings,
        settings=ws.WorkspaceSettings(max_runs=100),
    )  # fmt: skip
    view._internal_runset_id = _id("view", name)
    return view


def _report(name: str, contents: Contents, tables: Sequence[ResultTable], words: Sequence[str], sweep_run: str) -> Any:
    """The report: words, the same panels of the runs, bars with deviations from our tables, and tables as text."""
    import wandb_workspaces.reports.v2 as wr

    blocks: list[Any] = [wr.P(paragraph) for paragraph in words] + [wr.TableOfContents()]
    for section, panels in _panels(contents, tables=False):
        runs = wr.Runset(
            name="Runs", filters="Config('evaluate_on') = 'test'", groupby=[f"config.{key}" for key in GROUPS]
        )
        blocks += [wr.H1(section), _grid(f"{name}/{section}/runs", runs, panels)]
        if section in contents.sections:
            own = wr.Runset(name="Tables", filters=f"Metric('ID') = '{sweep_run}'")
            blocks.append(_grid(f"{name}/{section}/tables", own, _from_tables(section)))
    blocks += [block for table in tables for block in (wr.H1(table.title), wr.MarkdownBlock(_text(table)))]
    return wr.Report(project="", entity="", title=name, blocks=blocks, width="fluid")


def _text(table: ResultTable) -> str:
    """The table in Markdown, without its heading."""
    return markdown([table]).partition("\n")[2].strip()


def _grid(place: str, runset: Any, panels: Sequence[Any]) -> Any:
    """Panels side by side, three in a row, of the runs in `runset`."""
    import wandb_workspaces.reports.v2 as wr

    runset._id = _id("runset", place)
    for position, panel in enumerate(panels):
        panel._id = _id(place, str(position))
        panel.layout = wr.Layout(x=8 * (position % 3), y=6 * (position // 3), w=8, h=6)
    return wr.PanelGrid(runsets=[runset], panels=list(panels), hide_run_sets=True)


def _panels(contents: Contents, *, tables: bool) -> list[tuple[str, list[Any]]]:
    """The panels of each section. `tables`: with those of our own tables."""
    import wandb_workspaces.reports.v2 as wr

    found: list[tuple[str, list[Any]]] = []
    for section, quantities in contents.sections.items():
        panels = _scatters(contents.scatters) if section == "Utility" else []
        panels += _from_tables(section) if tables else []
        found.append((section, panels + [_bars(quantity) for quantity in quantities]))
    if contents.varied:
        ends = list({quantity.key: quantity for pair in contents.scatters for quantity in pair}.values())
        columns = [
            wr.ParallelCoordinatesPlotColumn(wr.Config(key), display_name=title) for title, key in contents.varied
        ]
        columns += [
            wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric(one.key), display_name=one.title)
            for one in ends or [found[0] for found in contents.sections.values()]
        ]
        found.append(
            ("What varied", [wr.ParallelCoordinatesPlot(title="What varied, and what came of it", columns=columns)])
        )
    for section, panels in found:
        for position, panel in enumerate(panels):
            panel._id = _id(section, str(position))
    return found


def _scatters(pairs: Iterable[tuple[Quantity, Quantity]]) -> list[Any]:
    import wandb_workspaces.reports.v2 as wr

    return [
        wr.ScatterPlot(
            title=f"{utility.title} against {attack.title}",
            x=wr.SummaryMetric(utility.key),
            y=wr.SummaryMetric(attack.key),
        )
        for utility, attack in pairs
    ]


def _bars(quantity: Quantity) -> Any:
    import wandb_workspaces.reports.v2 as wr

    return wr.BarPlot(title=quantity.title, metrics=[wr.Metric(quantity.key)], max_bars_to_show=40)


def _from_tables(section: str) -> list[Any]:
    """Bars with deviations, and the numbers, from the table that the sweep's run has of this section."""
    import wandb_workspaces.reports.v2 as wr

    name = table_name(section)
    fields = {name: name for name in ("metric", "name", "mean", "low", "high")}
    title = {"title": f"{section}: mean ± standard deviation over seeds"}
    chart = wr.CustomChart.from_table(name, chart_fields=fields, chart_strings=title)
    chart.chart_name = CHART
    return [chart, wr.WeavePanelSummaryTable(table_name=name)]


def table_name(section: str) -> str:
    """The name of a section's table in the sweep's run."""
    return f"mean/{section.lower()}"


def _column(key: str) -> str:
    """The name of a setting's column in W&B's table of runs."""
    first, *rest = key.split(".")
    return "config:" + ".".join([first, "value", *rest])


def _id(*parts: str) -> str:
    """An id that is the same whenever the same dashboard is made."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:12]


_NAME = {"field": "${field:name}", "type": "nominal", "sort": None, "title": None}

CHART_SPECIFICATION: dict[str, Any] = {
    "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
    "title": "${string:title}",
    "data": {"name": "wandb"},
    "facet": {"field": "${field:metric}", "type": "nominal", "sort": None, "title": None},
    "columns": 2,
    "spec": {
        "layer": [
            {
                "mark": {"type": "bar", "opacity": 0.6},
                "encoding": {"y": _NAME, "x": {"field": "${field:mean}", "type": "quantitative", "title": None}},
            },
            {
                "mark": "rule",
                "encoding": {
                    "y": _NAME,
                    "x": {"field": "${field:low}", "type": "quantitative"},
                    "x2": {"field": "${field:high}"},
                },
            },
        ]
    },
    "resolve": {"scale": {"x": "independent"}},
}
"""Bars of means with a line from mean - deviation to mean + deviation, a chart for each metric (Vega-Lite)."""
