"""Links from Airflow's UI to the web console of Zilliz Cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_zbackup.utils.xcom import push_past_backend, read_past_backend

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context


class ZillizConsoleLink(BaseOperatorLink):
    """
    Link to the cluster, or to the project's clusters, in the web console.

    The page of a cluster shows its backups. The console also has pages for jobs and for all backups, but no
    document tells their addresses.

    The task stores the address when it starts. So the link works while the task is deferred and after a
    failure, and showing it needs no request. It is stored past a custom XCom backend, because Airflow's UI
    does not ask the backend.
    """

    name = "Zilliz Cloud console"

    #: Airflow 3 looks for the link's address under this key.
    xcom_key = "_link_ZillizConsoleLink"

    @classmethod
    def persist(cls, context: Context, url: str) -> None:
        """Store the address for the task of a context."""
        push_past_backend(context["ti"], cls.xcom_key, url)

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the address, or an empty text if the task has not started yet."""
        return read_past_backend(ti_key, self.xcom_key) or ""
