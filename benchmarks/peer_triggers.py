"""Triggers to compare ours with, in a module that the triggerer can import."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from airflow.providers.common.compat.connection import get_async_connection
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent


class FixedIntervalJobTrigger(BaseTrigger):
    """
    Waits for a job as ``DatabricksExecutionTrigger`` waits for a run, at its simplest.

    Each trigger reads the connection, has its own session, polls at once and then at a fixed interval, and
    logs a line at each poll.

    :param job_id: id of the job
    :param zilliz_conn_id: Airflow connection
    :param poll_interval: seconds between two polls
    """

    def __init__(self, *, job_id: str, zilliz_conn_id: str, poll_interval: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.job_id = job_id
        self.zilliz_conn_id = zilliz_conn_id
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.{type(self).__qualname__}", {
            "job_id": self.job_id,
            "zilliz_conn_id": self.zilliz_conn_id,
            "poll_interval": self.poll_interval,
        }

    async def run(self) -> AsyncIterator[TaskSuccessEvent]:
        connection = await get_async_connection(self.zilliz_conn_id)
        url = f"{connection.host}/v2/jobs/{self.job_id}"
        headers = {"Authorization": f"Bearer {connection.password}"}
        async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as session:
            while True:
                async with session.get(url) as response:
                    job = (await response.json())["data"]
                if job["status"] == "SUCCESSFUL":
                    break
                self.log.info(
                    "Job %s is %s, sleeping for %s s", self.job_id, job["status"], self.poll_interval
                )
                await asyncio.sleep(self.poll_interval)
        yield TaskSuccessEvent(xcoms={"return_value": job})


class SleepingTrigger(BaseTrigger):
    """
    Sends no request, since it knows when the job ends. So it costs only what Airflow itself costs.

    :param job_id: id of the job, so that the arguments are as long as those of the other triggers
    :param zilliz_conn_id: likewise
    :param until: when the job ends, in seconds since the epoch
    """

    def __init__(self, *, job_id: str, zilliz_conn_id: str, until: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.job_id = job_id
        self.zilliz_conn_id = zilliz_conn_id
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.{type(self).__qualname__}", {
            "job_id": self.job_id,
            "zilliz_conn_id": self.zilliz_conn_id,
            "until": self.until,
        }

    async def run(self) -> AsyncIterator[TaskSuccessEvent]:
        await asyncio.sleep(max(0.0, self.until - time.time()))
        yield TaskSuccessEvent(xcoms={"return_value": {"jobId": self.job_id}})
