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
    await XCom.aset(
        key, value, dag_id=ti.dag_id, task_id=ti.task_id, run_id=ti.run_id, map_index=ti.map_index
    )
    return None


def _base_xcom() -> type[Any]:
    base: type[Any] = next(kind for kind in XCom.__mro__ if kind.__name__ == "BaseXCom")
    return base
