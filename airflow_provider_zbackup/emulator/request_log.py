"""The log of API requests. It keeps no headers and no answers: they contain keys and passwords."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_zbackup.emulator.formats import Json


@dataclass
class LoggedRequest:
    """
    One request to the API.

    :param time: the time of the control plane's clock.
    :param status: the HTTP status of the answer; None before the answer, and after a dropped connection.
    :param work_done: whether the operation did its work. With a fault, the client may not know this.
    """

    time: float
    operation: str
    method: str
    path: str
    query: Mapping[str, str]
    body: Json
    status: int | None = None
    work_done: bool = False


class RequestLog(deque[LoggedRequest]):
    """The latest requests, oldest first."""

    def __init__(self) -> None:
        super().__init__(maxlen=10_000)

    def of(self, operation: str) -> list[LoggedRequest]:
        """Return the requests of one operation, such as ``create_backup``."""
        return [request for request in self if request.operation == operation]
