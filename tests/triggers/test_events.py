"""The trigger for asset watchers, as triggerers run it: it tells of each new backup, whatever happens."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from pytest_mock import MockerFixture

from airflow_provider_zbackup.emulator.seed import SECOND_DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.triggers.events import (
    EVENT_PAUSE,
    MOST_EVENTS,
    EventsStored,
    ZillizBackupEventTrigger,
)
from airflow_provider_zbackup.version_compat import AIRFLOW_VERSION
from airflow_provider_zbackup.zilliz.checks import ArgumentError
from airflow_provider_zbackup.zilliz.client import AsyncZillizClient
from tests.support import API_KEY, CLUSTER_ID, PROJECT_ID, World

SHARED = pytest.mark.skipif(AIRFLOW_VERSION.release < (3, 3), reason="Watchers share polls since Airflow 3.3")
ARGUMENTS: dict[str, Any] = {
    "cluster_id": CLUSTER_ID,
    "project_id": PROJECT_ID,
    "backup_type": "CLUSTER",
    "creation_method": "AUTO",
    "poll_interval": 30.0,
    "zilliz_conn_id": "zilliz_default",
}


class AssetStores:
    """The stores that Airflow gives to a watcher of several assets, which take nothing but JSON."""

    def __init__(self, *assets: str) -> None:
        self._by_name = {asset: AssetStore() for asset in assets}
        self._by_uri: dict[str, Any] = {}


class AssetStore(dict[str, Any]):
    failures = 0

    async def aget(self, key: str, default: Any = None) -> Any:
        self.fail()
        return self.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self.fail()
        self[key] = json.loads(json.dumps(value, allow_nan=False))

    def fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the API server is gone")


class Triggerer:
    """
    Runs watchers with what Airflow 3.3 runs them with, until it is killed.

    :param note: is called for each event
    :param stores_events: whether events reach the database
    """

    def __init__(self, note: Callable[[], Any] = lambda: None, *, stores_events: bool = True) -> None:
        self._note = note
        self.events: list[tuple[int, dict[str, Any]]] = []
        self.stores_events = stores_events
        self.errors: list[Exception] = []
        self._sent: list[int] = []
        self._manager = importlib.import_module("airflow.triggers.shared_stream").SharedStreamManager()

    @asynccontextmanager
    async def watching(self, *watchers: tuple[ZillizBackupEventTrigger, AssetStores]) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(self._watch(number, trigger, stores))
            for number, (trigger, stores) in enumerate(watchers)
        ]
        try:
            yield
        finally:
            # As SIGKILL would, apart from closing the network connections.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._manager.stop_all()

    async def _watch(self, number: int, trigger: Any, stores: AssetStores) -> None:
        path, kwargs = trigger.serialize()
        module, _, name = path.rpartition(".")
        trigger = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(kwargs)))
        trigger.asset_state_store = stores
        key = trigger.shared_stream_key()
        stream = self._manager.subscribe(trigger_id=number, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(stream):
                self.events.append((number, json.loads(json.dumps(event.payload, allow_nan=False))))
                self._note()
                self._sent.append(self._manager.bind_pending_event(trigger_id=number, key=key))
                if self.stores_events:
                    self.store_events()
        except Exception as error:
            self.errors.append(error)
            raise

    def store_events(self) -> None:
        self._manager.confirm_persisted(self._sent)
        self._sent.clear()

    def reported(self, number: int = 0) -> list[str]:
        """Return the ids of the backups that a watcher has reported."""
        return [payload["backup_id"] for watcher, payload in self.events if watcher == number]


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def polls(world: World) -> int:
    return len(world.requests("list_backups"))


async def until_polled(world: World, times: int = 2) -> None:
    """Wait for polls that began after this, so that watchers have seen what is there now."""
    before = polls(world)
    await until(lambda: polls(world) > before + times)


def watcher(stores: AssetStores | None = None, **arguments: Any) -> tuple[Any, AssetStores]:
    return ZillizBackupEventTrigger(**arguments), stores or AssetStores("backups")


def known(stores: AssetStores) -> set[str]:
    """Return the ids of the backups in the saved cursor."""
    return {
        backup_id
        for store in stores._by_name.values()
        for cursor in store.values()
        for backup_id in cursor["reported"]
    }


def test_a_watcher_is_stored_as_plain_json_and_read_back_the_same() -> None:
    path, kwargs = ZillizBackupEventTrigger(**ARGUMENTS).serialize()
    assert json.loads(json.dumps(kwargs)) == kwargs == ARGUMENTS
    assert path == "airflow_provider_zbackup.triggers.events.ZillizBackupEventTrigger"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"cluster_id": ""}, "cluster_id must not be empty"),
        ({"cluster_id": "{{ x }} "}, "cluster_id has white space"),
        ({"project_id": 7}, "project_id must be a string"),
        ({"backup_type": "cluster"}, "backup_type must be one of None, 'CLUSTER', 'COLLECTION'"),
        ({"creation_method": "auto"}, "creation_method must be one of None, 'MANUAL', 'AUTO'"),
        ({"poll_interval": 0.5}, "poll_interval must be a number of seconds, at least 1"),
        ({"poll_interval": "60"}, "poll_interval must be a number of seconds"),
        ({"zilliz_conn_id": ""}, "zilliz_conn_id must not be empty"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_the_dag_is_parsed(
    arguments: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ArgumentError, match=problem):
        ZillizBackupEventTrigger(**arguments)


@pytest.mark.parametrize(
    ("other", "shares"),
    [
        ({"cluster_id": "in01-2"}, True),
        ({"backup_type": None, "creation_method": "MANUAL"}, True),
        ({"project_id": None}, False),
        ({"zilliz_conn_id": "other"}, False),
        ({"poll_interval": 60.0}, False),
    ],
)
def test_who_shares_a_poll(other: dict[str, Any], shares: bool) -> None:
    one, another = (ZillizBackupEventTrigger(**arguments) for arguments in (ARGUMENTS, ARGUMENTS | other))
    assert (one.shared_stream_key() == another.shared_stream_key()) == shares


@SHARED
def test_each_backup_is_told_of_once_when_it_is_available(world: World) -> None:
    old = world.someone_backs_up(seconds=0)

    async def scenario() -> None:
        async with triggerer.watching(watcher()):
            await until_polled(world)
            new = world.someone_backs_up(seconds=150, creation_method="AUTO")
            await until(lambda: triggerer.events)
            await until_polled(world)
            assert triggerer.reported() == [new.backup_id]

    triggerer = Triggerer()
    asyncio.run(scenario())
    assert API_KEY not in json.dumps(triggerer.events)
    ((_, payload),) = triggerer.events
    assert payload["backup_id"] != old.backup_id
    assert payload == {
        "cluster_id": CLUSTER_ID,
        "cluster_name": "Dedicated-01",
        "project_id": PROJECT_ID,
        "backup_id": payload["backup_id"],
        "backup_name": payload["backup_name"],
        "backup_type": "CLUSTER",
        "creation_method": "AUTO",
        "status": "AVAILABLE",
        "size": payload["size"],
        "create_time": payload["create_time"],
        "expire_time": payload["expire_time"],
    }
    assert payload["size"] > 0
    assert payload["create_time"].startswith("2026-03-02T")


@SHARED
def test_watchers_with_different_filters_share_one_poll(world: World) -> None:
    async def scenario() -> None:
        async with triggerer.watching(
            watcher(cluster_id=CLUSTER_ID), watcher(creation_method="AUTO"), watcher(backup_type="COLLECTION")
        ):
            await until_polled(world)
            world.someone_backs_up(seconds=0)
            world.someone_backs_up(seconds=0, creation_method="AUTO")
            world.someone_backs_up(seconds=0, cluster_id=SECOND_DEDICATED_CLUSTER_ID)
            await until(lambda: len(triggerer.reported(0)) == 2)
            begin, first = world.clock.now, polls(world)
            await until_polled(world, times=20)
            times.append((world.clock.now - begin) / 60 / (polls(world) - first))

    triggerer, times = Triggerer(), list[float]()
    asyncio.run(scenario())
    ids = [backup.backup_id for backup in world.backups()]
    assert triggerer.reported(0) == ids[:2]
    assert triggerer.reported(1) == ids[1:2]
    assert triggerer.reported(2) == []
    assert times[0] == pytest.approx(1, abs=0.2), "one list per interval, not three"


@SHARED
def test_events_keep_a_distance(world: World) -> None:
    """Airflow makes no run for an event that comes while it makes one for another."""
    count = MOST_EVENTS + 5
    times: list[float] = []

    async def scenario() -> None:
        async with triggerer.watching(watcher()):
            await until_polled(world)
            for _ in range(count):
                world.someone_backs_up(seconds=0)
            await until(lambda: len(triggerer.events) == count)

    triggerer = Triggerer(lambda: times.append(world.clock.now))
    asyncio.run(scenario())
    assert sorted(triggerer.reported()) == sorted(backup.backup_id for backup in world.backups())
    assert all(later - earlier >= EVENT_PAUSE for earlier, later in pairwise(times))


@SHARED
@pytest.mark.parametrize("stores_events", [True, False])
def test_after_a_kill_none_is_lost(world: World, stores_events: bool) -> None:
    stores = AssetStores("backups")
    cursor_changes: list[set[str]] = []

    async def before() -> None:
        async with first.watching(watcher(stores)):
            await until_polled(world)
            world.someone_backs_up(seconds=0)
            await until(lambda: first.events)
            await until_polled(world)
            cursor_changes.append(known(stores))

    async def after() -> None:
        async with second.watching(watcher(stores)):
            await until_polled(world)

    first, second = Triggerer(stores_events=stores_events), Triggerer()
    asyncio.run(before())
    during = world.someone_backs_up(seconds=0)
    asyncio.run(after())
    (reported,) = first.reported()
    assert cursor_changes == [{reported} if stores_events else set()], "it is saved when the event is stored"
    assert second.reported() == ([during.backup_id] if stores_events else [reported, during.backup_id])


@SHARED
def test_what_came_while_no_triggerer_ran_for_days_is_told_of_once(world: World) -> None:
    stores = AssetStores("backups")

    async def watch(triggerer: Triggerer) -> list[str]:
        async with triggerer.watching(watcher(stores)):
            await until_polled(world, times=5)
        return triggerer.reported()

    day = 24 * 60 * 60
    assert asyncio.run(watch(Triggerer())) == []
    world.clock.sleep(5 * day)
    missed = world.someone_backs_up(seconds=0, started=world.clock.now - 3 * day)
    assert asyncio.run(watch(Triggerer())) == [missed.backup_id]
    assert asyncio.run(watch(Triggerer())) == []


@SHARED
def test_the_cursor_waits_for_the_events_of_its_own_poll(world: World) -> None:
    """One event may be stored while a later one is still on its way."""
    stores = AssetStores("backups")

    async def scenario() -> None:
        async with triggerer.watching(watcher(stores)):
            await until_polled(world)
            ids = [world.someone_backs_up(seconds=0).backup_id]
            await until(lambda: triggerer.reported() == ids)
            triggerer.store_events()
            ids.append(world.someone_backs_up(seconds=0).backup_id)
            await until(lambda: triggerer.reported() == ids)
            await until_polled(world)
            assert known(stores) == set(ids[:1])
            triggerer.store_events()
            await until(lambda: known(stores) == set(ids))

    triggerer = Triggerer(stores_events=False)
    asyncio.run(scenario())


@SHARED
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 401},
        {"status": 429, "headers": {"Retry-After": "3"}},
        {"code": 80001},
        {"code": 99999},
        {"drop": True},
        {"garbage": True},
    ],
)
def test_trouble_is_ridden_out(world: World, fault: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with triggerer.watching(watcher()):
            await until_polled(world)
            world.fault("list_backups", times=30, **fault)
            during = world.someone_backs_up(seconds=0)
            await until(lambda: triggerer.events)
            assert triggerer.reported() == [during.backup_id]

    triggerer = Triggerer()
    asyncio.run(scenario())
    assert triggerer.errors == []
    assert API_KEY not in caplog.text
    warnings = [it.message for it in caplog.records if it.message.startswith("Cannot look for new backups: ")]
    assert 1 <= len(warnings) <= 10, "the same trouble is logged only now and then"


@SHARED
def test_a_connection_that_does_not_exist_yet_is_waited_for(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with triggerer.watching(watcher(stores)):
            await until(lambda: "is not defined" in caplog.text)
            world.connect()
            await until_polled(world)
            new = world.someone_backs_up(seconds=0)
            await until(lambda: triggerer.reported() == [new.backup_id])

    triggerer, stores = Triggerer(), AssetStores("backups")
    world.monkeypatch.delenv("AIRFLOW_CONN_ZILLIZ_DEFAULT")
    asyncio.run(scenario())
    assert triggerer.errors == []


@SHARED
def test_even_a_defect_does_not_end_the_watchers(
    world: World, mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    run = AsyncZillizClient.run
    left = iter([True] * 3)

    async def fail(client: AsyncZillizClient, *args: Any, **kwargs: Any) -> Any:
        if next(left, False):
            raise RuntimeError("a defect")
        return await run(client, *args, **kwargs)

    mocker.patch.object(AsyncZillizClient, "run", fail)

    async def scenario() -> None:
        async with triggerer.watching(watcher()):
            await until_polled(world)

    triggerer = Triggerer()
    asyncio.run(scenario())
    assert triggerer.errors == []
    assert "Traceback" in caplog.text


@SHARED
def test_a_cursor_that_cannot_be_read_is_not_taken_for_absent(world: World) -> None:
    stores = AssetStores("backups")

    async def first_look() -> None:
        async with Triggerer().watching(watcher(stores)):
            await until(lambda: stores._by_name["backups"])

    async def scenario() -> None:
        async with triggerer.watching(watcher(stores)):
            await until(lambda: triggerer.events)

    asyncio.run(first_look())
    new = world.someone_backs_up(seconds=0)
    stores._by_name["backups"].failures = 3
    triggerer = Triggerer()
    asyncio.run(scenario())
    assert triggerer.reported() == [new.backup_id]
    assert triggerer.errors == []


@SHARED
def test_a_cursor_that_cannot_be_saved_is_saved_later(world: World) -> None:
    stores = AssetStores("backups")

    async def scenario() -> None:
        async with triggerer.watching(watcher(stores)):
            await until(lambda: stores._by_name["backups"])
            stores._by_name["backups"].failures = 2
            new = world.someone_backs_up(seconds=0)
            await until(lambda: known(stores) == {new.backup_id})

    triggerer = Triggerer()
    asyncio.run(scenario())
    assert triggerer.errors == []
    assert len(triggerer.events) == 1


@SHARED
def test_an_asset_that_joins_does_not_make_the_watcher_forget(world: World) -> None:
    """Equal watchers of several assets are one for Airflow, and a new asset has an empty store."""

    async def watch(triggerer: Triggerer, stores: AssetStores) -> None:
        async with triggerer.watching(watcher(stores)):
            await until_polled(world)

    stores = AssetStores("b")
    asyncio.run(watch(Triggerer(), stores))
    new = world.someone_backs_up(seconds=0)
    both = AssetStores("a", "b")
    both._by_name["b"] = stores._by_name["b"]
    triggerer = Triggerer()
    asyncio.run(watch(triggerer, both))
    assert triggerer.reported() == [new.backup_id]
    assert both._by_name["a"] == both._by_name["b"]


@SHARED
def test_other_filters_begin_again(world: World) -> None:
    stores = AssetStores("backups")

    async def watch(triggerer: Triggerer, **filters: Any) -> None:
        async with triggerer.watching(watcher(stores, **filters)):
            await until_polled(world)

    asyncio.run(watch(Triggerer()))
    world.someone_backs_up(seconds=0)
    triggerer = Triggerer()
    asyncio.run(watch(triggerer, cluster_id=CLUSTER_ID))
    assert triggerer.events == []


async def take(events: Any, count: int) -> list[str]:
    return [(await anext(events)).payload["backup_id"] for _ in range(count)]


def test_before_airflow_3_3_each_watcher_polls_for_itself(world: World, variables: dict[str, Any]) -> None:
    async def scenario() -> None:
        events: Any = ZillizBackupEventTrigger().run()
        first = asyncio.create_task(take(events, 1))
        await until_polled(world)
        ids = [world.someone_backs_up(seconds=0).backup_id]
        assert await first == ids
        (cursor,) = variables.values()
        assert cursor["reported"] == {}, "the event may not be stored yet"
        ids.append(world.someone_backs_up(seconds=0).backup_id)
        assert await take(events, 1) == ids[1:]
        (cursor,) = variables.values()
        assert set(cursor["reported"]) == set(ids[:1])
        await events.aclose()
        # Killed before it could save the second one.
        again: Any = ZillizBackupEventTrigger().run()
        assert await take(again, 1) == ids[1:]
        await again.aclose()

    asyncio.run(scenario())


def test_a_stored_event_counts_for_the_polls_before_it_too(world: World, variables: dict[str, Any]) -> None:
    """One message may stand for several polls."""

    async def stream() -> AsyncIterator[Any]:
        async for poll in ZillizBackupEventTrigger().polls():
            yield poll
            if poll.number == 3:
                break
            made.append(world.someone_backs_up(seconds=0).backup_id)
        yield EventsStored(poll.number)

    async def scenario() -> list[str]:
        events = ZillizBackupEventTrigger().filter_shared_stream(stream())
        return [event.payload["backup_id"] async for event in events]

    made: list[str] = []
    reported = asyncio.run(scenario())
    assert reported == made
    (cursor,) = variables.values()
    assert set(cursor["reported"]) == set(reported)
