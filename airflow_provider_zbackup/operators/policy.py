"""Operator that sets the policy for automatic backups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import conf

from airflow_provider_zbackup.operators.base import ZillizOperator
from airflow_provider_zbackup.utils.arguments import (
    Argument,
    check_copies,
    check_count,
    check_flag,
    check_seconds,
    check_weekdays,
)
from airflow_provider_zbackup.utils.errors import translate_errors, validate_event
from airflow_provider_zbackup.utils.task import DEFER_AFTER, ZillizWaitingTask
from airflow_provider_zbackup.zilliz.checks import RETENTION_DAYS, WEEKDAYS, ArgumentError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_zbackup.zilliz.flows.steps import Flow
    from airflow_provider_zbackup.zilliz.requests import SetBackupPolicyRequest


class ZillizSetBackupPolicyOperator(ZillizWaitingTask, ZillizOperator):
    """
    Set the policy for automatic backups of a cluster, unless the cluster has it already.

    The log shows each difference. Enabling or changing a policy starts an automatic backup at once, and no
    manual backup can start during it.

    The web console can make policies that this API cannot express: monthly ones, cron schedules, time zones.
    Such a policy is replaced only with ``overwrite=True``.

    .. seealso:: `Set Backup Policy <https://docs.zilliz.com/reference/restful/set-backup-policy-v2>`__

    :param cluster_id: id of the (Dedicated) cluster (templated)
    :param weekdays: days of the backups, such as ``["monday", "thursday"]`` (templated)
    :param start_hour: when the window of two hours begins in which a backup starts, in UTC, 0 to 23
        (templated)
    :param retention_days: how many days a backup is kept, 1 to 30 (templated)
    :param copies: by region id, how many days copies are kept there, 1 to 30, such as
        ``{"aws-us-west-2": 7}``; by default there are none (templated)
    :param enabled: ``False`` disables the policy; then the arguments above, except ``cluster_id``, have no
        effect and can be left out
    :param overwrite: whether to replace a policy that this API cannot express, or that cannot be read
    :param wait_for_backup: whether to wait, while the policy is enabled, until no backup is running, manual
        or automatic
    :param deferrable: whether to wait in the triggerer, which holds no worker; by default as Airflow's
        ``[operators] default_deferrable`` says
    :param poll_interval: longest pause between two polls, in seconds
    :param timeout: how long to wait, in seconds; ``execution_timeout`` counts too if it is less
    :param zilliz_conn_id: :ref:`Airflow connection <howto/connection>` of type ``zilliz`` (templated)
    :return: the policy, as plain JSON: ``cluster_id``, ``enabled``, ``weekdays``, ``start_hour``,
        ``retention_days``, ``copies``, and ``changed``: whether this task changed it. What a disabled policy
        does not have is empty or null
    :raises AirflowFailException: when a retry cannot help
    :raises ZillizError: for everything else
    """

    arguments: ClassVar[tuple[Argument, ...]] = (
        Argument("cluster_id"),
        Argument("weekdays", check_weekdays, optional=True),
        Argument("start_hour", partial(check_count, at_least=0, at_most=23), optional=True),
        Argument(
            "retention_days",
            partial(check_count, at_least=RETENTION_DAYS[0], at_most=RETENTION_DAYS[1]),
            optional=True,
        ),
        Argument("copies", check_copies, optional=True),
        Argument("enabled", check_flag),
        Argument("overwrite", check_flag),
        Argument("wait_for_backup", check_flag),
        Argument("poll_interval", partial(check_seconds, at_least=1.0)),
        Argument("timeout", check_seconds),
    )
    template_fields: Sequence[str] = (
        "cluster_id",
        "weekdays",
        "start_hour",
        "retention_days",
        "copies",
        "zilliz_conn_id",
    )

    cluster_id: str
    defer_after = DEFER_AFTER
    end_from_trigger = False

    def __init__(
        self,
        *,
        cluster_id: str,
        weekdays: Sequence[str] | None = None,
        start_hour: int | str | None = None,
        retention_days: int | str | None = None,
        copies: Mapping[str, int | str] | None = None,
        enabled: bool = True,
        overwrite: bool = False,
        wait_for_backup: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = 60.0,
        timeout: float = 12 * 60 * 60.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cluster_id = cluster_id
        self.weekdays: Any = weekdays
        self.start_hour: Any = start_hour
        self.retention_days: Any = retention_days
        self.copies = copies
        self.enabled = enabled
        self.overwrite = overwrite
        self.wait_for_backup = wait_for_backup
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.check_arguments()

    def check_arguments(self, *, rendered: bool = False) -> None:
        super().check_arguments(rendered=rendered)
        if self.enabled and None in (self.weekdays, self.start_hour, self.retention_days):
            raise ArgumentError("give weekdays, start_hour and retention_days, or enabled=False")

    def flow(self) -> Flow[dict[str, Any]]:
        from airflow_provider_zbackup.zilliz.flows.policy import set_policy

        wanted = self._request()
        is_changed = yield from set_policy(self.cluster_id, wanted, overwrite=self.overwrite)
        return {
            "cluster_id": self.cluster_id,
            "enabled": self.enabled,
            "weekdays": [WEEKDAYS[int(day) - 1] for day in wanted.frequency.split(",")]
            if wanted.frequency
            else [],
            "start_hour": int(wanted.start_time[:2]) if wanted.start_time else None,
            "retention_days": wanted.retention_days,
            "copies": {copy.region_id: copy.retention_days for copy in wanted.cross_region_copies},
            "changed": is_changed,
        }

    def execute(self, context: Context) -> dict[str, Any]:
        result = super().execute(context)
        if not (self.enabled and self.wait_for_backup):
            return result
        with translate_errors(self):
            return self._wait_for_backup(result)

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Return the result when the trigger has seen the cluster free."""
        with translate_errors(self):
            (result,) = validate_event(event, "result")
            return dict(result)

    def describe_remote_work(self, context: Context) -> str:
        return f"The policy of cluster {self.cluster_id} is set; its first backup may still be running."

    def _request(self) -> SetBackupPolicyRequest:
        from airflow_provider_zbackup.zilliz.requests import SetBackupPolicyRequest

        if not self.enabled:
            return SetBackupPolicyRequest(enabled=False)
        return SetBackupPolicyRequest.of(self.weekdays, self.start_hour, self.retention_days, self.copies)

    def _wait_for_backup(self, result: dict[str, Any]) -> dict[str, Any]:
        from airflow_provider_zbackup.triggers.backup import ZillizNoActiveBackupTrigger
        from airflow_provider_zbackup.zilliz.flows.polling import LOOK_UP_LAG

        now = self.hook.clock.time()
        deadline = now + self.cap_to_execution_timeout(self.timeout)
        trigger = ZillizNoActiveBackupTrigger(
            cluster_id=self.cluster_id,
            result=result,
            zilliz_conn_id=self.zilliz_conn_id,
            deadline=deadline,
            poll_interval=self.poll_interval,
            # The list may not show the new backup at first.
            not_before=min(now + LOOK_UP_LAG, deadline) if result["changed"] else None,
        )
        # That pause would hold a worker.
        complete: dict[str, Any] = self.wait(
            trigger, then=self.execute_complete, defer_immediately=result["changed"]
        )
        return complete
