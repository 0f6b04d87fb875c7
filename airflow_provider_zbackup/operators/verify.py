"""Operator that compares what was restored with what it should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_zbackup.operators.base import ZillizOperator
from airflow_provider_zbackup.utils.arguments import (
    Argument,
    as_result,
    check_count,
    check_flag,
    check_renaming,
    check_result,
    is_rendered_later,
)
from airflow_provider_zbackup.utils.errors import translate_errors
from airflow_provider_zbackup.zilliz.checks import ArgumentError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_zbackup.zilliz.flows.collections import Loader, Manifest
    from airflow_provider_zbackup.zilliz.flows.steps import Flow
    from airflow_provider_zbackup.zilliz.flows.verification import Scope


def check_manifest(name: str, value: Any, *, rendered: bool = False) -> None:
    """
    Check a manifest, unless it is known only later.

    :raises ArgumentError: unless it is one
    """
    if rendered or not is_rendered_later(value):
        read_manifest(name, value)


def read_manifest(name: str, value: Any) -> Manifest:
    """
    Return a manifest.

    :raises ArgumentError: when the value is none
    """
    from pydantic import ValidationError

    from airflow_provider_zbackup.zilliz.flows.collections import Manifest

    if value is None:
        raise ArgumentError(
            f"{name} is None: the backup was made without record_manifest=True, or its manifest could not be "
            "recorded"
        )
    try:
        return Manifest.model_validate(as_result(name, value))
    except ValidationError as error:
        problem = error.errors(include_input=False, include_context=False)[0]
        place = ".".join(map(str, problem["loc"]))
        raise ArgumentError(f"{name} is no manifest: {place}: {problem['msg']}") from None


class ZillizVerifyCollectionsOperator(ZillizOperator):
    """
    Prove a restore: compare the restored collections with what they should be. A difference fails the task.

    Compared are the names of the collections, their schemas, their indexes, their exact numbers of rows, and
    a sample of rows, found by primary keys and compared value by value. The log has a table of all
    differences, and so has the XCom ``differences``. Of rows they show the primary keys, no other values.

    What they should be is a manifest, recorded by a
    :class:`~airflow_provider_zbackup.operators.backup.ZillizCreateBackupOperator` with
    ``record_manifest=True``; or the collections of a cluster, which nobody may change meanwhile.

    The task reads the data planes of the clusters: the worker must reach them, and the API key must be
    allowed to read there. The key goes only to the address that Zilliz Cloud shows for a cluster, and only
    over HTTPS.

    Rows are counted only in loaded collections. What is not loaded is loaded, and released again, also after
    a time-out or when a user stops the task. Only if the worker itself dies in between, it stays loaded: a
    later try does not release it, because somebody may use it by then.

    .. seealso:: `Query <https://docs.zilliz.com/reference/restful/query-v2>`__

    :param restored: what was restored: the result of a
        :class:`~airflow_provider_zbackup.operators.restore.ZillizRestoreClusterOperator` or a
        :class:`~airflow_provider_zbackup.operators.restore.ZillizRestoreCollectionsOperator` (templated)
    :param cluster_id: id of the cluster that holds what was restored, instead of ``restored`` (templated)
    :param manifest: what it should be: the XCom ``manifest`` of the task that made the backup, such as
        ``backup.output["manifest"]`` (templated)
    :param source_cluster_id: id of the cluster that holds what it should be, instead of ``manifest``
        (templated)
    :param collections: names of the collections to compare, or a mapping of what they were called to what
        they are called now; by default those of ``restored``, or else all of the cluster. Names choose from
        those of ``restored``, by what they were called (templated)
    :param database: database of the collections; by default the default database, or all of them if no
        ``collections`` are given. With ``restored``, that from which they come; by default where they are
        now (templated)
    :param sample_rows: the most rows of each collection to compare with those of ``source_cluster_id``; a
        manifest has its own sample. They are taken at even distances; if primary keys are texts, from the
        1,048,576 smallest ones
    :param load: whether to load what is not loaded, which may take 30 minutes for each. If not, its rows are
        not compared, and the log says so
    :param zilliz_conn_id: :ref:`Airflow connection <howto/connection>` of type ``zilliz`` (templated)
    :return: as plain JSON: ``cluster_id``, ``collections`` (how many were compared), ``rows`` (how many those
        have), ``sampled_rows`` (how many of these were compared), ``differences`` (empty), and
        ``not_compared``: what could not be compared of which ``collection``
    :raises AirflowFailException: when something differs, or a retry cannot help
    :raises ZillizError: for everything else
    """

    arguments: ClassVar[tuple[Argument, ...]] = (
        Argument("restored", partial(check_result, fields=("cluster_id",)), optional=True),
        Argument("cluster_id", optional=True),
        Argument("manifest", check_manifest, optional=True),
        Argument("source_cluster_id", optional=True),
        Argument("collections", partial(check_renaming, of="collection names"), optional=True),
        Argument("database", optional=True),
        Argument("sample_rows", partial(check_count, at_least=0)),
        Argument("load", check_flag),
    )
    template_fields: Sequence[str] = (
        "restored",
        "cluster_id",
        "manifest",
        "source_cluster_id",
        "collections",
        "database",
        "zilliz_conn_id",
    )

    def __init__(
        self,
        *,
        restored: Mapping[str, Any] | XComArg | str | None = None,
        cluster_id: str | None = None,
        manifest: Mapping[str, Any] | XComArg | str | None = None,
        source_cluster_id: str | None = None,
        collections: Sequence[str] | Mapping[str, str | XComArg] | XComArg | None = None,
        database: str | None = None,
        sample_rows: int = 100,
        load: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.restored = restored
        self.cluster_id = cluster_id
        self.manifest = manifest
        self.source_cluster_id = source_cluster_id
        self.collections: Any = collections
        self.database = database
        self.sample_rows = sample_rows
        self.load = load
        self._loader: Loader | None = None
        self.check_arguments()

    def check_arguments(self, *, rendered: bool = False) -> None:
        super().check_arguments(rendered=rendered)
        for one, other in (("restored", "cluster_id"), ("manifest", "source_cluster_id")):
            if len({one, other} & self._given) != 1:
                raise ArgumentError(f"give either {one} or {other}")

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_zbackup.zilliz.errors import ZillizDifferenceError

        try:
            result = super().execute(context)
        finally:
            self._release()
        differences = result["differences"]
        context["ti"].xcom_push(key="differences", value=differences)
        with translate_errors(self):
            if differences:
                names = dict.fromkeys(each["collection"] for each in differences)
                raise ZillizDifferenceError(
                    f"Differences in {', '.join(names)}: {len(differences)}",
                    cluster_id=result["cluster_id"],
                )
        self.log.info("%d rows in %d collections; nothing differs.", result["rows"], result["collections"])
        return result

    def flow(self) -> Flow[dict[str, Any]]:
        from airflow_provider_zbackup.zilliz.flows.collections import Loader
        from airflow_provider_zbackup.zilliz.flows.verification import (
            verify_with_cluster,
            verify_with_manifest,
        )

        self._loader = Loader() if self.load else None
        restored = as_result("restored", self.restored) or {}
        cluster_id = self.cluster_id or restored["cluster_id"]
        scope = self._scope(restored.get("collections"))
        if self.source_cluster_id is None:
            manifest = read_manifest("manifest", self.manifest)
            restored_id = restored.get("backup_id")
            if manifest.backup_id and restored_id and manifest.backup_id != restored_id:
                raise ArgumentError(
                    f"manifest is that of backup {manifest.backup_id}, but backup {restored_id} was restored"
                )
            compared = verify_with_manifest(cluster_id, manifest, scope, self._loader)
        else:
            compared = verify_with_cluster(
                cluster_id, self.source_cluster_id, scope, self._loader, sample_rows=int(self.sample_rows)
            )
        return {"cluster_id": cluster_id} | (yield from compared)

    def on_kill(self) -> None:
        """End the task, if something is to be released: Airflow 3 lets it go on until it is killed."""
        if self._loader is not None and self._loader.loaded:
            raise SystemExit("The comparison is stopped.")

    def _release(self) -> None:
        """Release what is loaded, whatever has ended the comparison."""
        if self._loader is not None and self._loader.loaded:
            self.run_flow(self._loader.release())

    def _scope(self, restored: Sequence[Mapping[str, Any]] | None) -> Scope:
        """
        Return what to compare.

        :param restored: the collections that were restored; ``None`` means a whole cluster
        """
        from airflow_provider_zbackup.zilliz.flows.collections import read_database
        from airflow_provider_zbackup.zilliz.flows.verification import Pair, Scope

        database = read_database(self.database)
        names = self.collections
        if isinstance(names, Mapping) or (names is not None and not restored):
            renamed = names if isinstance(names, Mapping) else {name: name for name in names}
            return Scope([Pair((database, old), (database, new)) for old, new in renamed.items()])
        if restored is None:
            return Scope(None, self.database)
        if not restored:
            raise ArgumentError("restored does not say which collections were restored: give collections")
        if names is not None:
            # Their own names lead to the live collections, not to what was restored.
            if missing := sorted({*names} - {item["name"] for item in restored}):
                raise ArgumentError(f"restored does not hold {', '.join(missing)}, named in collections")
            restored = [item for item in restored if item["name"] in names]
        pairs = []
        for item in restored:
            place = read_database(item["database"])
            source = place if self.database is None else database
            pairs.append(Pair((source, item["name"]), (place, item["restored_as"])))
        return Scope(pairs)
