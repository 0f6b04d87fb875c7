"""
XComs in unusual places: pushed by a trigger, or kept by Airflow itself whatever backend the user has.

An XCom backend is a class of the user's that keeps XComs elsewhere, and puts a path into Airflow's database.
"""

from __future__ import annotations

from typing import Any, Protocol

from airflow.providers.common.compat.sdk import XCom


class TaskInstanceKey(Protocol):
    """What names a task instance."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int


def has_backend() -> bool:
    """Tell whether Airflow keeps XComs in a backend of the user's."""
    return XCom is not _base_xcom()


def push_past_backend(ti: Any, key: str, value: str) -> None:
    """
    Push an XCom for Airflow itself, which looks into its database only.

    Airflow 3 does so with links when a task leaves its worker, by the same private function.
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
    # Airflow 2, where this runs in the web server.
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
    Tell whether a trigger can push a task's result so that other tasks get it as it is.

    Airflow 3 stores what comes with a ``TaskSuccessEvent`` as JSON within JSON: other tasks get a text.
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
