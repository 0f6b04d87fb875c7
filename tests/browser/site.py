"""An API server whose pages show emulated clouds, and the people who look at them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Frame, FrameLocator, Page, Route, expect

from airflow_provider_zbackup.emulator import ControlPlane, serve
from airflow_provider_zbackup.emulator.server import RunningEmulator
from airflow_provider_zbackup.ui.plugin import PREFIX
from dev.airflow_api import Json
from dev.airflow_stack import AirflowStack
from dev.browser import WAIT_SECONDS
from dev.ui import PAGE

Theme = Literal["light", "dark"]
#: By name; their passwords are their names.
ROLES = {"admin": "admin", "op": "op", "viewer": "viewer"}
#: Widths of windows; the last one is that of the first, zoomed to 200 %.
WIDE, NARROW, ZOOMED = 1400, 1024, 700
#: The connection that is there all the time.
CONN_ID = "zilliz_default"
PRICE = 0.025


_COLOUR_BELOW = """element => {
  let colour;
  do {
    element = element.parentElement;
    colour = element ? getComputedStyle(element).backgroundColor : "Canvas";
  } while (colour === "rgba(0, 0, 0, 0)");
  return colour;
}"""


class Site:
    """
    An Airflow that knows a Zilliz Cloud.

    :ivar stack: the Airflow.
    :ivar control_plane: the cloud of the connection that is there all the time.
    """

    def __init__(self, stack: AirflowStack, emulator: RunningEmulator) -> None:
        self.stack = stack
        self.control_plane = emulator.control_plane
        extra = {**emulator.connection["extra"], "price_per_gb_month": PRICE}
        self._connection = {**emulator.connection, "extra": extra}
        stack.api.add_connection(CONN_ID, self._connection)

    @property
    def url(self) -> str:
        """Address of the UI."""
        return self.stack.base_url

    @contextmanager
    def connection(self, conn_id: str, connection: Json) -> Iterator[None]:
        """Add a connection for the time of a ``with`` block."""
        self.stack.api.add_connection(conn_id, connection)
        try:
            yield
        finally:
            self.stack.api.delete_connection(conn_id)

    @contextmanager
    def other_cloud(self, conn_id: str, **changes: Any) -> Iterator[ControlPlane]:
        """Serve a second cloud, with a connection to it, for the time of a ``with`` block."""
        with serve(ControlPlane()) as emulator, self.connection(conn_id, emulator.connection | changes):
            yield emulator.control_plane

    @contextmanager
    def without_connections(self) -> Iterator[None]:
        """Take the connection away for the time of a ``with`` block."""
        self.stack.api.delete_connection(CONN_ID)
        try:
            yield
        finally:
            self.stack.api.add_connection(CONN_ID, self._connection)


class Person:
    """
    Somebody with a browser.

    :ivar page: the window.
    """

    def __init__(self, site: Site, context: BrowserContext) -> None:
        self._site = site
        self._complaints: list[str] = []
        self.context = context
        context.set_default_timeout(1000 * WAIT_SECONDS)
        self.page: Page = context.new_page()
        self.page.on("pageerror", lambda error: self._complaints.append(str(error)))
        self.page.on("console", lambda message: self._note(message.text))

    def open(self, path: str = PAGE) -> None:
        """Open a page of Airflow."""
        self.page.goto(self._site.url + path)

    def open_inside(self, path: str) -> None:
        """Open a page of ours in Airflow's frame. Before Airflow 3.3, it has no address in the window."""
        self.open()
        # What the frame is still loading would come in between.
        expect(self.frame.get_by_role("heading", name="Zilliz Cloud backups")).to_be_visible()
        self.document.goto(f"{self._site.url}{PREFIX}{path}")

    def open_cluster(self, cluster_id: str, conn_id: str = CONN_ID) -> None:
        """Open the page of a cluster in Airflow's frame."""
        self.open_inside(f"/clusters/{cluster_id}?connection={conn_id}")

    @property
    def frame(self) -> FrameLocator:
        """What Airflow shows in its frame."""
        return self.page.frame_locator("iframe")

    @property
    def document(self) -> Frame:
        """The same, for scripts."""
        frame = self.page.locator("iframe").element_handle().content_frame()
        assert frame is not None
        return frame

    @property
    def notice(self) -> Any:
        """What the page says of something unusual."""
        return self.frame.locator(".notice:visible")

    def row(self, cluster: str) -> Any:
        """Return the row of a cluster in the overview."""
        return self.frame.get_by_role("row").filter(
            has=self.page.get_by_role("link", name=cluster, exact=True)
        )

    def look_again(self) -> None:
        """Let the page ask for news, as it does when its tab is shown again."""
        self.document.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    def hear_news(self) -> None:
        """Let the page ask for news, and get some."""

        def add_news(route: Route) -> None:
            response = route.fetch()
            route.fulfill(response=response, body=f"{response.text()}<p>News</p>")

        self.page.route(re.compile("part=true"), add_news)
        self.look_again()
        expect(self.frame.get_by_text("News")).to_be_visible()

    def check_layout(self) -> None:
        """Check that nothing is wider than the window."""
        widths = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        scroll_width, client_width = self.document.evaluate(widths)
        assert scroll_width == client_width

    def check_accessibility(self) -> None:
        """Check contrast, names and roles."""
        # The frame is transparent, and axe does not see what is below.
        back = self.page.locator("iframe").evaluate(_COLOUR_BELOW)
        self.document.evaluate("colour => document.body.style.background = colour", back)
        results = Axe().run(self.document)
        assert results.violations_count == 0, results.generate_report()

    def check_complaints(self) -> None:
        """Check that no script failed, and that nothing was against the security policy."""
        assert self._complaints == []

    def _note(self, message: str) -> None:
        if "Content Security Policy" in message:
            self._complaints.append(message)


@contextmanager
def person(
    site: Site,
    browser: Browser,
    user: str = "admin",
    *,
    theme: Theme = "light",
    width: int = WIDE,
    **options: Any,
) -> Iterator[Person]:
    """Give somebody a browser; ``user`` is empty for somebody who has not logged in."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=theme,
        **{"locale": "en-GB", "timezone_id": "UTC", **options},
    )
    if user:
        token = site.stack.api.token(user)
        context.add_cookies([{"name": "_token", "value": token, "url": site.url}])
    try:
        yield Person(site, context)
    finally:
        context.close()
