"""A loopback server that answers what a test says, byte for byte, and keeps what it got."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

#: Instead of an answer: close the connection.
DROP = b""
#: Instead of an answer: say nothing until the client has gone.
HANG = None


@dataclass
class Trickle:
    """An answer that is sent byte by byte, for some seconds, after a part that is sent at once."""

    rest: bytes
    at_once: bytes = b""


def answer(body: Any = None, status: str = "200 OK", **headers: str) -> bytes:
    """Return a whole answer; ``body`` is sent as it is if it is bytes, else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


@dataclass
class Server:
    """
    The server.

    :param answers: what it answers, in this order; the last one for ever
    """

    answers: list[bytes | Trickle | None]
    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    #: Whether a client has gone before the end of an answer.
    was_left: bool = False

    @property
    def lines(self) -> list[str]:
        """Return the first line of each request."""
        return [request.partition(b"\r\n")[0].decode() for request in self.requests]

    def header(self, name: str, number: int = 0) -> str | None:
        """Return a header of a request."""
        head, _, _ = self.requests[number].partition(b"\r\n\r\n")
        for line in head.decode().split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name.lower():
                return value
        return None

    def body(self, number: int = 0) -> bytes:
        return self.requests[number].partition(b"\r\n\r\n")[2]

    def serve(self, connection: socket.socket) -> None:
        """Answer one request, and close its connection."""
        with connection:
            self.requests.append(self._receive(connection))
            reply = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if reply is HANG:
                connection.recv(1)
            elif isinstance(reply, Trickle):
                try:
                    connection.sendall(reply.at_once)
                    for byte in reply.rest:
                        connection.sendall(bytes([byte]))
                        time.sleep(0.02)
                except OSError:
                    self.was_left = True
            else:
                connection.sendall(reply)

    @staticmethod
    def _receive(connection: socket.socket) -> bytes:
        """Return one whole request."""

        def more() -> bytes:
            if not (part := connection.recv(65536)):
                raise EOFError("The client went away before it had sent a whole request.")
            return part

        received = b""
        while b"\r\n\r\n" not in received:
            received += more()
        head, _, body = received.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        while lengths and len(body) < int(lengths[0].partition(b":")[2]):
            body += more()
        return head + b"\r\n\r\n" + body


@contextmanager
def serving(*answers: bytes | Trickle | None) -> Iterator[Server]:
    """Serve on a free port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(list(answers), f"http://127.0.0.1:{listener.getsockname()[1]}")

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with suppress(EOFError):
                        server.serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def unused_url() -> str:
    """Return the URL of a port that nobody listens to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
