"""The plugin is light, harmless, and complete enough for Airflow to show it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

import httpx
import pytest
from pytest_mock import MockerFixture

from airflow_provider_zbackup.ui import plugin
from airflow_provider_zbackup.ui.plugin import LazyApp, ZillizCloudPlugin
from airflow_provider_zbackup.version_compat import HAS_EXTERNAL_VIEWS

SCOPE = {"type": "http", "path": "/backups"}


def answer_of(app: LazyApp, scope: dict[str, Any] = SCOPE) -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    asyncio.run(app(scope, receive, send))
    return sent


def test_airflow_finds_the_plugin_by_its_entry_point() -> None:
    (found,) = entry_points(group="airflow.plugins", name="zilliz_cloud")
    assert found.load() is ZillizCloudPlugin


def test_every_process_imports_it_so_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, airflow.plugins_manager, packaging.version, logging, asyncio; before = set(sys.modules);"
        "import airflow_provider_zbackup.ui.plugin; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name for name in done.stdout.split() if "zbackup" not in name} == set()


@pytest.mark.skipif(not HAS_EXTERNAL_VIEWS, reason="Airflow before 3.1 shows no page")
def test_it_declares_all_that_airflow_needs() -> None:
    (app,), (view,) = ZillizCloudPlugin.fastapi_apps, ZillizCloudPlugin.external_views
    # Each of these, wrong or missing, keeps the API server from starting or hides the plugin.
    assert app["url_prefix"].startswith("/")
    assert isinstance(app["app"], LazyApp)
    assert view["href"] == "zilliz/backups"
    assert (view["destination"], view["category"]) == ("nav", "browse")
    assert {"name", "url_route", "icon", "icon_dark_mode"} <= set(view)


@pytest.mark.skipif(HAS_EXTERNAL_VIEWS, reason="Airflow shows the page")
def test_where_airflow_has_no_pages_it_does_nothing() -> None:
    assert not {"fastapi_apps", "external_views"} & set(vars(ZillizCloudPlugin))


def test_a_page_that_cannot_be_loaded_is_a_503_of_the_page_alone(
    mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    mocker.patch.object(plugin, "load_page", autospec=True, side_effect=ImportError("no jinja2"))
    start, body = answer_of(LazyApp())
    assert start["status"] == 503
    assert b"log of the API server" in body["body"]
    assert b"jinja2" not in body["body"]
    assert "no jinja2" in caplog.text


def test_what_else_the_server_serves_is_not_touched(mocker: MockerFixture) -> None:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    mocker.patch.object(plugin, "load_page", autospec=True, side_effect=ImportError("no jinja2"))
    server = Starlette(
        routes=[
            Mount(plugin.PREFIX, LazyApp()),
            Route("/api/v2/dags", lambda request: PlainTextResponse("all DAGs")),
        ]
    )

    async def visit() -> list[int]:
        transport = httpx.ASGITransport(server)
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow.example") as client:
            paths = ("/zilliz/backups", "/api/v2/dags")
            return [(await client.get(path)).status_code for path in paths]

    assert asyncio.run(visit()) == [503, 200]


def test_the_page_is_loaded_once(mocker: MockerFixture) -> None:
    async def page(scope: Any, receive: Any, send: Any) -> None:
        await send(scope["path"])

    load = mocker.patch.object(plugin, "load_page", autospec=True, return_value=page)
    app = LazyApp()
    assert answer_of(app) == answer_of(app) == ["/backups"]
    assert load.call_count == 1


def test_what_is_no_request_is_ignored(mocker: MockerFixture) -> None:
    load = mocker.patch.object(plugin, "load_page", autospec=True)
    assert answer_of(LazyApp(), {"type": "websocket"}) == []
    assert not load.called
