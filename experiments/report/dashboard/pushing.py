"""Sends a specification to W&B: the view and the report with its name are updated, or made if there are none."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from experiments.report.dashboard.specification import CHART
from experiments.report.dashboard.target import Target
from harmonic.errors import ConfigError
from harmonic.wandb_session import has_credentials

logger = logging.getLogger(__name__)

VIEW, REPORT = "project-view", "runs"
"""How W&B calls the two kinds of what it all calls views."""

FIND = """
query HarmonicViews($entity: String!, $project: String!, $type: String!, $after: String) {
    project(name: $project, entityName: $entity) {
        allViews(viewType: $type, first: 100, after: $after) {
            edges { node { id name displayName } }
            pageInfo { endCursor hasNextPage }
        }
    }
}
"""


@dataclass(frozen=True, slots=True)
class Pushed:
    """Addresses of the view and the report, and which of them are new."""

    view: str
    report: str
    new: tuple[str, ...] = ()


def is_online() -> bool:
    """Whether this machine has credentials for W&B, and WANDB_MODE does not say offline. No network is used."""
    import wandb

    wandb.setup(settings=wandb.Settings(silent=True))
    return os.environ.get("WANDB_MODE") not in ("offline", "dryrun", "disabled") and has_credentials(wandb)


def with_entity(target: Target) -> Target:
    """The target with an entity: its own, or the default one of the account. Raises ConfigError if there is none."""
    if target.entity:
        return target
    with _told(target):
        entity = _api().default_entity
    if not entity:
        fix = "name a user or a team: --entity NAME, or set WANDB_ENTITY"
        raise ConfigError("--entity", "", "W&B knows no default entity of this account", fix)
    return Target(target.project, entity)


def push(specification: dict[str, Any], target: Target) -> Pushed:
    """Make or update the view and the report. Raises ConfigError if no entity is known, or if W&B refuses."""
    target = with_entity(target)
    logger.info("on W&B: %s", target)
    with _told(target):
        api = _api()
        views = _named(api, target, VIEW, specification["name"])
        reports = _named(api, target, REPORT, specification["name"])
        chart = _chart(api, target, specification["chart"])
        view = _push_view(specification, target, views, chart)
        report = _push_report(specification, target, reports, chart)
    return Pushed(view, report, tuple(kind for kind, found in (("view", views), ("report", reports)) if found is None))


@contextmanager
def _told(target: Target) -> Iterator[None]:
    """Within this block, errors of W&B become a ConfigError."""
    import wandb
    from wandb.sdk.lib.service.service_connection import WandbApiFailedError

    try:
        yield
    except (wandb.Error, WandbApiFailedError, ValueError, OSError) as error:
        fix = "check the network, `wandb login` and the names: --entity NAME --project NAME"
        raise ConfigError("--project", target, f"W&B did not take the dashboard ({error})", fix) from error


def _api() -> Any:
    import wandb

    return wandb.Api()


def _push_view(specification: dict[str, Any], at: Target, known: dict[str, str] | None, chart: str | None) -> str:
    import wandb_workspaces.workspaces as ws
    from wandb_workspaces.workspaces import internal

    name = specification["name"]
    model = internal.View(
        entity=at.entity, project=at.project, display_name=name, name=known["name"] if known else _view_name(at, name),
        id=known["id"] if known else "", spec=internal.WorkspaceViewspec.model_validate(specification["view"]),
    )  # fmt: skip
    view = ws.Workspace._from_model(model)
    for section in view.sections:
        section.panels = _with_chart(section.panels, chart)
    return str(view.save().url)


def _push_report(specification: dict[str, Any], at: Target, known: dict[str, str] | None, chart: str | None) -> str:
    import wandb_workspaces.reports.v2 as wr
    from wandb_workspaces.reports.v2 import internal

    spec = internal.Spec.model_validate(specification["report"])
    where = internal.Project(name=at.project, entity_name=at.entity)
    report = wr.Report._from_model(
        internal.ReportViewspec(
            id=known["id"] if known else "",
            display_name=specification["name"],
            description=specification["description"],
            project=where,
            spec=spec,
        )
    )
    report.width = spec.width
    for block in report.blocks:
        if isinstance(block, wr.PanelGrid):
            block.panels = _with_chart(block.panels, chart)
            for runset in block.runsets:
                runset.entity, runset.project = at.entity, at.project
    return str(report.save().url)


def _with_chart(panels: list[Any], chart: str | None) -> list[Any]:
    """The panels, with the id of our chart; without those that need it if there is none."""
    import wandb_workspaces.reports.v2 as wr

    kept = []
    for panel in panels:
        if isinstance(panel, wr.CustomChart) and panel.chart_name == CHART:
            if chart is None:
                continue
            panel.chart_name = chart
        kept.append(panel)
    return kept


def _chart(api: Any, at: Target, specification: dict[str, Any]) -> str | None:
    """The id of our chart of means and deviations, made if it is new; None if this W&B does not take it."""
    import wandb
    from wandb.sdk.lib.service.service_connection import WandbApiFailedError

    try:
        return str(
            api.create_custom_chart(
                entity=at.entity, name=CHART, display_name="mean and deviation (harmonic)", spec_type="vega2",
                access="private", spec=specification,
            )
        )  # fmt: skip
    except (wandb.Error, WandbApiFailedError, ValueError) as error:
        if "exist" in str(error).lower():
            return f"{at.entity}/{CHART}"
        logger.warning("W&B does not take the chart with deviations, the tables show them (%s)", error)
        return None


def _named(api: Any, at: Target, kind: str, name: str) -> dict[str, str] | None:
    """The first view or report with this name; None if there is none. A new project is made."""
    return next((node for node in _all(api, at, kind) if node["displayName"] == name), None)


def _all(api: Any, at: Target, kind: str) -> Iterator[dict[str, str]]:
    from wandb_workspaces._graphql import execute_graphql

    after = None
    while True:
        asked = {"entity": at.entity, "project": at.project, "type": kind, "after": after}
        project = execute_graphql(api, FIND, asked).get("project")
        if project is None:
            api.create_project(at.project, at.entity)
            return
        yield from (edge["node"] for edge in project["allViews"]["edges"])
        page = project["allViews"]["pageInfo"]
        if not page["hasNextPage"]:
            return
        after = page["endCursor"]


def _view_name(at: Target, name: str) -> str:
    """W&B's own name of a new view, in the form that its addresses need; the same for the same dashboard."""
    return f"nw-{hashlib.sha256(f'{at}/{name}'.encode()).hexdigest()[:11]}-v"
