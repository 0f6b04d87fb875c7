"""
A small web console, so that links to clusters and jobs lead somewhere.

The cluster's address follows the one of the real console; the addresses of its job pages are not documented.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from html import escape
from string import Template

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from airflow_provider_zbackup.emulator.control_plane import ControlPlane
from airflow_provider_zbackup.emulator.formats import iso_time
from airflow_provider_zbackup.emulator.jobs import Job
from airflow_provider_zbackup.emulator.records import Backup, Project
from airflow_provider_zbackup.emulator.seed import PROJECT_ID

PROJECT_PATH = "/orgs/{organization_id}/projects/{project_id}"

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="5">
<title>$title</title>
<style>
  body { margin: 0 auto; padding: 2rem; max-width: 72rem; color: #1f2933; background: #f7f8fa;
         font: 15px/1.5 system-ui, sans-serif; }
  h1 { font-size: 1.5rem; margin: .2rem 0 1.5rem; }
  h2 { font-size: 1.05rem; margin: 2rem 0 .6rem; }
  nav, footer, .empty { color: #66727f; font-size: .9rem; }
  footer { margin-top: 3rem; }
  a { color: #175cd3; text-decoration: none; }
  a:hover { text-decoration: underline; }
  table { width: 100%; border-collapse: collapse; background: #fff; border-radius: 6px;
          box-shadow: 0 1px 2px #0002; }
  th, td { padding: .5rem .9rem; text-align: left; border-bottom: 1px solid #edf0f2; }
  th { color: #66727f; font-weight: 500; font-size: .85rem; }
  .number { text-align: right; font-variant-numeric: tabular-nums; }
  .status { padding: .1rem .55rem; border-radius: 1rem; background: #e4e7eb; font-size: .8rem; }
  .RUNNING, .AVAILABLE, .SUCCESSFUL { background: #d3f5dd; color: #0b6b2e; }
  .CREATING, .PENDING, .IN_PROGRESS, .RESTORE_BACKUP { background: #dbeafe; color: #1849a9; }
  .FAILED, .CANCELED, .CANCELING, .ABNORMAL { background: #fde2e1; color: #a31515; }
  progress { width: 8rem; vertical-align: middle; }
</style>
</head>
<body>
<nav>$trail</nav>
<h1>$title</h1>
$content
<footer>Emulated Zilliz Cloud. Nothing here is real, and nothing is kept.</footer>
</body>
</html>
""")


def routes(control_plane: ControlPlane) -> list[Route]:
    """
    Return the pages of the console.

    :param control_plane: the control plane they show.
    """
    pages = {
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
    """A project: its clusters, backups and jobs."""
    now = control_plane.now()
    clusters = [
        cluster
        for cluster in control_plane.clusters.values()
        if cluster.project_id == project.project_id and cluster.settled_status != "DELETED"
    ]
    backups = [backup for backup in control_plane.backups if backup.project_id == project.project_id]
    content = [
        _table(
            "Clusters",
            ("Name", "Id", "Plan", "Region", "Status"),
            [
                (
                    _link(control_plane, project, f"clusters/{cluster.cluster_id}", cluster.cluster_name),
                    escape(cluster.cluster_id),
                    escape(cluster.plan),
                    escape(cluster.region_id),
                    _status(cluster.status(now)),
                )
                for cluster in clusters
            ],
        ),
        _backups_table(control_plane, project, backups),
        _jobs_table(control_plane, project, _jobs_of(control_plane, project)),
    ]
    return _page(control_plane, project, project.project_name, content)


def cluster_page(control_plane: ControlPlane, project: Project, ids: dict[str, str]) -> str:
    """A cluster: its backups and jobs."""
    cluster = control_plane.clusters[ids["cluster_id"]]
    if cluster.project_id != project.project_id:
        raise KeyError(cluster.cluster_id)
    jobs = [job for job in _jobs_of(control_plane, project) if job.cluster_id == cluster.cluster_id]
    backups = [backup for backup in control_plane.backups if backup.cluster_id == cluster.cluster_id]
    facts = (cluster.cluster_id, cluster.plan, cluster.region_id)
    content = [
        f"<p>{_status(cluster.status(control_plane.now()))} {escape(' · '.join(facts))}</p>",
        _backups_table(control_plane, project, backups),
        _jobs_table(control_plane, project, jobs),
    ]
    return _page(control_plane, project, cluster.cluster_name, content)


def jobs_page(control_plane: ControlPlane, project: Project, ids: dict[str, str]) -> str:
    """All jobs of a project."""
    return _page(
        control_plane,
        project,
        "Jobs",
        [_jobs_table(control_plane, project, _jobs_of(control_plane, project))],
    )


def job_page(control_plane: ControlPlane, project: Project, ids: dict[str, str]) -> str:
    """One job."""
    job = control_plane.jobs[ids["job_id"]]
    if job not in _jobs_of(control_plane, project):
        raise KeyError(job.job_id)
    return _page(control_plane, project, f"Job {job.job_id}", [_jobs_table(control_plane, project, [job])])


def _endpoint(
    control_plane: ControlPlane, page: Callable[[ControlPlane, Project, dict[str, str]], str]
) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        ids = request.path_params
        with control_plane.lock:
            try:
                if ids["organization_id"] != control_plane.organization_id:
                    raise KeyError(ids["organization_id"])
                return HTMLResponse(page(control_plane, control_plane.projects[ids["project_id"]], ids))
            except KeyError:
                nothing = _PAGE.substitute(title="Not found", trail='<a href="/">Project</a>', content="")
                return HTMLResponse(nothing, 404)

    return respond


def _redirect_to_project(control_plane: ControlPlane) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        project_id = (
            PROJECT_ID if PROJECT_ID in control_plane.projects else next(iter(control_plane.projects))
        )
        path = PROJECT_PATH.format(organization_id=control_plane.organization_id, project_id=project_id)
        return RedirectResponse(path + "/clusters")

    return respond


def _page(control_plane: ControlPlane, project: Project, title: str, content: Iterable[str]) -> str:
    trail = " / ".join(
        [
            _link(control_plane, project, "clusters", project.project_name),
            _link(control_plane, project, "jobs", "Jobs"),
        ]
    )
    return _PAGE.substitute(title=escape(title), trail=trail, content="\n".join(content))


def _jobs_of(control_plane: ControlPlane, project: Project) -> list[Job]:
    now = control_plane.now()
    jobs = [
        job
        for job in control_plane.jobs.values()
        if now >= job.started and control_plane.clusters[job.cluster_id].project_id == project.project_id
    ]
    return sorted(jobs, key=lambda job: job.started, reverse=True)


def _backups_table(control_plane: ControlPlane, project: Project, backups: Iterable[Backup]) -> str:
    now = control_plane.now()
    present = [backup for backup in backups if backup.status(now) in ("CREATING", "AVAILABLE")]
    rows = [
        (
            escape(backup.backup_name),
            escape(backup.backup_id),
            escape(f"{backup.backup_type.capitalize()}, {backup.creation_method.lower()}"),
            escape(backup.region_id),
            iso_time(backup.created),
            f'<div class="number">{backup.size(now):,}</div>',
            _status(backup.status(now) or ""),
        )
        for backup in sorted(present, key=lambda backup: backup.created, reverse=True)
    ]
    return _table("Backups", ("Name", "Id", "Type", "Region", "Created", "Bytes", "Status"), rows)


def _jobs_table(control_plane: ControlPlane, project: Project, jobs: Iterable[Job]) -> str:
    now = control_plane.now()
    rows = [
        (
            _link(control_plane, project, f"jobs/{job.job_id}", job.job_id),
            escape(job.type.capitalize()),
            _link(
                control_plane,
                project,
                f"clusters/{job.cluster_id}",
                control_plane.clusters[job.cluster_id].cluster_name,
            ),
            iso_time(job.started),
            f'<progress max="100" value="{job.percent(now)}"></progress> {job.percent(now)} %',
            _status(job.status(now)),
            escape(job.plan.reason if now >= job.arrives else ""),
        )
        for job in jobs
    ]
    return _table("Jobs", ("Id", "Type", "Cluster", "Started", "Progress", "Status", "Reason"), rows)


def _table(title: str, headings: Iterable[str], rows: Sequence[tuple[str, ...]]) -> str:
    """Draw a table; the cells are HTML already."""
    if not rows:
        return f'<h2>{title}</h2><p class="empty">None yet.</p>'
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<h2>{title}</h2>\n<table><tr>{head}</tr>\n{body}\n</table>"


def _status(status: str) -> str:
    return f'<span class="status {escape(status)}">{escape(status)}</span>'


def _link(control_plane: ControlPlane, project: Project, path: str, text: str) -> str:
    base = PROJECT_PATH.format(organization_id=control_plane.organization_id, project_id=project.project_id)
    return f'<a href="{escape(base)}/{escape(path)}">{escape(text)}</a>'
