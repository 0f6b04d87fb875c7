"""Task groups for Airflow DAGs."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import TaskGroup, TriggerRule

from airflow_provider_zbackup.operators.guard import (
    BackupBeforeOperator,
    IfFailedOperator,
    OutcomeOperator,
    ReportIfFailedOperator,
    RestoreClusterIfFailedOperator,
    RestoreCollectionsIfFailedOperator,
)
from airflow_provider_zbackup.sensors.backup import ZillizNoActiveBackupSensor
from airflow_provider_zbackup.utils.arguments import check_choice, check_seconds
from airflow_provider_zbackup.version_compat import HAS_DOTS_IN_GROUP_IDS
from airflow_provider_zbackup.zilliz.checks import ArgumentError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, DAGNode, XComArg


class backup_before(TaskGroup):
    """
    Back up before the tasks in this group, and restore if one of them fails.

    .. code-block:: python

        with backup_before(cluster_id="in01-xxxxxxxxxxxxxxx", collections=["orders"]) as guard:
            migrate() >> check()
        guard.restore >> switch_alias()

    The group adds four tasks. ``<group_id>.backup`` makes the backup. ``<group_id>.gate`` waits until no
    other backup is running, since DDL during a backup may make it inconsistent. Only then the tasks in the
    group begin. ``<group_id>.restore`` runs when all of them have ended: it restores if one has failed, and
    is skipped if not. ``<group_id>.outcome`` fails with them, so that a run is not a success only because
    its backup was restored.

    The live collections are never touched: what is restored stands beside them, under the name
    ``<collection>_<backup id>``. Applications that use an alias are switched by changing it.

    The tasks in the group keep their ids. Only before Airflow 3.1, if this group is in another one and has
    groups in it, their tasks lose that other one's prefix: ``outer.inner.task`` becomes ``inner.task``.

    If the group is inside a mapped task group, each index has its own backup.

    Airflow's ``dagrun_timeout`` skips everything that has not begun, also the restore: give the tasks an
    ``execution_timeout`` instead. A user who clears *only failed* tasks makes no new backup.

    :param group_id: prefix of the ids of the four tasks
    :param cluster_id: id of the cluster to back up; may be a template or the output of another task
    :param collections: names of the collections, by default the whole cluster; may be the output of another
        task
    :param database: database of the collections, by default the default database; may be a template
    :param restore_on_failure: ``True`` restores the collections beside the live ones, ``"cluster"`` restores
        the whole backup into a new cluster ``restored-<backup id>``, with hyphens for underscores. ``False``
        restores nothing: the log then tells which backup to restore, and how
    :param load: whether to load the restored collections
    :param password_to: where to store the password of a new cluster, see
        :class:`~airflow_provider_zbackup.operators.restore.ZillizRestoreClusterOperator`; by default it is
        discarded
    :param settle_time: how long a task lives on after a user has marked it as failed, or has cleared it, in
        seconds. The restore waits for that, and so does a second backup
    :param deferrable: whether to wait in the triggerer, which holds no worker; by default as ``default_args``
        or Airflow's ``[operators] default_deferrable`` say
    :param zilliz_conn_id: :ref:`Airflow connection <howto/connection>` of type ``zilliz``; by default that of
        ``default_args``, or ``zilliz_default``
    :param default_args: for the tasks in the group, and for its own: such as ``retries``,
        ``conflict_timeout`` or ``record_manifest``. An ``execution_timeout`` here would end the backup and
        the restore too, so give it to each of your tasks
    :raises ArgumentError: while the DAG is parsed, when the group is empty, inside another one, or entered
        twice, or when a task that begins it has another trigger rule than ``all_success``
    """

    def __init__(
        self,
        group_id: str = "backup_before",
        *,
        cluster_id: str | XComArg,
        collections: Sequence[str] | XComArg | None = None,
        database: str | None = None,
        restore_on_failure: bool | str = True,
        load: bool = False,
        password_to: str | None = None,
        settle_time: float = 15.0,
        deferrable: bool | None = None,
        zilliz_conn_id: str | None = None,
        default_args: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        check_choice("restore_on_failure", restore_on_failure, (True, False, "cluster"))
        check_seconds("settle_time", settle_time)
        if restore_on_failure == "cluster" and collections is not None:
            raise ArgumentError(
                'restore_on_failure="cluster" needs a backup of the whole cluster: give no collections'
            )
        if password_to is not None and restore_on_failure != "cluster":
            raise ArgumentError('password_to needs restore_on_failure="cluster"')
        if load and restore_on_failure is not True:
            raise ArgumentError("load needs restore_on_failure=True")
        shared: Any = default_args or {}
        super().__init__(group_id=group_id, prefix_group_id=False, default_args=shared, **kwargs)
        self._check_place()
        self._is_entered = False
        # Whatever default_args say: with other rules, or without its result, no task guards anything.
        own: dict[str, Any] = {
            "task_group": self,
            "depends_on_past": False,
            "wait_for_downstream": False,
            "trigger_rule": "all_success",
            "do_xcom_push": True,
        }
        remote = own | {"cluster_id": cluster_id, "end_from_trigger": False}
        # What is not given may be in default_args.
        choices = {"deferrable": deferrable, "zilliz_conn_id": zilliz_conn_id}
        remote |= {name: value for name, value in choices.items() if value is not None}
        job = remote | {"wait_for_completion": True, "settle_time": settle_time}
        scope: dict[str, Any] = {"database": database}
        if collections is not None:
            scope["collections"] = collections
        self.backup: BaseOperator = BackupBeforeOperator(task_id=f"{group_id}.backup", **scope, **job)
        self.gate: BaseOperator = ZillizNoActiveBackupSensor(task_id=f"{group_id}.gate", **remote)
        restore: dict[str, Any] = {"task_id": f"{group_id}.restore", "backup_id": self.backup.output}
        match restore_on_failure:
            case "cluster":
                restore |= {"password_to": password_to, "discard_password": password_to is None}
                undo: IfFailedOperator = RestoreClusterIfFailedOperator(**restore, **job)
            case True:
                undo = RestoreCollectionsIfFailedOperator(load=load, **restore, **scope, **job)
            case _:
                undo = ReportIfFailedOperator(**restore, **own)
        setups = [self.backup, self.gate]
        self.backup >> self.gate
        self.restore: IfFailedOperator = undo.as_teardown(setups=setups)
        self.outcome: BaseOperator = OutcomeOperator(task_id=f"{group_id}.outcome", **own).as_teardown(
            setups=setups, on_failure_fail_dagrun=True
        )
        # Unlike other teardowns it must not succeed after a failure.
        self.outcome.trigger_rule = TriggerRule.ALL_SUCCESS

    def _check_place(self) -> None:
        group = self.parent_group
        while group is not None:
            if isinstance(group, backup_before):
                raise ArgumentError(
                    f"{self.group_id} is inside {group.group_id}: one backup before all tasks is enough"
                )
            group = group.parent_group

    def child_id(self, label: str) -> str:
        """Return a task's id: only the groups around this one put their prefix before it."""
        return self.parent_group.child_id(label) if self.parent_group else label  # type: ignore[no-untyped-call]

    def add(self, task: DAGNode) -> DAGNode:
        """Add a task or a group; a group gets the prefix of the groups around this one, like a task."""
        if HAS_DOTS_IN_GROUP_IDS and isinstance(task, TaskGroup) and task._group_id:
            group_id = self.child_id(task._group_id)
            if group_id != task._group_id:
                if getattr(task, "group_display_name", None) == "":
                    task.group_display_name = task._group_id
                # The class accepts an id with dots only like this.
                object.__setattr__(task, "_group_id", group_id)
        return super().add(task)

    def __enter__(self) -> backup_before:
        if self._is_entered:
            raise ArgumentError(f"{self.group_id} is entered twice; make another group")
        self._is_entered = True
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)  # type: ignore[no-untyped-call]
        if error is None:
            self._guard()

    def _guard(self) -> None:
        """Put every task of the group between the backup and the restore."""
        own = {task.task_id for task in (self.backup, self.gate, self.restore, self.outcome)}
        guarded = {task.task_id: task for task in self if task.task_id not in own}
        if not guarded:
            raise ArgumentError(f"{self.group_id} is empty: put the tasks to guard inside its with block")
        for task in guarded.values():
            if task.upstream_task_ids.isdisjoint(guarded):
                if task.trigger_rule != TriggerRule.ALL_SUCCESS and not task.is_teardown:
                    raise ArgumentError(
                        f"{task.task_id} comes right after the backup, where Airflow allows no trigger_rule "
                        f"but 'all_success', not {task.trigger_rule.value!r}. Put an EmptyOperator before "
                        "it, inside the group"
                    )
                self.gate >> task
            # Not only the last ones: some versions of Airflow let a teardown begin before the others.
            task >> self.restore
            task >> self.outcome
        self.restore.watched = sorted(guarded)
