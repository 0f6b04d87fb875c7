"""Trigger that starts DAGs when backups become AVAILABLE, no matter who made them."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Hashable
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.providers.common.compat.triggers import BaseEventTrigger
from airflow.triggers.base import TriggerEvent

from airflow_provider_zbackup.utils.arguments import DEFAULT_CONN_ID, check_choice, check_id, check_seconds
from airflow_provider_zbackup.version_compat import watcher_store

if TYPE_CHECKING:
    from airflow_provider_zbackup.hooks.zilliz import ZillizHook
    from airflow_provider_zbackup.triggers.shared_polls import SharedPolls
    from airflow_provider_zbackup.version_compat import WatcherStore
    from airflow_provider_zbackup.zilliz.flows.watching import Cursor, Snapshot
    from airflow_provider_zbackup.zilliz.models import Backup

log = logging.getLogger(__name__)

#: Airflow before 3.3 does not say when it has stored an event. It takes less than this, in seconds.
STORED_AFTER = 5.0
#: Pause between two events of a watcher, in seconds. While Airflow makes a run for one event, it overlooks
#: another until a third one comes: https://github.com/apache/airflow/issues/56050
EVENT_PAUSE = 5.0
#: How many events one poll may lead to. More would take longer than Airflow allows; the next poll shows them.
MOST_EVENTS = 20
#: The same trouble is logged again after this long, in seconds.
LONGEST_SILENCE = 300.0
#: What the payload of an event says about a backup.
FACTS = (
    "cluster_id",
    "cluster_name",
    "project_id",
    "backup_id",
    "backup_name",
    "backup_type",
    "creation_method",
    "status",
    "size",
    "create_time",
    "expire_time",
)


class Poll(NamedTuple):
    """What one poll has shown."""

    number: int
    snapshot: Snapshot


class EventsStored(NamedTuple):
    """The events of all polls up to this number are in Airflow's database."""

    number: int


class ZillizBackupEventTrigger(BaseEventTrigger):
    """
    Fires for each backup that becomes AVAILABLE: also for automatic ones and those made in the web console.

    It is for an :class:`~airflow.sdk.AssetWatcher`, and needs Airflow 3.0 or later:

    .. code-block:: python

        new_backup = Asset(
            "zilliz://in01-xxxxxxxxxxxxxxx",
            watchers=[
                AssetWatcher(
                    name="backups",
                    trigger=ZillizBackupEventTrigger(cluster_id="in01-xxxxxxxxxxxxxxx"),
                )
            ],
        )

        @dag(schedule=[new_backup])
        def react(): ...

    Airflow may start one run for several events, so a DAG loops over all that triggered it. Leave the DAG's
    ``max_active_runs`` at its default: while no further run may start, Airflow forgets to make one for the
    later of `several events <https://github.com/apache/airflow/issues/56050>`__.

    No backup is lost, even if a triggerer is killed. But after that, a backup may fire a second time: compare
    ``backup_id``. Backups that were there before the watcher's first poll do not fire. Trouble with Zilliz
    Cloud or the connection ends no watcher: it is logged, and the poll is repeated.

    .. seealso:: `List Backups <https://docs.zilliz.com/reference/restful/list-backups-v2>`__

    The payload of an event is plain JSON: ``cluster_id``, ``cluster_name``, ``project_id``, ``backup_id``,
    ``backup_name``, ``backup_type``, ``creation_method``, ``status``, ``size`` (bytes), ``create_time`` and
    ``expire_time``. Unknown values are null.

    :param cluster_id: only backups of this cluster
    :param project_id: only backups of this project. Without it, each poll reads the list of all backups that
        the key may see
    :param backup_type: only ``"CLUSTER"`` or only ``"COLLECTION"``
    :param creation_method: only ``"MANUAL"`` or only ``"AUTO"``
    :param poll_interval: pause between two polls, in seconds; at least 1. From Airflow 3.3 on, watchers with
        the same connection, project and interval share one poll
    :param zilliz_conn_id: :ref:`Airflow connection <howto/connection>` of type ``zilliz``
    :raises ArgumentError: when an argument is unusable
    """

    def __init__(
        self,
        *,
        cluster_id: str | None = None,
        project_id: str | None = None,
        backup_type: str | None = None,
        creation_method: str | None = None,
        poll_interval: float = 60.0,
        zilliz_conn_id: str = DEFAULT_CONN_ID,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        for name, value in {"cluster_id": cluster_id, "project_id": project_id}.items():
            if value is not None:
                check_id(name, value, rendered=True)
        check_choice("backup_type", backup_type, (None, "CLUSTER", "COLLECTION"))
        check_choice("creation_method", creation_method, (None, "MANUAL", "AUTO"))
        check_seconds("poll_interval", poll_interval, at_least=1.0)
        check_id("zilliz_conn_id", zilliz_conn_id, rendered=True)
        self.cluster_id = cluster_id
        self.project_id = project_id
        self.backup_type = backup_type
        self.creation_method = creation_method
        self.poll_interval = poll_interval
        self.zilliz_conn_id = zilliz_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.{type(self).__name__}", {
            **self._filters(),
            "poll_interval": self.poll_interval,
            "zilliz_conn_id": self.zilliz_conn_id,
        }

    def _filters(self) -> dict[str, str | None]:
        return {
            "cluster_id": self.cluster_id,
            "project_id": self.project_id,
            "backup_type": self.backup_type,
            "creation_method": self.creation_method,
        }

    def shared_stream_key(self) -> Hashable:
        """Return what watchers must have in common to share a poll."""
        return type(self).__name__, self.zilliz_conn_id, self.project_id, self.poll_interval

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedPolls:
        """Return the poll that watchers share. It also tells them when their events are stored."""
        from airflow_provider_zbackup.triggers.shared_polls import SharedPolls

        return SharedPolls(cls(**kwargs).polls())

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the events, with a poll of its own: Airflow before 3.3 shares none."""
        async for event in self.filter_shared_stream(self._own_stream()):
            yield event

    async def _own_stream(self) -> AsyncIterator[Poll | EventsStored]:
        async for poll in self.polls():
            yield poll
            await _hook(self.zilliz_conn_id).clock.asleep(STORED_AFTER)
            yield EventsStored(poll.number)

    async def polls(self) -> AsyncIterator[Poll]:
        """
        Poll for ever, whatever fails.

        An error would end all watchers that share the poll, and Airflow would start them again and again.
        """
        from airflow_provider_zbackup.zilliz.errors import ZillizError
        from airflow_provider_zbackup.zilliz.flows.watching import take_snapshot
        from airflow_provider_zbackup.zilliz.pacing import backoff

        hook = _hook(self.zilliz_conn_id)
        number, trouble, logged_at = 0, "", 0.0
        pauses = backoff(first=1.0)
        while True:
            try:
                # Asked for each time, so that a change of the connection is noticed.
                async with hook.async_client() as client:
                    snapshot = await client.run(take_snapshot(self.project_id), note=log.debug)
            except Exception as error:
                pause = max(next(pauses), getattr(error, "retry_after", None) or 0.0)
                time = hook.clock.monotonic()
                # Without the id of the request, which is in the whole text.
                reason = error.message if isinstance(error, ZillizError) else repr(error)
                if reason != trouble or time - logged_at >= LONGEST_SILENCE:
                    trouble, logged_at = reason, time
                    is_defect = not isinstance(error, ZillizError)
                    log.warning("Cannot look for new backups: %s", error, exc_info=is_defect)
            else:
                if trouble:
                    log.info("Looking for new backups works again.")
                    trouble, pauses = "", backoff(first=1.0)
                number += 1
                pause = self.poll_interval
                yield Poll(number, snapshot)
            await hook.clock.asleep(pause)

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """
        Yield an event for each new backup.

        The cursor is saved after the events are stored: a triggerer may be killed in between.
        """
        from airflow_provider_zbackup.zilliz.flows.watching import WatchRule, compare

        rule = WatchRule(**self._filters())
        name = json.dumps({"zilliz_conn_id": self.zilliz_conn_id, **self._filters()})
        store = watcher_store(getattr(self, "asset_state_store", None), name)
        saved = cursor = await self._load(store)
        unsaved: dict[int, Cursor] = {}
        clock, next_event = _hook(self.zilliz_conn_id).clock, 0.0
        async for item in shared_stream:
            if isinstance(item, EventsStored):
                stored = [number for number in unsaved if number <= item.number]
                if stored:
                    saved = await self._save(store, unsaved[max(stored)])
                for number in stored:
                    del unsaved[number]
                continue
            is_first = cursor is None
            new, cursor = compare(cursor, item.snapshot, rule, MOST_EVENTS)
            for backup in new:
                await clock.asleep(max(0.0, next_event - clock.monotonic()))
                next_event = clock.monotonic() + EVENT_PAUSE
                self.log.info("Backup %s of cluster %s is AVAILABLE.", backup.backup_id, backup.cluster_id)
                yield TriggerEvent(_payload(backup))  # type: ignore[no-untyped-call]
            # The first poll has no events to wait for.
            if is_first:
                saved = await self._save(store, cursor)
            if new or saved is None or cursor.reported != saved.reported:
                unsaved[item.number] = cursor

    async def _load(self, store: WatcherStore) -> Cursor | None:
        """Return the saved cursor, as soon as Airflow can tell whether there is one."""
        from airflow_provider_zbackup.zilliz.flows.watching import Cursor
        from airflow_provider_zbackup.zilliz.pacing import backoff

        for pause in backoff(first=1.0):
            try:
                kept = await store.load()
                return None if kept is None else Cursor(**kept)
            except Exception as error:
                self.log.warning("Cannot read which backups are known: %s", error)
            await _hook(self.zilliz_conn_id).clock.asleep(pause)
        raise AssertionError("backoff() never ends")

    async def _save(self, store: WatcherStore, cursor: Cursor) -> Cursor | None:
        """Save a cursor, and return it; ``None`` if that failed, so that the next poll leads to it again."""
        try:
            await store.save(cursor._asdict())
        except Exception as error:
            self.log.warning("Cannot save which backups are known: %s", error)
            return None
        return cursor


def _hook(zilliz_conn_id: str) -> ZillizHook:
    from airflow_provider_zbackup.hooks.zilliz import ZillizHook

    return ZillizHook(zilliz_conn_id)


def _payload(backup: Backup) -> dict[str, Any]:
    facts = backup.model_dump(mode="json", include=set(FACTS))
    return {name: None if facts[name] == "" else facts[name] for name in FACTS}
