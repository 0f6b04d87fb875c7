"""Operator that drops a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_zbackup.operators.base import ZillizOperator
from airflow_provider_zbackup.utils.arguments import (
    Argument,
    check_duration,
    check_flag,
    check_result,
    id_or_field,
)
from airflow_provider_zbackup.zilliz.checks import ArgumentError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import XComArg

    from airflow_provider_zbackup.zilliz.flows.steps import Flow


class ZillizDropClusterOperator(ZillizOperator):
    """
    Drop a scratch cluster, such as that of a restore drill.

    The cluster is dropped only if it has the given name, is not older than ``max_age``, and has neither a
    backup policy nor automatic backups. This is checked just before, and the log shows what is dropped. A
    cluster that is already gone is a success.

    A dropped cluster stays in the recycle bin of the web console for 30 days, unless it is a Free one. Its
    manual backups stay, and are billed, until somebody deletes them.

    As a teardown of a task before the restore, it drops the cluster even if the restore or a later task
    fails::

        drop = ZillizDropClusterOperator(task_id="drop", cluster=restore.output["cluster"])
        backup >> restore >> check >> drop.as_teardown(setups=backup)

    .. seealso:: `Drop Cluster <https://docs.zilliz.com/reference/restful/drop-cluster-v2>`__

    :param cluster: the cluster to drop: the result of a
        :class:`~airflow_provider_zbackup.operators.restore.ZillizRestoreClusterOperator`, or its XCom
        ``cluster`` (templated)
    :param cluster_id: id of the cluster, instead of ``cluster`` (templated)
    :param cluster_name: name that the cluster with this id must have (templated)
    :param max_age: the oldest that the cluster may be, by the server's time; ``None`` drops it at any age
    :param even_with_policy: whether to drop it even with a backup policy or automatic backups, which are
        deleted with it
    :param zilliz_conn_id: :ref:`Airflow connection <howto/connection>` of type ``zilliz`` (templated)
    :return: as plain JSON: ``cluster_id``, ``cluster_name``, and ``dropped``: ``False`` if the cluster was
        already gone
    :raises AirflowFailException: when the cluster must not be dropped, or a retry cannot help
    :raises ZillizError: for everything else
    """

    arguments: ClassVar[tuple[Argument, ...]] = (
        Argument("cluster", partial(check_result, fields=("cluster_id", "cluster_name")), optional=True),
        Argument("cluster_id", optional=True),
        Argument("cluster_name", optional=True),
        Argument("max_age", check_duration, optional=True),
        Argument("even_with_policy", check_flag),
    )
    template_fields: Sequence[str] = ("cluster", "cluster_id", "cluster_name", "zilliz_conn_id")

    def __init__(
        self,
        *,
        cluster: Mapping[str, Any] | XComArg | str | None = None,
        cluster_id: str | None = None,
        cluster_name: str | None = None,
        max_age: timedelta | None = timedelta(days=7),
        even_with_policy: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cluster = cluster
        self.cluster_id = cluster_id
        self.cluster_name = cluster_name
        self.max_age = max_age
        self.even_with_policy = even_with_policy
        self.check_arguments()

    def check_arguments(self, *, rendered: bool = False) -> None:
        super().check_arguments(rendered=rendered)
        given = [value is not None for value in (self.cluster, self.cluster_id, self.cluster_name)]
        if given not in ([True, False, False], [False, True, True]):
            raise ArgumentError("give either cluster, or cluster_id and cluster_name")

    def flow(self) -> Flow[dict[str, Any]]:
        from airflow_provider_zbackup.zilliz.flows.dropping import drop_scratch_cluster

        cluster: Any = {"cluster_id": self.cluster_id, "cluster_name": self.cluster_name}
        if self.cluster is not None:
            cluster = {name: id_or_field("cluster", self.cluster, name) for name in cluster}
        return drop_scratch_cluster(**cluster, max_age=self.max_age, even_with_policy=self.even_with_policy)
