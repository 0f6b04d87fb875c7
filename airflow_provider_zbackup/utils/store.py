"""What a task saves about the job that it starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_zbackup.version_compat import HAS_TASK_STATE_STORE, task_state_store

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class SubmissionStore:
    """
    Keeps the record of a submission through the retries of one task instance.

    Before the task has delivered its result, a retry and a cleared task both go on with the job. After
    that they differ. A user who clears the task wants something new, unless the job is still running. But
    if the worker died before it reported success, Airflow retries the task, and the retry must deliver
    the same result. ``max_tries`` tells the two apart: clearing sets it to the tries made plus the task's
    retries, and nothing else changes it. It comes to the same number again only if the DAG's author has
    changed the retries. Then the run's ``clear_number`` tells. Neither of these two is enough alone:
    retries change without a clearing, and other tasks are cleared.

    A Variable, which serves before Airflow 3.3, outlives a run that a user deletes. A new run with the same
    id must not find it: its tries begin at 1 again, as another task instance.

    :param key: the submission; one task may make several
    """

    def __init__(self, context: Context, key: str) -> None:
        self._store = task_state_store(context)
        self._key = key
        self._run = {
            "max_tries": context["ti"].max_tries,
            "retries": getattr(context.get("task"), "retries", None),
            "clear_number": getattr(context.get("dag_run"), "clear_number", None),
        }
        self._try = {
            "number": getattr(context["ti"], "try_number", None),
            # Before Airflow 3, task instances have no id.
            "id": str(getattr(context["ti"], "id", None) or getattr(context.get("dag_run"), "id", None)),
        }

    def load(self) -> dict[str, Any] | None:
        """Return the record, if there is one."""
        record: dict[str, Any] | None = self._kept().get("record")
        return record

    def was_delivered(self) -> bool:
        """Tell whether the task had delivered its result before a user cleared it."""
        return bool(self._kept().get("delivered")) and self.was_cleared()

    def _kept(self) -> dict[str, Any]:
        kept: dict[str, Any] = self._store.get(self._key) or {}
        by = kept.get("try", self._try)
        is_of_another_run = by["id"] != self._try["id"] and by["number"] >= self._try["number"]
        return {} if is_of_another_run else kept

    def was_cleared(self) -> bool:
        """Tell whether a user has cleared the task since the record was saved."""
        before = self._kept().get("run", self._run)
        changed = {name for name, value in self._run.items() if value != before[name]}
        return "max_tries" in changed or {"retries", "clear_number"} <= changed

    def save(self, record: Mapping[str, Any] | None) -> None:
        """Make a record durable; ``None`` deletes it."""
        if record is None:
            self._store.delete(self._key)
        else:
            self._store.set(self._key, {"record": dict(record), **self._facts()})

    def load_result(self) -> dict[str, Any] | None:
        """Return the result of a job that has ended while others of the same task have not."""
        result: dict[str, Any] | None = self._kept().get("result")
        return result

    def save_result(self, result: Mapping[str, Any]) -> None:
        """Keep the result of an ended job until the task delivers."""
        self._store.set(self._key, self._kept() | {"result": dict(result)})

    def mark_delivered(self) -> None:
        """Note that the task is about to deliver its result."""
        if HAS_TASK_STATE_STORE:
            self._store.set(self._key, {"record": self.load(), **self._facts(), "delivered": True})
        else:
            self._store.delete(self._key)

    def _facts(self) -> dict[str, Any]:
        return {"run": self._run, "try": self._try}
