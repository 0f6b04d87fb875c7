"""The page in Airflow's UI, an application that Airflow mounts. Only the API server imports this module."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from http import HTTPStatus
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException

from airflow_provider_zbackup.ui.connections import known_connections, may_read
from airflow_provider_zbackup.ui.filters import FILTERS
from airflow_provider_zbackup.ui.plugin import PREFIX
from airflow_provider_zbackup.ui.schedule import schedule_of
from airflow_provider_zbackup.ui.timeline import days_of, draw, growth_of
from airflow_provider_zbackup.ui.view import collection_names, copies_of, matching, monthly_cost, page_of
from airflow_provider_zbackup.ui.watch import Watch

log = logging.getLogger(__name__)

#: The browser waits for this long for news before it shows what is known, in seconds.
PATIENCE = 2.0
#: Seconds until the browser asks again: while answers are still to come, while a backup runs, and else.
SOON, RUNNING, LATER = 1, 10, 30

UserDep = Annotated[BaseUser, Depends(get_user)]

_TEMPLATES = Environment(
    loader=PackageLoader("airflow_provider_zbackup.ui"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(FILTERS)
_TEMPLATES.globals.update(days_of=days_of, draw=draw, schedule_of=schedule_of)


def make_app() -> FastAPI:
    """Return the application. Without a login, none of its routes gives anything."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(get_user)])
    board = Board()
    app.add_api_route("/backups", board.show_overview, methods=["GET"])
    app.add_api_route("/clusters/{cluster_id}", board.show_cluster, methods=["GET"])
    app.add_api_route("/jobs/{job_id}", board.show_job, methods=["GET"])
    app.add_exception_handler(HTTPException, _show_problem)
    app.add_exception_handler(RequestValidationError, _show_problem)
    app.add_exception_handler(Exception, _show_problem)
    return app


class Board:
    """The watches of all connections in this process, and the pages that show them."""

    def __init__(self) -> None:
        self._watches: dict[str, Watch] = {}
        self._reading: asyncio.Task[list[str]] | None = None

    async def show_overview(
        self,
        request: Request,
        user: UserDep,
        connection: str = "",
        text: str = "",
        project: str = "",
        page: int = 1,
        part: Annotated[bool, Query()] = False,
        zone: str = "",
    ) -> Response:
        """
        Show all clusters.

        :param connection: show only this connection
        :param text: show only clusters that match
        :param project: show only clusters of this project
        :param page: number of the page, from 1
        :param part: answer with the content alone, and wait a moment for news
        :param zone: the time zone of the user
        """
        known, watches = await self._watches_for(user)
        chosen = [watch for watch in watches if connection in ("", watch.conn_id)]
        for watch in chosen:
            watch.look_if_due()
        if part:
            await asyncio.gather(*(watch.wait(PATIENCE) for watch in chosen))
        sections = []
        # The chosen one is there also while nobody knows yet which there are.
        projects = {project} - {""}
        is_complete = True
        for watch in chosen:
            rows = page_of(matching(watch.overview.rows if watch.overview else (), text, project), page)
            is_complete &= not watch.is_looking
            is_complete &= not watch.want_policies([row.cluster_id for row in rows.rows if row.has_schedule])
            sections.append((watch, rows))
            projects.update(watch.overview.projects if watch.overview else ())
        return _answer(
            request,
            "overview.html",
            part=part,
            again=_pause(is_complete, any(watch.overview and watch.overview.running for watch in chosen)),
            known=known,
            watches=watches,
            sections=sections,
            projects=sorted(projects),
            query={"connection": connection, "text": text, "project": project},
            zone=_zone(zone),
        )

    async def show_cluster(
        self,
        request: Request,
        user: UserDep,
        cluster_id: str,
        connection: str,
        page: int = 1,
        part: Annotated[bool, Query()] = False,
        zone: str = "",
    ) -> Response:
        """
        Show one cluster and its backups.

        :param connection: the connection through which it is seen
        :param page: number of the page of backups, from 1
        :param part: answer with the content alone, and wait a moment for news
        :param zone: the time zone of the user
        """
        watch = await self._watch_for(user, connection)
        watch.look_if_due()
        if part:
            await watch.wait(PATIENCE)
        rows = watch.overview.rows if watch.overview else ()
        row = next((row for row in rows if row.cluster_id == cluster_id), None)
        is_complete = not watch.is_looking
        found = page_of(row.backups if row else (), page)
        asked = [(cluster_id, backup.backup_id) for backup in found.rows if backup.is_available]
        if row and not watch.error:
            is_complete &= not watch.want_backups(asked)
            is_complete &= not watch.want_policies([cluster_id] if row.has_schedule else [])
        return _answer(
            request,
            "cluster.html",
            part=part,
            again=_pause(is_complete, bool(row and row.running)),
            watch=watch,
            cluster_id=cluster_id,
            row=row,
            found=found,
            growth=growth_of(row.backups) if row else None,
            cost=monthly_cost(row.size, watch.price) if row else None,
            described=[each for each in map(watch.backups.get, asked) if each],
            collection_names=collection_names,
            copies_of=copies_of,
            zone=_zone(zone),
        )

    async def show_job(self, request: Request, user: UserDep, job_id: str, connection: str) -> Response:
        """
        Say how far a job is, as JSON.

        :param connection: the connection through which it is seen
        """
        watch = await self._watch_for(user, connection)
        if watch.want_job(job_id):
            await watch.wait(PATIENCE)
        job = watch.jobs.get(job_id)
        return _secured(JSONResponse({"progress": None if job is None else job.progress}))

    async def _watches_for(self, user: BaseUser) -> tuple[Sequence[str], list[Watch]]:
        """Return the ids of all connections, and the watches of those that a user may read."""

        def allowed_of(known: Sequence[str]) -> list[str]:
            return [conn_id for conn_id in known if may_read(user, conn_id)]

        known = await self.known()
        allowed = await asyncio.to_thread(allowed_of, known)
        for conn_id in self._watches.keys() - set(known):
            del self._watches[conn_id]
        for conn_id in set(allowed) - self._watches.keys():
            self._watches[conn_id] = Watch(conn_id)
        return known, [self._watches[conn_id] for conn_id in allowed]

    async def known(self) -> list[str]:
        """Return the ids of all connections. Viewers who ask at the same time share one read."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(asyncio.to_thread(known_connections))
        # A viewer who leaves does not end the read of the others.
        return await asyncio.shield(self._reading)

    async def _watch_for(self, user: BaseUser, conn_id: str) -> Watch:
        _, watches = await self._watches_for(user)
        for watch in watches:
            if watch.conn_id == conn_id:
                return watch
        raise HTTPException(403, "You may not read this connection, or there is none with this id.")


def _zone(name: str) -> tzinfo:
    """Return a time zone by its name, and UTC if there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def _pause(is_complete: bool, is_running: bool) -> int:
    return (RUNNING if is_running else LATER) if is_complete else SOON


def _answer(
    request: Request, template: str, *, part: bool = False, status: int = 200, **context: Any
) -> Response:
    nonce = secrets.token_urlsafe(16)
    base = request.scope.get("root_path", "").removesuffix(PREFIX)
    html = _TEMPLATES.get_template(template).render(
        layout="part.html" if part else "page.html", nonce=nonce, base=base, prefix=PREFIX, **context
    )
    return _secured(HTMLResponse(html, status), nonce)


def _secured(response: Response, nonce: str = "") -> Response:
    """Add the headers that keep the page in Airflow, out of caches, and without foreign code."""
    own = f"'nonce-{nonce}'" if nonce else "'none'"
    response.headers.update(
        {
            "Content-Security-Policy": f"default-src 'none'; style-src {own}; script-src {own}; "
            "connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'self'",
            "Cache-Control": "private, no-store",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        }
    )
    return response


async def _show_problem(request: Request, error: Exception) -> Response:
    """Say what is wrong, in words that fit; never with the text of an unexpected error."""
    status = getattr(error, "status_code", 422 if isinstance(error, RequestValidationError) else 500)
    if status == 500:
        log.error("The page of the Zilliz backups failed.", exc_info=error)
    detail = getattr(error, "detail", "") if status == 403 else ""
    words: Mapping[int, str] = {
        401: "Your session has ended. Log in again.",
        403: detail,
        422: "This address is not complete.",
        500: "This page has an error. The log of the API server says more.",
    }
    text = words.get(status) or HTTPStatus(status).phrase
    return _answer(request, "problem.html", status=status, code=status, text=text, again=0)
