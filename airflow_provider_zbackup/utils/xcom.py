"""
XComs in unusual places: pushed by a trigger, or kept in Airflow's database despite a custom XCom backend.

An XCom backend is a user's class that keeps XComs elsewhere, and only a path in Airflow's database.
"""

from __future__ import annotations

from typing import Any, Protocol

from airflow.providers.common.compat.sdk import XCom


class TaskInstanceKey(Protocol):
    """Identifies a task instance."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int


def has_backend() -> bool:
    """Tell whether the user has a custom XCom backend."""
    return XCom is not _base_xcom()


def push_past_backend(ti: Any, key: str, value: str) -> None:
    """
    Push an XCom that Airflow itself reads, because it reads only its database.

    Airflow 3 pushes links with the same private function when a task leaves its worker.
    """
    if not has_backend():
        ti.xcom_push(key=key, value=value)
    elif hasattr(XCom, "_set_xcom_in_db"):
        XCom._set_xcom_in_db(key, value, **_names(ti))
    else:
        _base_xcom().set(key, value, **_names(ti))


def read_past_backend(ti: TaskInstanceKey, key: str) -> Any:
    """Return an XCom that was pushed past the backend, or ``None``."""
    if not has_backend():
        return XCom.get_value(key=key, ti_key=ti)
    if hasattr(XCom, "_get_xcom_db_ref"):
        return XCom._get_xcom_db_ref(key=key, **_names(ti)).value
    # Airflow 2: this runs in the web server.
    from airflow.utils.session import create_session

    base = _base_xcom()
    with create_session() as session:
        found = base.get_many(
            key=key,
            dag_ids=ti.dag_id,
            task_ids=ti.task_id,
            run_id=ti.run_id,
            map_indexes=ti.map_index,
            session=session,
        )
        row = found.with_entities(base.value).first()
    return None if row is None else base.deserialize_value(row)


def can_push_from_trigger() -> bool:
    """
    Tell whether a trigger can push a task's result unchanged.

    Airflow 3 stores the XComs of a ``TaskSuccessEvent`` as JSON within JSON, so other tasks get a text.
    """
    return hasattr(XCom, "aset") or not hasattr(XCom, "_set_xcom_in_db")


async def push_from_trigger(ti: TaskInstanceKey, key: str, value: Any) -> dict[str, Any] | None:
    """
    Push an XCom from a trigger, before the event that ends its task.

    :return: what the event has to bring, before Airflow 3
    """
    if not hasattr(XCom, "aset"):
        return {key: value}
    await XCom.aset(key, value, **_names(ti))
    return None


def _names(ti: TaskInstanceKey) -> dict[str, Any]:
    return {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": ti.map_index}


def _base_xcom() -> type[Any]:
    base: type[Any] = next(kind for kind in XCom.__mro__ if kind.__name__ == "BaseXCom")
    return base
