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

    Before the task has delivered its result, a retry and a cleared task both find the record. After that they
    differ. A user who clears the task wants something new. But if the worker died before it reported success,
    Airflow retries the task, and the retry must deliver the same result. ``max_tries`` tells the two apart:
    only clearing raises it.

    :param key: the submission; one task may make several
    """

    def __init__(self, context: Context, key: str) -> None:
        self._store = task_state_store(context)
        self._key = key
        # With retries too: a user who edits them before clearing could get the same max_tries again.
        self._run = [context["ti"].max_tries, getattr(context.get("task"), "retries", None)]

    def load(self) -> dict[str, Any] | None:
        """Return the record; ``None`` if there is none, or if it belongs to a delivery before a clearing."""
        kept = self._store.get(self._key) or {}
        if kept.get("delivered", self._run) != self._run:
            return None
        record: dict[str, Any] | None = kept.get("record")
        return record

    def is_cleared(self) -> bool:
        """Tell whether a user has cleared the task since the record was saved."""
        kept = self._store.get(self._key) or {}
        # Edited retries are no sign of a clearing.
        return bool(kept.get("max_tries", self._run[0]) != self._run[0])

    def save(self, record: Mapping[str, Any] | None) -> None:
        """Make a record durable; ``None`` deletes it."""
        if record is None:
            self._store.delete(self._key)
        else:
            self._store.set(self._key, {"record": dict(record), "max_tries": self._run[0]})

    def mark_delivered(self) -> None:
        """Note that the task is about to deliver its result."""
        if HAS_TASK_STATE_STORE:
            self._store.set(self._key, {"record": self.load(), "delivered": self._run})
        else:
            self._store.delete(self._key)
