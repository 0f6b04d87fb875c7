"""
The web console: the pages behind the links to clusters and jobs that Airflow shows.

Clusters have the same address as in the real console. For jobs, the real addresses are not documented.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from airflow_provider_zbackup.emulator.control_plane import ControlPlane
from airflow_provider_zbackup.emulator.faults import ANY_OPERATION
from airflow_provider_zbackup.emulator.formats import Json, iso_time
from airflow_provider_zbackup.emulator.jobs import Job
from airflow_provider_zbackup.emulator.records import Policy, Project
from airflow_provider_zbackup.emulator.seed import PROJECT_ID
from airflow_provider_zbackup.zilliz.checks import WEEKDAYS
from airflow_provider_zbackup.zilliz.texts import format_age, format_size

PROJECT_PATH = "/orgs/{organization_id}/projects/{project_id}"

Page = Callable[[ControlPlane, Project, dict[str, str]], str]

_TEMPLATES = Environment(
    loader=PackageLoader("airflow_provider_zbackup.emulator"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["iso_time"] = iso_time
_TEMPLATES.filters["size"] = format_size


def _ago(moment: float, now: float) -> str:
    return f"{format_age(timedelta(seconds=now - moment))} ago"


_TEMPLATES.filters["ago"] = _ago


def _clock(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%d %b %Y, %H:%M:%S} UTC"


_TEMPLATES.filters["clock"] = _clock


def _days(policy: Policy) -> str:
    """Return the days of a policy in words; what only the real console can set, as it is."""
    if policy.from_console:
        return policy.frequency
    days = sorted(policy.frequency.split(","))
    return "daily" if len(days) == 7 else ", ".join(WEEKDAYS[int(day) - 1].capitalize() for day in days)


_TEMPLATES.filters["days"] = _days

#: What people want to see go wrong: its name on the button, and the fault rule that a press adds.
FAULTS = {
    "The next backup fails": {
        "operation": "create_backup",
        "times": 1,
        "job": {"status": "FAILED", "at_progress": 40, "reason": "disk full"},
    },
    "The next create gets no answer": {
        "operation": "create_backup",
        "times": 1,
        "drop": True,
        "after": True,
    },
    "HTTP 503, 5 times": {"operation": ANY_OPERATION, "times": 5, "status": 503},
    "HTTP 429, once": {
        "operation": ANY_OPERATION,
        "times": 1,
        "status": 429,
        "headers": {"Retry-After": "5"},
    },
    "All answers take 6 s": {"operation": ANY_OPERATION, "delay": 6},
    "The service is down": {"operation": ANY_OPERATION, "status": 503},
}


def routes(control_plane: ControlPlane) -> list[Route]:
    """Return the routes of all pages."""
    pages: dict[str, Page] = {
        "/clusters": project_page,
        "/clusters/{cluster_id}": cluster_page,
        "/jobs": jobs_page,
        "/jobs/{job_id}": job_page,
    }
    return [
        Route("/", _redirect_to_project(control_plane)),
        *[Route(PROJECT_PATH + path, _endpoint(control_plane, page)) for path, page in pages.items()],
    ]


def project_page(control_plane: ControlPlane, project: Project, ids: dict[str, str]) -> str:
    """Show the clusters, backups, exports and jobs of a project."""
    return _render(
        "project.html",
        control_plane,
        project,
        title=project.project_name,
        clusters=control_plane.present_clusters(project.project_id),
        backups=[
            backup for backup in control_plane.present_backups() if backup.project_id == project.project_id
        ],
        exports=[
            export for export in control_plane.exports if export.backup.project_id == project.project_id
        ],
        jobs=_jobs_of(control_plane, project),
    )


def cluster_page(control_plane: ControlPlane, project: Project, ids: dict[str, str]) -> str:
    """Show the collections, policy, backups and jobs of one cluster."""
    cluster = control_plane.clusters[ids["cluster_id"]]
    if cluster.project_id != project.project_id:
        raise KeyError(cluster.cluster_id)
    return _render(
        "cluster.html",
        control_plane,
        project,
        title=cluster.cluster_name,
        cluster=cluster,
        collections=[
            (database, collection)
            for database, group in cluster.databases_at(control_plane.now()).items()
            for collection in group
        ],
        policy=control_plane.policies.get(cluster.cluster_id),
        backups=control_plane.present_backups(cluster.cluster_id),
        jobs=[job for job in _jobs_of(control_plane, project) if job.cluster_id == cluster.cluster_id],
    )


def jobs_page(control_plane: ControlPlane, project: Project, ids: dict[str, str]) -> str:
    """Show all jobs of a project."""
    jobs = _jobs_of(control_plane, project)
    return _render("jobs.html", control_plane, project, title="Jobs", jobs=jobs)


def job_page(control_plane: ControlPlane, project: Project, ids: dict[str, str]) -> str:
    """Show one job."""
    job = control_plane.jobs[ids["job_id"]]
    if job not in _jobs_of(control_plane, project):
        raise KeyError(job.job_id)
    return _render("jobs.html", control_plane, project, title=f"Job {job.job_id}", jobs=[job])


def _endpoint(control_plane: ControlPlane, page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        ids = request.path_params
        with control_plane.lock:
            try:
                if ids["organization_id"] != control_plane.organization_id:
                    raise KeyError(ids["organization_id"])
                return HTMLResponse(page(control_plane, control_plane.projects[ids["project_id"]], ids))
            except KeyError:
                return HTMLResponse(_TEMPLATES.get_template("not_found.html").render(), 404)

    return respond


def _redirect_to_project(control_plane: ControlPlane) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        return RedirectResponse(_url_of(control_plane, PROJECT_ID) + "/clusters")

    return respond


def _render(template: str, control_plane: ControlPlane, project: Project, **context: Json) -> str:
    return _TEMPLATES.get_template(template).render(
        now=control_plane.now(),
        faults=FAULTS,
        rules=control_plane.faults.rules,
        project=project,
        project_url=_url_of(control_plane, project.project_id),
        projects={
            each.project_name: _url_of(control_plane, each.project_id)
            for each in control_plane.projects.values()
        },
        cluster_names={each.cluster_id: each.cluster_name for each in control_plane.clusters.values()},
        **context,
    )


def _url_of(control_plane: ControlPlane, project_id: str) -> str:
    return PROJECT_PATH.format(organization_id=control_plane.organization_id, project_id=quote(project_id))


def _jobs_of(control_plane: ControlPlane, project: Project) -> list[Job]:
    now = control_plane.now()
    jobs = [
        job
        for job in control_plane.jobs.values()
        if now >= job.started and control_plane.clusters[job.cluster_id].project_id == project.project_id
    ]
    return sorted(jobs, key=lambda job: job.started, reverse=True)
