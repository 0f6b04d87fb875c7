"""The tasks that :class:`~airflow_provider_zbackup.task_groups.backup_before` adds to the user's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, BaseOperator

from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator
from airflow_provider_zbackup.operators.restore import (
    ZillizRestoreClusterOperator,
    ZillizRestoreCollectionsOperator,
)
from airflow_provider_zbackup.utils.arguments import id_or_field
from airflow_provider_zbackup.version_compat import HAS_TASK_STATE_STORE, states_in_run, task_state_store

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_zbackup.hooks.zilliz import ZillizHook
    from airflow_provider_zbackup.zilliz.flows.restoration import RestoreClusterSubmission
    from airflow_provider_zbackup.zilliz.requests import RestoreTarget

#: Where the backup task keeps the ids of the backups that it has made in this run.
MADE_IN_RUN = "zilliz_guard_backups"


class BackupBeforeOperator(ZillizCreateBackupOperator):
    """
    Back up what the guarded tasks may damage.

    :param settle_time: how long to wait before a second try, in seconds. A user who clears a guarded task
        while it runs starts this task again, too, and the old process of the guarded task lives on for some
        seconds
    :return: the backup, and ``earlier_backup_ids``: what this task made before it was cleared, the first one
        first. Airflow before 3.3 keeps none of them
    """

    def __init__(self, *, settle_time: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settle_time = settle_time

    def execute(self, context: Context) -> Any:
        if context["ti"].try_number > 1:
            self.log.info("Waiting %.0f s until processes of the earlier try are dead.", self.settle_time)
            self.hook.clock.sleep(self.settle_time)
        return super().execute(context)

    def _run(self, context: Context, **progress: Any) -> dict[str, Any]:
        result: dict[str, Any] = super()._run(context, **progress)
        earlier: list[str] = []
        if HAS_TASK_STATE_STORE:
            store = task_state_store(context)
            backup_id = result["backup_id"]
            earlier = [made for made in store.get(MADE_IN_RUN) or [] if made != backup_id]
            store.set(MADE_IN_RUN, [*earlier, backup_id])
        return result | {"earlier_backup_ids": earlier}


class IfFailedOperator(BaseOperator):
    """
    Base of the tasks that do something only after a guarded task has failed.

    :param backup_id: the result of the backup task
    """

    backup_id: Any
    #: Ids of the guarded tasks.
    watched: Sequence[str] = ()

    def check_failed(self, context: Context) -> Mapping[str, Any]:
        """
        Return the backup that was made before.

        :raises AirflowSkipException: when no guarded task has failed
        :raises AirflowFailException: when there is no backup
        """
        states = states_in_run(context, self.watched)
        failed = sorted(task for task, state in states.items() if state == "failed")
        if not failed:
            raise AirflowSkipException("No guarded task has failed, so there is nothing to restore.")
        backup = self.backup_id
        if not isinstance(backup, Mapping):
            raise AirflowFailException(
                f"No backup to restore, after {', '.join(failed)} failed: the backup task has no result. "
                "Perhaps somebody marked it as success."
            )
        self.log.info("Failed: %s. The backup made before is %s.", ", ".join(failed), backup["backup_id"])
        earlier = backup["earlier_backup_ids"]
        if earlier:
            self.log.warning(
                "This run made %d backups, because tasks were cleared. Only the first one, %s, is from "
                "before any guarded task began.",
                len(earlier) + 1,
                earlier[0],
            )
        return backup


class ReportIfFailedOperator(IfFailedOperator):
    """Tell which backup to restore, and how."""

    template_fields: Sequence[str] = ("backup_id",)

    def __init__(self, *, backup_id: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.backup_id = backup_id

    def execute(self, context: Context) -> dict[str, Any]:
        backup = self.check_failed(context)
        is_whole = backup["backup_type"] == "CLUSTER"
        self.log.warning(
            "Nothing is restored, since restore_on_failure=False. To restore: "
            "ZillizRestoreCollectionsOperator(task_id='restore', cluster_id=%r, backup_id=%r, "
            "suffix='_restored')%s",
            backup["cluster_id"],
            backup["backup_id"],
            ", or ZillizRestoreClusterOperator" if is_whole else "",
        )
        return dict(backup)


class _RestoreIfFailed(IfFailedOperator):
    """
    Mixin for operators that restore.

    :param settle_time: how long to wait before the restore, in seconds: the process of a task that a user
        marks as failed lives on for some seconds
    """

    hook: ZillizHook

    def __init__(self, *, settle_time: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settle_time = settle_time

    def execute(self, context: Context) -> Any:
        self.check_failed(context)
        self.log.info("Waiting %.0f s until processes of failed tasks are dead.", self.settle_time)
        self.hook.clock.sleep(self.settle_time)
        return super().execute(context)


class RestoreCollectionsIfFailedOperator(_RestoreIfFailed, ZillizRestoreCollectionsOperator):
    """Restore what the backup holds beside what there is, each collection as ``<collection>_<backup id>``."""

    def _targets(self, backup_id: str) -> list[RestoreTarget]:
        from airflow_provider_zbackup.zilliz.errors import ZillizBadRequestError

        self.suffix = "_" + re.sub(r"\W", "_", backup_id)
        try:
            # A backup shows the collections themselves. The names that were given may be aliases.
            return self._held_targets(backup_id)
        except ZillizBadRequestError:
            if self.collections is None:
                raise
            return super()._targets(backup_id)


class RestoreClusterIfFailedOperator(_RestoreIfFailed, ZillizRestoreClusterOperator):
    """Restore the backup into a new cluster, named ``restored-<backup id>``, with hyphens for underscores."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(cluster_name="restored", **kwargs)

    def submissions(self) -> Sequence[RestoreClusterSubmission]:
        backup_id = id_or_field("backup_id", self.backup_id, "backup_id")
        self.cluster_name = f"restored-{re.sub(r'[^A-Za-z0-9]', '-', backup_id)}"
        return super().submissions()


class OutcomeOperator(BaseOperator):
    """
    Decides whether the DAG run has failed: it is done if all guarded tasks are, whatever was restored.

    Airflow runs it without a worker.
    """

    inherits_from_empty_operator = True

    def execute(self, context: Context) -> None:
        """Do nothing."""
