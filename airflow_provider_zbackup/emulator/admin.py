"""
The admin API below ``/_emulator/``: look at the state, put things in the way, switch faults on.

It takes no key, so the emulator belongs on a loopback address. What it takes is JSON with the same names as
the Python classes behind it; what it refuses is HTTP 400 with an ``error``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_zbackup.emulator.api import OPERATIONS, backups, catalogue, policies
from airflow_provider_zbackup.emulator.api.request import ApiRequest
from airflow_provider_zbackup.emulator.control_plane import ControlPlane
from airflow_provider_zbackup.emulator.faults import ANY_OPERATION, BACKGROUND_OPERATIONS
from airflow_provider_zbackup.emulator.formats import Json, iso_time
from airflow_provider_zbackup.emulator.jobs import JobPlan
from airflow_provider_zbackup.emulator.records import Cluster, Collection, Databases, Project
from airflow_provider_zbackup.emulator.seed import PROJECT_ID

Handler = Callable[[ControlPlane, dict[str, Json]], Json]

_CLUSTER_FIELDS = frozenset(
    {
        "cluster_name",
        "project_id",
        "region_id",
        "plan",
        "deployment_option",
        "cu_type",
        "cu_size",
        "description",
        "databases",
    }
)
_PROJECT_FIELDS = frozenset({"project_name", "plan", "region_ids", "description"})
_BACKUP_FIELDS = frozenset({"creation_method", "retention_days", "job"})


def routes(control_plane: ControlPlane) -> list[Route]:
    """
    Return the routes of the admin API.

    :param control_plane: the control plane they work on.
    """
    handlers: list[tuple[str, str, Handler]] = [
        ("GET", "/state", show_state),
        ("POST", "/reset", reset),
        ("GET", "/faults", show_faults),
        ("POST", "/faults", add_fault),
        ("DELETE", "/faults", clear_faults),
        ("PATCH", "/settings", change_settings),
        ("POST", "/backups", start_backup),
        ("POST", "/clusters", put_cluster),
        ("POST", "/projects", put_project),
        ("GET", "/requests", show_requests),
        ("DELETE", "/requests", clear_requests),
    ]
    return [
        Route(path, _endpoint(control_plane, handler), methods=[method]) for method, path, handler in handlers
    ]


def show_state(control_plane: ControlPlane, fields: dict[str, Json]) -> Json:
    """
    Everything there is, drawn as in the API; backups also with their job and what they are a copy of.

    A backup whose job failed is here too, without a status, though the API does not show it any more.
    """
    now = control_plane.now()
    return {
        "now": iso_time(now),
        "settings": asdict(control_plane.settings),
        "projects": catalogue.list_projects(control_plane, ApiRequest()),
        "clusters": [
            catalogue.describe_cluster(control_plane, ApiRequest({"cluster_id": cluster.cluster_id}))
            for cluster in control_plane.present_clusters()
        ],
        "backups": [
            {**backups.describe(backup, now), "jobId": backup.job.job_id, "copyOf": backup.copy_of}
            for backup in control_plane.backups
            if now >= backup.created
        ],
        "jobs": [job.answer(now) for job in control_plane.jobs.values() if now >= job.started],
        "policies": [
            policies.get_backup_policy(control_plane, ApiRequest({"cluster_id": cluster_id}))
            for cluster_id in control_plane.policies
        ],
    }


def reset(control_plane: ControlPlane, fields: dict[str, Json]) -> Json:
    """Back to the seeded state."""
    control_plane.reset()
    return {}


def show_faults(control_plane: ControlPlane, fields: dict[str, Json]) -> Json:
    """The fault rules, and how often each has fired."""
    return control_plane.faults.answer()


def add_fault(control_plane: ControlPlane, fields: dict[str, Json]) -> Json:
    """Add one fault rule."""
    known = {operation.name for operation in OPERATIONS} | BACKGROUND_OPERATIONS | {ANY_OPERATION}
    if fields.get("operation") not in known:
        raise ValueError(f"operation must be one of {', '.join(sorted(known))}")
    return asdict(control_plane.faults.add(**fields))


def clear_faults(control_plane: ControlPlane, fields: dict[str, Json]) -> Json:
    """Remove all fault rules."""
    control_plane.faults.clear()
    return {}


def change_settings(control_plane: ControlPlane, fields: dict[str, Json]) -> Json:
    """Change some settings."""
    control_plane.configure(**fields)
    return asdict(control_plane.settings)


def start_backup(control_plane: ControlPlane, fields: dict[str, Json]) -> Json:
    """Start a backup of a whole cluster, as a colleague does in the console or a policy does."""
    cluster = control_plane.clusters[fields.pop("cluster_id")]
    _only(fields, _BACKUP_FIELDS)
    creation_method = fields.get("creation_method", "MANUAL")
    if creation_method not in backups.CREATION_METHODS:
        raise ValueError(f"creation_method must be one of {', '.join(backups.CREATION_METHODS)}")
    backup = control_plane.start_backup(
        cluster,
        operation="automatic_backup",
        creation_method=creation_method,
        retention_days=fields.get("retention_days", 7) if creation_method == "AUTO" else None,
        plan=JobPlan(**fields.get("job", {})),
    )
    return {**backups.describe(backup, control_plane.now()), "jobId": backup.job.job_id}


def put_cluster(control_plane: ControlPlane, fields: dict[str, Json]) -> Json:
    """Add a cluster, or change one: its status, its collections, any other of its fields."""
    cluster_id = fields.pop("cluster_id")
    status = fields.pop("status", None)
    _only(fields, _CLUSTER_FIELDS)
    if "databases" in fields:
        fields["databases"] = _databases(fields["databases"])
    known = control_plane.clusters.get(cluster_id) or Cluster(
        cluster_id, cluster_id, PROJECT_ID, control_plane.now()
    )
    control_plane.put_cluster(replace(known, **fields))
    if status is not None:
        control_plane.set_cluster_status(cluster_id, status)
    return {"clusterId": cluster_id, "status": control_plane.clusters[cluster_id].status(control_plane.now())}


def put_project(control_plane: ControlPlane, fields: dict[str, Json]) -> Json:
    """Add a project, or change one."""
    project_id = fields.pop("project_id")
    _only(fields, _PROJECT_FIELDS)
    known = control_plane.projects.get(project_id) or Project(project_id, project_id, control_plane.now())
    control_plane.put_project(replace(known, **fields))
    return {"projectId": project_id}


def show_requests(control_plane: ControlPlane, fields: dict[str, Json]) -> Json:
    """The requests the API got, oldest first."""
    return [{**asdict(request), "time": iso_time(request.time)} for request in control_plane.requests]


def clear_requests(control_plane: ControlPlane, fields: dict[str, Json]) -> Json:
    """Forget the requests the API got."""
    control_plane.requests.clear()
    return {}


def _endpoint(control_plane: ControlPlane, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        try:
            fields = await request.json() if await request.body() else {}
            if not isinstance(fields, dict):
                raise TypeError("the body must be a JSON object")
            with control_plane.lock:
                return JSONResponse(handler(control_plane, fields))
        except KeyError as error:
            return JSONResponse({"error": f"missing or unknown: {error}"}, 400)
        except (AttributeError, TypeError, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return respond


def _only(fields: dict[str, Json], allowed: frozenset[str]) -> None:
    unknown = sorted(fields.keys() - allowed)
    if unknown:
        raise ValueError(f"unknown fields: {', '.join(unknown)}")


def _databases(value: dict[str, list[Json]]) -> Databases:
    """Read ``{"": ["a_name", {"name": "b_name", "status": "UNLOADED"}]}``."""
    return {
        database: [Collection(item) if isinstance(item, str) else Collection(**item) for item in items]
        for database, items in value.items()
    }
