"""
The plugin that puts the page into the UI. Every process of Airflow imports this module, so it is light.

The page itself is imported when somebody opens it for the first time. If that fails, the page answers HTTP
503, and nothing else in Airflow is touched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_zbackup.version_compat import HAS_EXTERNAL_VIEWS

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

log = logging.getLogger(__name__)

#: Where Airflow mounts the page.
PREFIX = "/zilliz"
#: A stack of backups, as the menu shows it. In the text itself, so that it needs no request.
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' "
    "stroke='{colour}' stroke-width='2'%3E%3Cellipse cx='12' cy='5' rx='8' ry='3'/%3E"
    "%3Cpath d='M4 5v14c0 1.7 3.6 3 8 3s8-1.3 8-3V5M4 12c0 1.7 3.6 3 8 3s8-1.3 8-3'/%3E%3C/svg%3E"
)
_SORRY = b"The page of the Zilliz backups cannot be loaded. The log of the API server says why."


def load_page() -> App:
    """Return the page's application. It imports much, so call it off the event loop."""
    from airflow_provider_zbackup.ui.app import make_app

    return make_app()


class LazyApp:
    """Stands for the page until somebody opens it."""

    def __init__(self) -> None:
        self._app: App | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if self._app is None:
            try:
                self._app = await asyncio.to_thread(load_page)
            except Exception:
                log.exception("The page of the Zilliz backups cannot be loaded.")
                await _answer_sorry(send)
                return
        await self._app(scope, receive, send)


async def _answer_sorry(send: Send) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": _SORRY})


class ZillizCloudPlugin(AirflowPlugin):
    """Adds *Zilliz backups* to the menu *Browse*."""

    name = "zilliz_cloud"
    if HAS_EXTERNAL_VIEWS:
        # A mistake in here may keep the API server from starting, or hide the plugin: tests/ui looks at it.
        fastapi_apps = [{"name": "Zilliz Cloud", "app": LazyApp(), "url_prefix": PREFIX}]
        external_views = [
            {
                "name": "Zilliz backups",
                # Relative, so that it also works behind a base path.
                "href": f"{PREFIX[1:]}/backups",
                "url_route": "zilliz-backups",
                "destination": "nav",
                "category": "browse",
                "icon": _ICON.format(colour="%23404c5a"),
                "icon_dark_mode": _ICON.format(colour="%23cbd5e1"),
            }
        ]
