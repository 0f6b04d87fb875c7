"""What was asked of the API. Headers are not kept, so neither are keys; answers are not kept either."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_zbackup.emulator.formats import Json


@dataclass
class LoggedRequest:
    """
    One request to the API.

    :param time: when it arrived, by the control plane's clock.
    :param status: the HTTP status of the answer; None while there is none, and after a dropped connection.
    :param work_done: whether the operation was carried out, whatever the client was told.
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
        """
        Return the requests of one operation.

        :param operation: such as ``create_backup``.
        """
        return [request for request in self if request.operation == operation]
