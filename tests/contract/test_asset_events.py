"""What tasks say about their outlets, as Airflow gets it."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset, AssetAlias, BaseOperator
from pytest_mock import MockerFixture

from airflow_provider_zbackup.emulator import JobPlan
from airflow_provider_zbackup.operators.backup import ZillizCreateBackupOperator, ZillizDeleteBackupOperator
from airflow_provider_zbackup.operators.restore import (
    ZillizRestoreClusterOperator,
    ZillizRestoreCollectionsOperator,
)
from airflow_provider_zbackup.utils.assets import Act, Effect, ZillizEffects
from airflow_provider_zbackup.version_compat import AIRFLOW_VERSION
from tests.support import CLUSTER_ID, OutletEventAccessors, TaskInstance, World

MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
CLUSTER = Asset(uri=f"zilliz://{CLUSTER_ID}")
OTHER = Asset(uri="s3://elsewhere/file")
ALIAS = AssetAlias("zilliz_backups")


def create(**arguments: Any) -> TaskInstance:
    return TaskInstance(
        lambda: ZillizCreateBackupOperator(task_id="task", cluster_id=CLUSTER_ID, defer_after=0, **arguments)
    )


def extra_of(task: TaskInstance, outlet: Asset) -> Any:
    return task.outlet_events[outlet].extra


def added_to(task: TaskInstance, alias: AssetAlias) -> list[tuple[str, Any]]:
    """Return the events that an alias got: the asset's URI and the extra."""
    events = task.outlet_events[alias]
    if AIRFLOW_VERSION.major < 3:
        return [(event["dest_dataset_uri"], event["extra"]) for event in events.dataset_alias_events]
    return [(event.dest_asset_key.uri, event.extra) for event in events.asset_alias_events]


@MODES
def test_the_event_of_an_outlet_tells_which_backup_was_made(world: World, deferrable: bool) -> None:
    task = create(deferrable=deferrable, outlets=[CLUSTER, OTHER])
    result = task.run()
    assert len(task.deferrals) == deferrable
    for outlet in (CLUSTER, OTHER):
        extra = extra_of(task, outlet)
        assert extra == {name: result[name] for name in ("backup_id", "job_id", "size", "create_time")}
        assert None not in extra.values()


@MODES
def test_an_alias_gets_an_asset_for_each_collection(world: World, deferrable: bool) -> None:
    task = create(
        deferrable=deferrable, outlets=[ALIAS], database="sales", collections=["orders", "customers"]
    )
    result = task.run()
    (_, extra), _ = events = added_to(task, ALIAS)
    assert [uri for uri, _ in events] == [
        f"zilliz://{CLUSTER_ID}/sales/orders",
        f"zilliz://{CLUSTER_ID}/sales/customers",
    ]
    assert (extra["backup_id"], extra["size"]) == (result["backup_id"], result["size"])


def test_an_alias_gets_the_cluster_if_all_of_it_is_backed_up(world: World) -> None:
    task = create(outlets=[ALIAS])
    task.run()
    assert [uri for uri, _ in added_to(task, ALIAS)] == [CLUSTER.uri]


def test_collections_of_the_default_database_have_its_name(world: World) -> None:
    task = create(outlets=[ALIAS], collections=["quick_setup"])
    task.run()
    assert [uri for uri, _ in added_to(task, ALIAS)] == [f"zilliz://{CLUSTER_ID}/default/quick_setup"]


def test_without_outlets_nothing_is_said(world: World) -> None:
    task = create()
    task.run()
    assert len(task.outlet_events) == 0


def test_what_is_no_asset_is_left_alone(world: World) -> None:
    """Outlets may be anything that a lineage tool knows."""
    task = create(outlets=[{"table": "orders"}])
    task.run()
    assert len(task.outlet_events) == 0


@pytest.mark.skipif(AIRFLOW_VERSION.release < (3, 3), reason="end_from_trigger needs Airflow 3.3")
def test_a_task_with_outlets_does_not_end_in_the_triggerer(world: World) -> None:
    """A trigger that ends a task makes no asset event at all."""
    task = create(deferrable=True, end_from_trigger=True, outlets=[CLUSTER])
    result = task.run()
    assert extra_of(task, CLUSTER)["backup_id"] == result["backup_id"]


def test_a_restore_tells_what_it_made_from_which_backup(world: World) -> None:
    backup = world.someone_backs_up(seconds=0)
    task = TaskInstance(
        lambda: ZillizRestoreClusterOperator(
            task_id="task",
            cluster_id=CLUSTER_ID,
            backup_id=backup.backup_id,
            cluster_name="restored",
            discard_password=True,
            outlets=[OTHER, ALIAS],
        )
    )
    result = task.run()
    facts = {
        "backup_id": backup.backup_id,
        "job_id": result["job_id"],
        "cluster_id": result["cluster_id"],
        "cluster_name": "restored",
    }
    assert extra_of(task, OTHER) == facts
    assert added_to(task, ALIAS) == [(f"zilliz://{result['cluster_id']}", facts)]


def restore_collections(backup_id: str, **arguments: Any) -> ZillizRestoreCollectionsOperator:
    return ZillizRestoreCollectionsOperator(
        task_id="task", cluster_id=CLUSTER_ID, backup_id=backup_id, outlets=[ALIAS], **arguments
    )


def test_a_restore_of_collections_tells_of_each_by_its_new_name(world: World) -> None:
    backup = world.someone_backs_up(seconds=0)
    task = TaskInstance(
        lambda: restore_collections(backup.backup_id, collections=["orders"], database="sales", suffix="_old")
    )
    result = task.run()
    facts = {name: result[name] for name in ("backup_id", "job_id", "cluster_id")}
    assert added_to(task, ALIAS) == [(f"zilliz://{CLUSTER_ID}/sales/orders_old", facts)]


def test_a_restore_of_all_collections_tells_of_the_cluster_if_the_api_names_none() -> None:
    operator = restore_collections("b-1", destination_cluster_id="in01-2")
    assert operator.effect({"collections": []}).uris == ["zilliz://in01-2"]


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_delete_says_which_backup_is_gone(world: World, is_gone: bool) -> None:
    backup_id = "backup0_gone" if is_gone else world.someone_backs_up(seconds=0).backup_id
    task = TaskInstance(
        lambda: ZillizDeleteBackupOperator(
            task_id="task", cluster_id=CLUSTER_ID, backup_id=backup_id, outlets=[OTHER, ALIAS]
        )
    )
    task.run()
    facts = {"backup_id": backup_id, "deleted": not is_gone}
    assert extra_of(task, OTHER) == facts
    assert added_to(task, ALIAS) == ([] if is_gone else [(CLUSTER.uri, facts)])


def test_a_failed_backup_says_nothing(world: World) -> None:
    world.fault("create_backup", job=JobPlan(status="FAILED"))
    task = create(outlets=[CLUSTER])
    with pytest.raises(Exception, match="failed"):
        task.run()
    assert len(task.outlet_events) == 0


class SeveralJobs(ZillizEffects, BaseOperator):
    def effect(self, result: Any) -> Effect | None:
        return result and Effect(Act.BACK_UP, "c", [f"zilliz://c/db/{result['name']}"], result)


def test_with_several_jobs_each_asset_gets_the_facts_about_it() -> None:
    first, second = Asset(uri="zilliz://c/db/first"), Asset(uri="zilliz://c/db/second")
    results: list[Any] = [{"name": name, "backup_id": "b-1"} for name in ("first", "second")]
    events = OutletEventAccessors()
    context: Any = {"outlet_events": events}
    SeveralJobs(task_id="task", outlets=[first, second, OTHER]).emit_asset_events(context, results)
    assert [events[outlet].extra for outlet in (first, second, OTHER)] == [*results, {"backup_id": "b-1"}]


@pytest.mark.skipif(AIRFLOW_VERSION.major < 3, reason="Airflow 2 has no references to assets")
def test_a_reference_to_an_asset_counts_as_the_asset(mocker: MockerFixture) -> None:
    result = {"name": "first", "backup_id": "b-1"}
    reference = Asset.ref(uri="zilliz://c/db/first")
    events = mocker.MagicMock()
    context: Any = {"outlet_events": events}
    SeveralJobs(task_id="task", outlets=[reference]).emit_asset_events(context, [result])
    events.__getitem__.assert_called_once_with(reference)
    assert events[reference].extra == result
