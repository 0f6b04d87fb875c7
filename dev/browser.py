"""A headless Chromium that is driven over the DevTools protocol and takes pictures."""

from __future__ import annotations

import base64
import itertools
import json
import re
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx
from websockets.sync.client import connect

from dev.processes import ProcessError, Processes, wait_until

NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1400, 900
WAIT_SECONDS = 30.0

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    # Nothing but the page may use the network.
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    # The pictures look the same wherever they are taken.
    "--lang=en-US",
    "--hide-scrollbars",
    # Any free port; the log tells which.
    "--remote-debugging-port=0",
)


class Browser:
    """One page of a browser of one's own, for the time of a ``with`` block."""

    def __init__(self) -> None:
        self._processes = Processes()
        self._ids = itertools.count(1)

    def __enter__(self) -> Self:
        program = next(filter(None, map(shutil.which, NAMES)), None)
        if program is None:
            raise ProcessError(f"No browser found, looked for {', '.join(NAMES)} in PATH")
        with ExitStack() as undo:
            undo.enter_context(self._processes)
            profile = self._processes.folder / "profile"
            self._processes.start("browser", [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"])
            wait_until(self._is_listening, WAIT_SECONDS, "The browser listens")
            tabs = httpx.get(f"http://{self._address()}/json/list", trust_env=False).json()
            (tab,) = [tab for tab in tabs if tab["type"] == "page"]
            # A picture in one message is larger than the default limit.
            self._socket = undo.enter_context(connect(tab["webSocketDebuggerUrl"], max_size=None, proxy=None))
            self._command(
                "Emulation.setDeviceMetricsOverride",
                width=WIDTH,
                height=HEIGHT,
                deviceScaleFactor=1,
                mobile=False,
            )
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def open(self, url: str) -> None:
        """
        Go to a page; what is on it must still be waited for.

        :param url: its address.
        """
        self._command("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """
        Return the value of a JavaScript expression.

        :param expression: the expression.
        """
        answer = self._command("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise ProcessError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """
        Wait until a JavaScript expression is true.

        :param expression: the expression.
        """
        try:
            wait_until(lambda: bool(self.evaluate(expression)), WAIT_SECONDS, expression)
        except TimeoutError as error:
            raise TimeoutError(
                f"{error}; the page says: {self.evaluate('document.body.innerText')}"
            ) from None

    def wait_for_text(self, *texts: str) -> None:
        """
        Wait until the page shows some texts.

        :param texts: all of them.
        """
        for text in texts:
            self.wait_for(f"document.body?.innerText.includes({json.dumps(text)})")

    def click(self, selector: str, text: str = "") -> None:
        """
        Click on an element as soon as there is one.

        :param selector: CSS selector of it.
        :param text: what it shows; by default the first that matches the selector.
        """
        find = (
            f"[...document.querySelectorAll({json.dumps(selector)})]"
            f".find(element => element.innerText.trim().includes({json.dumps(text)}))"
        )
        self.wait_for(f"!!{find}")
        middle = self.evaluate(
            f"(() => {{ const element = {find}; element.scrollIntoView({{block: 'center'}});"
            " const box = element.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for event in ("mousePressed", "mouseReleased"):
            x, y = middle
            self._command("Input.dispatchMouseEvent", type=event, x=x, y=y, button="left", clickCount=1)

    def write(self, text: str) -> None:
        """
        Type into the field that has the focus.

        :param text: what to type.
        """
        self._command("Input.insertText", text=text)

    def take_picture(self, path: Path) -> None:
        """
        Save what the window shows, when it has come to rest: when two pictures in a row are the same.

        :param path: the PNG file.
        """
        pictures = [""]

        def is_at_rest() -> bool:
            pictures.append(self._command("Page.captureScreenshot", format="png")["data"])
            return pictures[-1] == pictures[-2]

        wait_until(is_at_rest, WAIT_SECONDS, f"The page comes to rest for {path.name}", pause=0.5)
        path.write_bytes(base64.b64decode(pictures[-1]))

    def _command(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=WAIT_SECONDS))
            if answer.get("id") == number:
                if "error" in answer:
                    raise ProcessError(f"The browser refuses {method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def _is_listening(self) -> bool:
        self._processes.check()
        return bool(self._address())

    def _address(self) -> str:
        for line in self._processes.log_lines("browser"):
            if found := re.search(r"DevTools listening on ws://([^/]+)/", line):
                return found.group(1)
        return ""
