"""What a task remembers of the backup that it creates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_zbackup.version_compat import HAS_TASK_STATE_STORE, task_state_store

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

KEY = "zilliz_create_backup"


class SubmissionStore:
    """
    Keeps the record of a create through the retries of one task instance.

    A task that did not deliver its result finds the record again, be it retried or cleared. One that did
    deliver and is cleared by a user makes a new backup; but when it is tried again by Airflow itself,
    since its worker died before it could report success, it delivers the same result again. The two
    differ in ``max_tries``, which only clearing raises.

    :param context: the task's context
    """

    def __init__(self, context: Context) -> None:
        self._store = task_state_store(context)
        # Who edits the task's retries before he clears it could make max_tries the same again.
        self._run = [context["ti"].max_tries, getattr(context.get("task"), "retries", None)]

    def load(self) -> dict[str, Any] | None:
        """Return the record, ``None`` if there is none that counts."""
        remembered = self._store.get(KEY) or {}
        if remembered.get("delivered", self._run) != self._run:
            return None
        record: dict[str, Any] | None = remembered.get("record")
        return record

    def save(self, record: Mapping[str, Any] | None) -> None:
        """Make a record durable; ``None`` forgets it."""
        if record is None:
            self._store.delete(KEY)
        else:
            self._store.set(KEY, {"record": dict(record)})

    def leave_to_trigger(self) -> None:
        """
        Note that a trigger may deliver the result, which can write nothing here.

        If a user clears the task, it is not known then whether it had finished, so it makes a new backup.
        """
        self.mark_delivered()

    def mark_delivered(self) -> None:
        """Note that the task is about to deliver its result."""
        if HAS_TASK_STATE_STORE:
            self._store.set(KEY, {"record": self.load(), "delivered": self._run})
        else:
            self._store.delete(KEY)
