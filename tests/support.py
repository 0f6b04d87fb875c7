"""A world for tests: the emulator and the tasks of an imagined Airflow, on one virtual clock."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import BaseSensorOperator, TaskDeferred
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_provider_zbackup.emulator import ControlPlane, JobPlan, seed, serve
from airflow_provider_zbackup.hooks.zilliz import ZillizHook
from airflow_provider_zbackup.zilliz.client import ZillizClient
from tests.clock import VirtualClock

try:
    OutletEventAccessors = importlib.import_module("airflow.sdk.execution_time.context").OutletEventAccessors
except ImportError:
    OutletEventAccessors = importlib.import_module("airflow.utils.context").OutletEventAccessors

CLUSTER_ID = seed.DEDICATED_CLUSTER_ID
PROJECT_ID = seed.PROJECT_ID
API_KEY = "key-that-nobody-may-see-0123456789abcdef"


class Store(dict[str, Any]):
    """A task state store, which takes nothing but JSON."""

    def set(self, key: str, value: Any) -> None:
        assert value is not None
        self[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        self.pop(key, None)


@dataclass
class TaskInstance:
    """
    One task instance through all its tries, with what Airflow keeps of it.

    :param in_dag_test: whether its triggers run as in ``dag.test()``, where they know no task instance
    """

    make: Callable[[], Any]
    max_tries: int = 0
    retries: int = 0
    clear_number: int = 0
    store: Store = field(default_factory=Store)
    xcoms: dict[str, Any] = field(default_factory=dict)
    outlet_events: Any = None
    deferrals: list[dict[str, Any]] = field(default_factory=list)
    dag_id: str = "dag"
    run_id: str = "run"
    task_id: str = "task"
    map_index: int = -1
    try_number: int = 1
    id: str | None = None
    in_dag_test: bool = False

    @property
    def context(self) -> Any:
        return {
            "ti": self,
            "task": SimpleNamespace(retries=self.retries),
            "dag_run": SimpleNamespace(clear_number=self.clear_number),
            "task_state_store": self.store,
            "outlet_events": self.outlet_events,
        }

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int) -> Any:
        assert (task_ids, map_indexes) == (self.task_id, self.map_index), "Only its own can be pulled."
        return self.xcoms.get(key)

    def run(self) -> Any:
        """Run one try to its end as Airflow does: each leg with a fresh operator, everything through JSON."""
        self.xcoms.clear()
        method = "execute"
        arguments: dict[str, Any] = {}
        while True:
            operator = self.make()
            # Airflow drops what a leg that defers says about its outlets.
            self.outlet_events = OutletEventAccessors()
            try:
                if method == "execute":
                    return operator.execute(self.context)
                return operator.resume_execution(method, arguments, self.context)
            except TaskDeferred as deferral:
                event = self.run_trigger(deferral)
                if isinstance(event, TaskSuccessEvent):
                    self.xcoms.update(json.loads(json.dumps(event.xcoms or {})))
                    return self.xcoms["return_value"]
                method = deferral.method_name
                arguments = {"event": json.loads(json.dumps(event.payload))}

    def run_trigger(self, deferral: TaskDeferred) -> TriggerEvent:
        path, kwargs = deferral.trigger.serialize()
        kwargs = json.loads(json.dumps(kwargs))
        self.deferrals.append(
            {"trigger": path, "kwargs": kwargs, "method": deferral.method_name, "timeout": deferral.timeout}
        )
        module, _, name = path.rpartition(".")
        trigger = getattr(importlib.import_module(module), name)(**kwargs)
        trigger.task_instance = None if self.in_dag_test else self
        return asyncio.run(first_event(trigger))


async def first_event(trigger: Any) -> TriggerEvent:
    event: TriggerEvent = await anext(trigger.run())
    return event


@dataclass
class World:
    """The emulator on a virtual clock, and the Airflow connection that leads to it."""

    control_plane: ControlPlane
    clock: VirtualClock
    url: str
    connection: dict[str, Any]
    monkeypatch: pytest.MonkeyPatch

    def connect(self, **changes: Any) -> None:
        """Define the connection ``zilliz_default``, changed where asked."""
        extra = self.connection["extra"] | changes.pop("extra", {})
        connection = self.connection | changes | {"extra": extra}
        self.monkeypatch.setenv("AIRFLOW_CONN_ZILLIZ_DEFAULT", json.dumps(connection))

    @property
    def hook(self) -> ZillizHook:
        return ZillizHook()

    def fault(self, operation: str, **effect: Any) -> None:
        """Make the emulator fail; see ``emulator/faults.py``."""
        self.control_plane.faults.add(operation, **effect)

    def someone_backs_up(self, *, seconds: float, cluster_id: str = CLUSTER_ID, **arguments: Any) -> Any:
        """Start a backup that is not ours: by a colleague in the console or, ``AUTO``, by a policy."""
        cluster = self.control_plane.clusters[cluster_id]
        return self.control_plane.start_backup(
            cluster, operation="someone", plan=JobPlan(seconds=seconds), **arguments
        )

    def requests(self, operation: str | None = None) -> list[Any]:
        """Return the requests that the emulator got."""
        return [entry for entry in self.control_plane.requests if operation in (None, entry.operation)]

    def backups(self) -> list[Any]:
        return list(self.control_plane.backups)


@contextmanager
def make_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    clock = VirtualClock()
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    monkeypatch.setattr(ZillizHook, "clock", clock)
    clients: list[ZillizClient] = []
    make_client = ZillizClient.__init__

    def remember(client: ZillizClient, *args: Any, **kwargs: Any) -> None:
        make_client(client, *args, **kwargs)
        clients.append(client)

    monkeypatch.setattr(ZillizClient, "__init__", remember)
    # Airflow's own loop of sensors that poke takes no clock.
    poking = importlib.import_module(BaseSensorOperator.__module__)
    monkeypatch.setattr(poking, "time", SimpleNamespace(sleep=clock.sleep, monotonic=clock.time))
    with serve(ControlPlane(clock=clock.time, api_key=API_KEY)) as emulator:
        world = World(emulator.control_plane, clock, emulator.url, emulator.connection, monkeypatch)
        world.connect()
        yield world
        # As the end of the workers' processes does.
        for client in clients:
            client.close()
