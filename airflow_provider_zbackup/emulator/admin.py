"""
The admin API below ``/_emulator/``: it shows and changes the state, and adds faults.

It needs no key. So the emulator must not listen on a public address. Its JSON has the names of the Python
classes. After wrong input it answers HTTP 400 with an ``error``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_zbackup.emulator.api import backups, catalogue, policies
from airflow_provider_zbackup.emulator.api.request import ApiRequest
from airflow_provider_zbackup.emulator.checked_model import CheckedModel, Seconds, explain
from airflow_provider_zbackup.emulator.control_plane import ControlPlane, Settings
from airflow_provider_zbackup.emulator.faults import FaultRule
from airflow_provider_zbackup.emulator.formats import Json, iso_time
from airflow_provider_zbackup.emulator.jobs import JobPlan
from airflow_provider_zbackup.emulator.records import (
    Cluster,
    Collection,
    CreationMethod,
    Project,
    StorageIntegration,
)
from airflow_provider_zbackup.emulator.seed import PROJECT_ID


class NewBackup(CheckedModel):
    """
    A backup to start.

    :param retention_days: only of automatic backups.
    :param job: None leaves it to the fault rules.
    """

    cluster_id: str
    creation_method: CreationMethod = "MANUAL"
    retention_days: int | None = Field(default=7, ge=1, le=30)
    job: JobPlan | None = None


class JobEnd(CheckedModel):
    """How a running job ends now."""

    job_id: str
    status: Literal["FAILED", "CANCELED"]
    reason: str = ""


class Advance(CheckedModel):
    """How far to move the clock."""

    seconds: Seconds


def _collection_fields(value: Json) -> Json:
    return {"name": value} if isinstance(value, str) else value


class NewCollection(CheckedModel):
    """A collection, without rows."""

    name: str
    description: str = ""
    status: str = "LOADED"
    size: int = 4096


class ClusterChanges(CheckedModel):
    """
    The fields of a cluster to add or to change.

    :param databases: such as ``{"": ["a_name", {"name": "b_name", "status": "UNLOADED"}]}``.
    """

    cluster_id: str
    status: str | None = None
    cluster_name: str | None = None
    project_id: str | None = None
    region_id: str | None = None
    plan: str | None = None
    deployment_option: str | None = None
    cu_type: str | None = None
    cu_size: int | None = None
    description: str | None = None
    databases: dict[str, list[Annotated[NewCollection, BeforeValidator(_collection_fields)]]] | None = None


class StorageIntegrationChanges(CheckedModel):
    """The fields of a storage integration to add or to change."""

    integration_id: str
    name: str | None = None
    project_id: str | None = None
    status: str | None = None
    message: str | None = None
    region_id: str | None = None
    bucket_name: str | None = None


class ConsolePolicy(CheckedModel):
    """A policy with a schedule that only the console can set."""

    cluster_id: str
    frequency: str
    start_time: str
    retention_days: int = Field(default=7, ge=1, le=30)


class ProjectChanges(CheckedModel):
    """The fields of a project to add or to change."""

    project_id: str
    project_name: str | None = None
    plan: str | None = None
    region_ids: list[str] | None = None
    description: str | None = None


def routes(control_plane: ControlPlane) -> list[Route]:
    """Return the routes of the admin API."""

    def route(
        method: str, path: str, handler: Callable[..., Json], body: type[CheckedModel] | None = None
    ) -> Route:
        async def respond(request: Request) -> Response:
            content = await request.body() or b"{}"
            try:
                with control_plane.lock:
                    if body is None:
                        return JSONResponse(handler(control_plane))
                    return JSONResponse(handler(control_plane, body.model_validate_json(content)))
            except ValueError as error:
                return JSONResponse({"error": explain(error)}, 400)

        return Route(path, respond, methods=[method])

    return [
        route("GET", "/state", show_state),
        route("POST", "/reset", reset),
        route("GET", "/faults", show_faults),
        route("POST", "/faults", add_fault, FaultRule),
        route("DELETE", "/faults", clear_faults),
        route("PATCH", "/settings", change_settings, Settings),
        route("POST", "/backups", start_backup, NewBackup),
        route("POST", "/jobs/end", end_job, JobEnd),
        route("POST", "/clock", advance, Advance),
        route("POST", "/clusters", put_cluster, ClusterChanges),
        route("POST", "/projects", put_project, ProjectChanges),
        route("POST", "/storage_integrations", put_storage_integration, StorageIntegrationChanges),
        route("POST", "/console_policies", put_console_policy, ConsolePolicy),
        route("GET", "/requests", show_requests),
        route("DELETE", "/requests", clear_requests),
    ]


def show_state(control_plane: ControlPlane) -> Json:
    """
    Show the whole state in the form of the API. Backups also have ``jobId`` and ``copyOf``, clusters
    their ``databases``.

    Backups of failed jobs have no status. The API does not show them.
    """
    now = control_plane.now()
    return {
        "now": iso_time(now),
        "settings": control_plane.settings.model_dump(),
        "projects": catalogue.list_projects(control_plane, ApiRequest()),
        "clusters": [
            {
                **catalogue.describe_cluster(control_plane, ApiRequest({"cluster_id": cluster.cluster_id})),
                "databases": {
                    database: [_show_collection(collection) for collection in group]
                    for database, group in cluster.databases_at(now).items()
                },
            }
            for cluster in control_plane.present_clusters()
        ],
        "backups": [
            {
                **backups.describe(control_plane, backup),
                "jobId": backup.job.job_id,
                "copyOf": backup.copy_of,
            }
            for backup in control_plane.backups
            if now >= backup.created
        ],
        "jobs": [job.to_json(now) for job in control_plane.jobs.values() if now >= job.started],
        "policies": [
            policies.get_backup_policy(control_plane, ApiRequest({"cluster_id": cluster_id}))
            for cluster_id in control_plane.policies
        ],
        "exports": [
            {
                "backupId": export.backup.backup_id,
                "integrationId": export.integration_id,
                "directory": export.directory,
                "jobId": export.job.job_id,
            }
            for export in control_plane.exports
        ],
    }


def _show_collection(collection: Collection) -> Json:
    return {
        "name": collection.name,
        "description": collection.description,
        "status": collection.status,
        "size": collection.size,
    }


def reset(control_plane: ControlPlane) -> Json:
    """Go back to the state at the start."""
    control_plane.reset()
    return {}


def show_faults(control_plane: ControlPlane) -> Json:
    """Show the fault rules, and how often each has applied."""
    return control_plane.faults.to_json()


def add_fault(control_plane: ControlPlane, rule: FaultRule) -> Json:
    """Add one fault rule."""
    return control_plane.faults.add(**rule.given()).model_dump()


def clear_faults(control_plane: ControlPlane) -> Json:
    """Remove all fault rules."""
    control_plane.faults.clear()
    return {}


def change_settings(control_plane: ControlPlane, changes: Settings) -> Json:
    """Change some settings."""
    control_plane.configure(**changes.given())
    return control_plane.settings.model_dump()


def start_backup(control_plane: ControlPlane, new: NewBackup) -> Json:
    """Start a backup of a whole cluster, as a policy or a colleague does."""
    if new.cluster_id not in control_plane.clusters:
        raise ValueError(f"cluster_id: There is no cluster {new.cluster_id}.")
    backup = control_plane.start_backup(
        control_plane.clusters[new.cluster_id],
        operation="automatic_backup" if new.creation_method == "AUTO" else "create_backup",
        creation_method=new.creation_method,
        retention_days=new.retention_days if new.creation_method == "AUTO" else None,
        plan=new.job,
    )
    return {**backups.describe(control_plane, backup), "jobId": backup.job.job_id}


def end_job(control_plane: ControlPlane, end: JobEnd) -> Json:
    """End a running job."""
    return control_plane.end_job(end.job_id, end.status, end.reason).to_json(control_plane.now())


def advance(control_plane: ControlPlane, by: Advance) -> Json:
    """Move the clock forward."""
    control_plane.advance(by.seconds)
    return {"now": iso_time(control_plane.now())}


def put_cluster(control_plane: ControlPlane, body: ClusterChanges) -> Json:
    """Add or change a cluster."""
    now = control_plane.now()
    changes = body.given()
    status = changes.pop("status", None)
    cluster_id = body.cluster_id
    cluster = control_plane.clusters.get(cluster_id) or Cluster(cluster_id, cluster_id, PROJECT_ID, now)
    if body.databases is not None:
        changes["databases"] = {
            database: [Collection(**new.model_dump()) for new in group]
            for database, group in body.databases.items()
        }
        # These are all collections of now: what was restored before is among them or gone.
        changes["restored"] = [each for each in cluster.restored if not each.job.is_final(now)]
    control_plane.put_cluster(replace(cluster, **changes))
    if status is not None:
        control_plane.set_cluster_status(cluster_id, status)
    return {"clusterId": cluster_id, "status": control_plane.clusters[cluster_id].status(now)}


def put_project(control_plane: ControlPlane, body: ProjectChanges) -> Json:
    """Add or change a project."""
    project_id = body.project_id
    project = control_plane.projects.get(project_id) or Project(project_id, project_id, control_plane.now())
    control_plane.put_project(replace(project, **body.given()))
    return {"projectId": project_id}


def put_storage_integration(control_plane: ControlPlane, body: StorageIntegrationChanges) -> Json:
    """Add or change a storage integration."""
    integration_id = body.integration_id
    integration = control_plane.storage_integrations.get(integration_id) or StorageIntegration(
        integration_id, integration_id, PROJECT_ID
    )
    control_plane.put_storage_integration(replace(integration, **body.given()))
    return {"integrationId": integration_id}


def put_console_policy(control_plane: ControlPlane, body: ConsolePolicy) -> Json:
    """Set a policy as somebody does in the console."""
    control_plane.put_console_policy(**body.model_dump())
    return {"clusterId": body.cluster_id, "status": "ENABLED"}


def show_requests(control_plane: ControlPlane) -> Json:
    """Show the requests that the API got, oldest first."""
    return [{**asdict(request), "time": iso_time(request.time)} for request in control_plane.requests]


def clear_requests(control_plane: ControlPlane) -> Json:
    """Forget the requests that the API got."""
    control_plane.requests.clear()
    return {}
