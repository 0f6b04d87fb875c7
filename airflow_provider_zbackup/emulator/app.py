"""The web application: it checks the key, logs the request, applies the faults and runs the operation."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_zbackup.emulator import admin, console
from airflow_provider_zbackup.emulator.api import CONTROL_OPERATIONS, DATA_OPERATIONS, Operation
from airflow_provider_zbackup.emulator.api.collections import NOT_AUTHENTICATED
from airflow_provider_zbackup.emulator.api.request import ApiRequest
from airflow_provider_zbackup.emulator.control_plane import DATA_PATH, ControlPlane
from airflow_provider_zbackup.emulator.errors import API_KEY_ILLEGAL, ApiError
from airflow_provider_zbackup.emulator.faults import FaultRule
from airflow_provider_zbackup.emulator.formats import Json
from airflow_provider_zbackup.emulator.request_log import LoggedRequest

if TYPE_CHECKING:
    from airflow_provider_zbackup.emulator.data_plane.milvus import MilvusData

GARBAGE = {"code": 0, "data": ["garbage"]}


def build_app(control_plane: ControlPlane) -> ASGIApp:
    """Build the application that serves the API, the admin API and the console."""
    app = Starlette(
        routes=[
            *[
                Route("/v2" + each.path, _endpoint(control_plane, each), methods=[each.method])
                for each in CONTROL_OPERATIONS
            ],
            *[
                Route(f"{DATA_PATH}/v2{each.path}", _endpoint(control_plane, each), methods=[each.method])
                for each in DATA_OPERATIONS
            ],
            Mount("/_emulator", routes=admin.routes(control_plane)),
            *console.routes(control_plane),
        ],
        exception_handlers={HTTPException: _http_error},
    )
    app.router.redirect_slashes = False
    served: ASGIApp = _CommonHeaders(app, control_plane)
    return served if control_plane.data is None else _ClusterAddresses(served, control_plane.data)


def _endpoint(control_plane: ControlPlane, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        content = await request.body()
        with control_plane.lock:
            logged = LoggedRequest(
                time=control_plane.now(),
                operation=operation.name,
                method=request.method,
                path=request.url.path,
                query=dict(request.query_params),
                body=_for_the_log(content),
            )
            control_plane.requests.append(logged)
            delay = control_plane.faults.take_delay(operation.name)
            fault = control_plane.faults.take_answer(operation.name)
        if delay is not None and not delay.after:
            await asyncio.sleep(delay.delay or 0)
        answer: dict[str, Json] = {}
        status = 200
        if fault is None or fault.lets_work_happen:
            if control_plane.data is not None and operation in DATA_OPERATIONS:
                # An engine may take its time, and needs no lock but its own.
                status, answer = await asyncio.to_thread(_run, control_plane, operation, request, content)
            else:
                with control_plane.lock:
                    status, answer = _run(control_plane, operation, request, content)
            logged.work_done = answer["code"] == 0
        response = JSONResponse(answer, status) if fault is None else _faulty_response(fault, status, answer)
        if delay is not None and delay.after:
            await asyncio.sleep(delay.delay or 0)
        logged.status = None if isinstance(response, _HardClose) else response.status_code
        return response

    return respond


def _run(
    control_plane: ControlPlane, operation: Operation, request: Request, content: bytes
) -> tuple[int, dict[str, Json]]:
    api_request = ApiRequest(request.path_params, dict(request.query_params), content)
    try:
        _authenticate(control_plane, operation, request)
        return 200, {"code": 0, "data": operation.work(control_plane, api_request)}
    except ApiError as error:
        return error.http_status, {"code": error.code, "message": error.message}


def _authenticate(control_plane: ControlPlane, operation: Operation, request: Request) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme == "Bearer" and token == control_plane.api_key:
        return
    if operation not in DATA_OPERATIONS:
        raise ApiError(API_KEY_ILLEGAL, "The apikey is illegal", http_status=401)
    if scheme != "Bearer" or not control_plane.opens(request.path_params["cluster_id"], token):
        raise ApiError(NOT_AUTHENTICATED, "user hasn't authenticated", http_status=401)


def _faulty_response(fault: FaultRule, status: int, answer: dict[str, Json]) -> Response:
    if fault.drop:
        return _HardClose()
    if fault.truncate:
        text = json.dumps(answer)
        return Response(text[: len(text) // 2], status, media_type="application/json")
    if fault.garbage:
        return JSONResponse(GARBAGE)
    if fault.status is None:
        return JSONResponse({"code": fault.code, "message": fault.message})
    if isinstance(fault.body, str):
        return HTMLResponse(fault.body, fault.status, fault.headers)
    phrase = {"code": fault.status, "message": HTTPStatus(fault.status).phrase}
    return JSONResponse(phrase if fault.body is None else fault.body, fault.status, fault.headers)


def _for_the_log(content: bytes) -> Json:
    try:
        return json.loads(content) if content else None
    except (ValueError, RecursionError):
        return content.decode(errors="replace")


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return JSONResponse({"code": status, "message": HTTPStatus(status).phrase}, status)


class _HardClose(Response):
    """Closes the connection without an answer. The transport comes from the server's protocol class."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["transport"].abort()
        while (await receive())["type"] != "http.disconnect":
            continue


class _ClusterAddresses:
    """Leads requests to the address of an engine to the data plane of its cluster."""

    def __init__(self, app: ASGIApp, data: MilvusData) -> None:
        self.app = app
        self.data = data

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            cluster_id = self.data.cluster_at(Headers(scope=scope).get("host", ""))
            if cluster_id is not None:
                scope = {**scope, "path": DATA_PATH.format(cluster_id=cluster_id) + scope["path"]}
        await self.app(scope, receive, send)


class _CommonHeaders:
    """Adds the headers of every answer. ``Date`` follows the control plane's clock, because tests move it."""

    def __init__(self, app: ASGIApp, control_plane: ControlPlane) -> None:
        self.app = app
        self.control_plane = control_plane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("date", formatdate(self.control_plane.clock(), usegmt=True))
                headers.setdefault("requestid", uuid.uuid4().hex)
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except asyncio.CancelledError:
            # The server stops during a delay and has closed the connection: nobody waits for an answer.
            return
