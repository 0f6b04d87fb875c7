"""
Looks at Zilliz Cloud for the page: one for all viewers of a connection, and never faster than its budget.

A request of a viewer never waits for Zilliz Cloud. It starts a look where one is due, shows what is known,
and the browser asks again. A look is due after 30 s, or after ten times as long as the last one took: with
10,000 backups a look needs 100 requests. After one that failed it is 30 s: most of that time was waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Hashable
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from airflow_provider_zbackup.hooks.connection import ZillizConnection
from airflow_provider_zbackup.hooks.zilliz import ZillizHook
from airflow_provider_zbackup.ui.view import Answers, Overview, overview_of
from airflow_provider_zbackup.zilliz.client import AsyncZillizClient
from airflow_provider_zbackup.zilliz.errors import ZillizError, ZillizTransientError
from airflow_provider_zbackup.zilliz.flows.steps import Flow, all_backups, all_clusters, retrying, server_now
from airflow_provider_zbackup.zilliz.models import Backup, BackupPolicy, Job, Project
from airflow_provider_zbackup.zilliz.operations import (
    Operation,
    describe_backup,
    describe_job,
    get_backup_policy,
    list_projects,
)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

log = logging.getLogger(__name__)

#: An answer is shown for this long before the next look, in seconds.
LIFETIME = 30.0
#: A look may take at most this share of the time.
SHARE = 10
#: After a transient error, a request is sent at most this often in all. A viewer does not want to wait.
ATTEMPTS = 2
#: A policy seldom changes: it is asked for again after this long, in seconds.
POLICY_LIFETIME = 600.0
#: How far a job is changes all the time, in seconds.
JOB_LIFETIME = 10.0
#: What Zilliz Cloud did not answer is asked for again after this long, in seconds.
FAILURE_LIFETIME = 60.0
#: A backup's region and collections never change. Those of this many backups are remembered.
MOST_DETAILS = 5000


class Details(Generic[K, V]):
    """
    What has to be asked for one by one, such as policies. Only what is on somebody's screen is asked for.

    :param operation: gives the operation for a key
    :param lifetime: seconds after which an answer is asked for again
    """

    def __init__(self, operation: Callable[[K], Operation[V]], lifetime: float) -> None:
        self._operation = operation
        self._lifetime = lifetime
        # By key, when to ask again, and the last answer.
        self._known: dict[K, tuple[float, V | None]] = {}
        self._asking: set[K] = set()

    def get(self, key: K) -> V | None:
        """Return what is known, perhaps an old answer."""
        return self._known.get(key, (0.0, None))[1]

    def is_known(self, key: K) -> bool:
        """Tell whether an answer came, or a failure."""
        return key in self._known

    def due(self, keys: Collection[K], time: float) -> list[K]:
        """Return those of the keys to ask for now."""
        return [
            key
            for key in keys
            if key not in self._asking and (key not in self._known or time >= self._known[key][0])
        ]

    async def ask(self, keys: Collection[K], hook: ZillizHook) -> None:
        """Ask for keys. A failure counts as an answer, so that it is not asked for at once again."""
        self._asking.update(keys)
        try:
            async with hook.async_client() as client:
                await asyncio.gather(*(self._ask_one(key, client, hook) for key in keys))
        except Exception as error:
            # The connection cannot be read. The look says so, and why.
            log.info("%s", type(error).__name__)
            for key in keys:
                self._keep(key, self.get(key), hook.clock.monotonic() + FAILURE_LIFETIME)
        finally:
            self._asking.difference_update(keys)

    async def _ask_one(self, key: K, client: AsyncZillizClient, hook: ZillizHook) -> None:
        lifetime = self._lifetime
        try:
            answer: V | None = (
                await client.run(retrying(self._operation(key), ATTEMPTS), note=log.debug)
            ).value
        except ZillizError as error:
            log.info("%s", error)
            answer, lifetime = self.get(key), FAILURE_LIFETIME
        self._keep(key, answer, hook.clock.monotonic() + lifetime)

    def _keep(self, key: K, answer: V | None, until: float) -> None:
        self._known.pop(key, None)
        self._known[key] = until, answer
        while len(self._known) > MOST_DETAILS:
            del self._known[next(iter(self._known))]

    def clear(self) -> None:
        self._known.clear()


class Watch:
    """
    What is known through one connection.

    :ivar overview: what to show; ``None`` before the first answer
    :ivar error: why the last look failed; empty if it did not
    :ivar is_wrong: whether that does not pass by itself
    """

    def __init__(self, conn_id: str) -> None:
        self.conn_id = conn_id
        self.overview: Overview | None = None
        self.error = ""
        self.is_wrong = False
        self.policies: Details[str, BackupPolicy] = Details(get_backup_policy, POLICY_LIFETIME)
        self.backups: Details[tuple[str, str], Backup] = Details(
            lambda ids: describe_backup(*ids), float("inf")
        )
        self.jobs: Details[str, Job] = Details(describe_job, JOB_LIFETIME)
        self._hook = ZillizHook(conn_id)
        self.connection: ZillizConnection | None = None
        self._skew = timedelta()
        self._answers: Answers | None = None
        self._answered_at = float("-inf")
        self._began_at = 0.0
        self._due_at = float("-inf")
        self._look: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_looking(self) -> bool:
        return self._look is not None and not self._look.done()

    @property
    def waited(self) -> float:
        """For how long a look has been under way, in seconds."""
        return self._time() - self._began_at if self.is_looking else 0.0

    @property
    def age(self) -> timedelta:
        """How old the answers are."""
        return timedelta(seconds=max(0.0, self._time() - self._answered_at))

    @property
    def answered(self) -> datetime | None:
        """When the answers came, by the server's clock."""
        return self._answers.time if self._answers else None

    @property
    def price(self) -> float | None:
        """What a GB of backups costs per month."""
        return self.connection.price_per_gb_month if self.connection else None

    @property
    def skew(self) -> int:
        """Seconds that the server's clock is ahead of ours, to tens: its answers tell whole seconds."""
        return 10 * round(self._skew.total_seconds() / 10)

    def now(self) -> datetime:
        """Return the time by the server's clock."""
        return datetime.fromtimestamp(self._hook.clock.time(), UTC) + self._skew

    def look_if_due(self) -> None:
        """Start a look, unless one is under way or the last one was a moment ago."""
        if not self.is_looking and self._time() >= self._due_at:
            self._began_at = self._time()
            self._look = self._start(self._take_look())

    def want_policies(self, cluster_ids: Collection[str]) -> bool:
        """Ask for policies that are not known; returns whether some are still to come."""
        return self._want(self.policies, cluster_ids)

    def want_backups(self, ids: Collection[tuple[str, str]]) -> bool:
        """Ask for backups, given as ids of cluster and backup; returns whether some are still to come."""
        return self._want(self.backups, ids)

    def want_job(self, job_id: str) -> bool:
        """Ask how far a job is; returns whether that is still to come."""
        return self._want(self.jobs, [job_id])

    async def wait(self, seconds: float) -> None:
        """Wait for what is under way, at most for so long."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def _want(self, details: Details[K, V], keys: Collection[K]) -> bool:
        if due := details.due(keys, self._time()):
            self._start(details.ask(due, self._hook))
        return any(not details.is_known(key) for key in keys)

    async def _take_look(self) -> None:
        began, pause = self._time(), LIFETIME
        try:
            try:
                await self._read()
            finally:
                # Also after a failure: backups go on ageing.
                await self._sum_up()
        except ZillizError as error:
            self.error, self.is_wrong = str(error), not isinstance(error, ZillizTransientError)
        except Exception as error:
            # Not the text: nobody knows what is in it.
            log.exception("The Zilliz backups of connection %r cannot be shown.", self.conn_id)
            self.error, self.is_wrong = f"{type(error).__name__}; the log of the API server says more.", True
        else:
            self.error, self.is_wrong = "", False
            pause = max(LIFETIME, SHARE * (self._time() - began))
        self._due_at = self._time() + pause

    async def _read(self) -> None:
        connection = await self._hook.read_connection()
        if self.connection is not None and connection.settings != self.connection.settings:
            # Another key or address: what is known may be somebody else's.
            self._answers = self.overview = None
            self.policies.clear()
            self.backups.clear()
            self.jobs.clear()
        self.connection = connection
        async with self._hook.async_client() as client:
            self._answers = await client.run(_everything(), note=log.debug)
        self._skew = self._answers.time - datetime.fromtimestamp(self._hook.clock.time(), UTC)
        self._answered_at = self._time()

    async def _sum_up(self) -> None:
        if self._answers is not None and self.connection is not None:
            target, price = self.connection.freshness_target, self.connection.price_per_gb_month
            # Off the loop: with 10,000 backups it takes a moment.
            self.overview = await asyncio.to_thread(overview_of, self._answers, target, price, self.now())

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        # The loop itself keeps no task alive.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _time(self) -> float:
        return self._hook.clock.monotonic()


def _everything() -> Flow[Answers]:
    """Ask for all clusters, backups and projects that the key may see."""
    clusters = yield from all_clusters(ATTEMPTS)
    backups = yield from all_backups(attempts=ATTEMPTS)
    projects: list[Project] = []
    try:
        projects = (yield from retrying(list_projects(), ATTEMPTS)).value
    except ZillizError as error:
        # The page then shows their ids. A key may see clusters without seeing projects.
        log.debug("%s", error)
    time = yield from server_now(backups)
    names = {project.project_id: project.project_name for project in projects}
    return Answers(clusters.value, backups.value, names, time)
