"""
The only place that knows Airflow versions.

What differs, and what is made of it:

===================  ==========================================  ======================================
ability              where it exists                             elsewhere
===================  ==========================================  ======================================
task state store     3.3 and later                               an Airflow Variable per task instance,
                                                                 deleted when its task has delivered
asset state store    3.3 and later                               an Airflow Variable per asset watcher
asset watchers       3.0 and later; 3.3 lets them share a poll,  none
                     and tells when their events are stored
states of tasks      asked of Airflow's API: 3.0 and later       read from the database
connection form      declared fields: 3.2 and later              methods of the hook
page in the UI       3.1 and later                               none
dots in group ids    3.1 and later                               a group in a guard has no prefix
===================  ==========================================  ======================================
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Protocol

from airflow import __version__
from packaging.version import Version

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context


AIRFLOW_VERSION = Version(Version(__version__).base_version)
#: Whether Airflow itself cleans up what a task instance leaves in its store.
HAS_TASK_STATE_STORE = Version("3.3") <= AIRFLOW_VERSION
#: Key of what an asset watcher keeps.
WATCHER = "zilliz_watcher"
#: Whether a plugin can put a page into the UI.
HAS_EXTERNAL_VIEWS = Version("3.1") <= AIRFLOW_VERSION
#: The executor that Airflow accepts with SQLite.
SQLITE_EXECUTOR = "LocalExecutor" if Version("3.0") <= AIRFLOW_VERSION else "SequentialExecutor"
#: Whether a scheduler can read a task group's id that has dots.
HAS_DOTS_IN_GROUP_IDS = Version("3.1") <= AIRFLOW_VERSION


def got_none_by_mapping(operator: BaseOperator, name: str) -> bool:
    """Tell whether an operator is one of a mapped task, and was given ``None`` for an argument."""
    is_from_mapped = getattr(operator, "_BaseOperator__from_mapped", False)
    given = getattr(operator, "_BaseOperator__init_kwargs", {})
    return bool(is_from_mapped) and name in given and given[name] is None


def states_in_run(context: Context, task_ids: Collection[str]) -> dict[str, str | None]:
    """
    Return the states of tasks in the DAG run of a context, by name.

    In a mapped task group only those with the same index count.
    """
    ti: Any = context["ti"]
    map_index = ti.map_index if ti.map_index >= 0 else None
    if hasattr(ti, "get_task_states"):
        states: dict[str, dict[str, str | None]] = ti.get_task_states(
            dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=list(task_ids), map_index=map_index
        )
        return states.get(ti.run_id, {})
    run: Any = context["dag_run"]
    return {
        f"{other.task_id}_{other.map_index}" if other.map_index >= 0 else other.task_id: other.state
        for other in run.get_task_instances()
        if other.task_id in task_ids and map_index in (None, other.map_index)
    }


class TaskStateStore(Protocol):
    """Keeps plain JSON for one task instance through its retries."""

    def get(self, key: str) -> Any: ...
    def set(self, key: str, value: Any) -> None: ...
    def delete(self, key: str) -> None: ...


def task_state_store(context: Context) -> TaskStateStore:
    """Return where the task instance of a context can keep something through its retries."""
    store: TaskStateStore | None = context.get("task_state_store")
    ti = context["ti"]
    return (
        _VariableStore(f"{ti.dag_id}, {ti.run_id}, {ti.task_id}, {ti.map_index}") if store is None else store
    )


class WatcherStore(Protocol):
    """Keeps plain JSON for one asset watcher through restarts of its triggerer."""

    async def load(self) -> Any: ...
    async def save(self, value: Any) -> None: ...


def watcher_store(accessors: Any, name: str) -> WatcherStore:
    """
    Return where an asset watcher can keep something.

    :param accessors: the stores of its assets, where Airflow gives them to its trigger
    :param name: what the watcher watches
    """
    return _WatcherVariable(name) if accessors is None else _AssetStores(accessors, name)


class _AssetStores:
    """The stores of all assets of one watcher: equal watchers of several assets are one for Airflow."""

    def __init__(self, accessors: Any, name: str) -> None:
        # Airflow has no public way to list them.
        self._stores = [*accessors._by_name.values(), *accessors._by_uri.values()]
        self._key = _key(WATCHER, name)

    async def load(self) -> Any:
        # They differ only if an asset is new, and so has no value yet.
        for store in self._stores:
            if (value := await store.aget(self._key)) is not None:
                return value
        return None

    async def save(self, value: Any) -> None:
        for store in self._stores:
            await store.aset(self._key, value)


class _WatcherVariable:
    """Stands in for the asset state store before Airflow 3.3."""

    def __init__(self, name: str) -> None:
        self._store = _VariableStore(name)

    async def load(self) -> Any:
        from asgiref.sync import sync_to_async

        return await sync_to_async(self._store.get)(WATCHER)

    async def save(self, value: Any) -> None:
        from asgiref.sync import sync_to_async

        await sync_to_async(self._store.set)(WATCHER, value)


def _key(key: str, name: str) -> str:
    # A key of Airflow is shorter than the names that it stands for may be.
    return f"{key}_{hashlib.sha256(name.encode()).hexdigest()[:40]}"


class _VariableStore:
    """
    Stands in for Airflow's stores before Airflow 3.3.

    XComs do not serve: Airflow clears a task's XComs when it is tried again.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        # What this process has read or written last.
        self._known: dict[str, Any] = {}

    def _key(self, key: str) -> str:
        return _key(key, self._name)

    def get(self, key: str) -> Any:
        value = self._read(key)
        if value is None:
            # Airflow says None too when it could not read. What has just been written shows that it can.
            set_variable(self._key(f"{key}_probe"), {}, "airflow-provider-zbackup", serialize_json=True)
            self._delete(f"{key}_probe")
            value = self._read(key)
        self._known[key] = value
        return value

    def set(self, key: str, value: Any) -> None:
        self._check_that_nobody_else_has_written(key)
        set_variable(self._key(key), value, f"airflow-provider-zbackup: {self._name}", serialize_json=True)
        self._known[key] = value

    def delete(self, key: str) -> None:
        self._check_that_nobody_else_has_written(key)
        self._delete(key)
        if self.get(key) is not None:
            raise RuntimeError(f"Airflow could not write its Variable {self._key(key)!r}.")

    def _check_that_nobody_else_has_written(self, key: str) -> None:
        """Refuse a worker that lives on after its try was given up, as Airflow's own store does."""
        kept = self._read(key)
        if key in self._known and kept not in (None, self._known[key]):
            raise RuntimeError("A later try has begun, so this one must not go on.")

    def _read(self, key: str) -> Any:
        from airflow.providers.common.compat.sdk import Variable

        return Variable.get(self._key(key), None, deserialize_json=True)

    def _delete(self, key: str) -> None:
        from airflow.providers.common.compat.sdk import Variable

        Variable.delete(self._key(key))


def set_variable(name: str, value: Any, description: str, *, serialize_json: bool = False) -> None:
    """
    Write an Airflow Variable.

    :raises RuntimeError: when it was not written, or cannot be read, since Airflow 3.0 to 3.2 only log that:
        https://github.com/apache/airflow/issues/68537
    """
    from airflow.providers.common.compat.sdk import Variable

    Variable.set(name, value, description=description, serialize_json=serialize_json)
    if Variable.get(name, None, deserialize_json=serialize_json) != value:
        raise RuntimeError(f"Airflow could not write its Variable {name!r}.")
