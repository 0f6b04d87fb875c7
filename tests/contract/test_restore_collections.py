"""Restoring collections of a backup into a cluster that is running, and exporting a backup."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from pytest_mock import MockerFixture

from airflow_provider_zbackup.emulator import JobPlan
from airflow_provider_zbackup.emulator.records import Collection
from airflow_provider_zbackup.emulator.seed import (
    SECOND_DEDICATED_CLUSTER_ID,
    SERVERLESS_CLUSTER_ID,
    STORAGE_INTEGRATION_ID,
)
from airflow_provider_zbackup.operators.backup import ZillizExportBackupOperator
from airflow_provider_zbackup.operators.guard import RestoreCollectionsIfFailedOperator
from airflow_provider_zbackup.operators.restore import ZillizRestoreCollectionsOperator
from airflow_provider_zbackup.utils.errors import find_zilliz_error
from airflow_provider_zbackup.zilliz.errors import ZillizError, ZillizJobFailedError
from airflow_provider_zbackup.zilliz.requests import RestoreTarget
from tests.support import CLUSTER_ID, PROJECT_ID, TaskInstance, World

MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])


@pytest.fixture
def backup(world: World) -> Any:
    backup = world.someone_backs_up(seconds=0)
    world.clock.sleep(1)
    return backup


def task(backup: Any, **arguments: Any) -> TaskInstance:
    arguments = {"cluster_id": CLUSTER_ID, "backup_id": backup.backup_id} | arguments
    return TaskInstance(lambda: ZillizRestoreCollectionsOperator(task_id="task", **arguments))


def held(world: World, cluster_id: str = CLUSTER_ID) -> dict[tuple[str, str], str]:
    """Return the collections of a cluster, with their load states."""
    databases = world.control_plane.clusters[cluster_id].databases_at(world.clock.now)
    return {(database, each.name): each.status for database, group in databases.items() for each in group}


def restored(database: str | None, name: str, restored_as: str) -> dict[str, Any]:
    return {"database": database, "name": name, "restored_as": restored_as}


def without_jobs(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in item.items() if name != "job_id"} for item in result["collections"]
    ]


def sent(world: World) -> int:
    return len(world.requests("restore_collection_backup"))


@MODES
@pytest.mark.parametrize("load", [False, True], ids=["not loaded", "loaded"])
def test_collections_come_back_beside_the_live_ones(
    world: World, backup: Any, deferrable: bool, load: bool
) -> None:
    before = held(world)
    instance = task(
        backup,
        collections=["medium_articles", "quick_setup"],
        suffix="_restored",
        load=load,
        deferrable=deferrable,
    )
    result = instance.run()
    state = "LOADED" if load else "UNLOADED"
    new = {("", "medium_articles_restored"): state, ("", "quick_setup_restored"): state}
    assert held(world) == before | new
    assert without_jobs(result) == [
        restored(None, "medium_articles", "medium_articles_restored"),
        restored(None, "quick_setup", "quick_setup_restored"),
    ]
    jobs = [item["job_id"] for item in result["collections"]]
    assert len(set(jobs)) == 2
    del result["collections"]
    assert result == {
        "cluster_id": CLUSTER_ID,
        "source_cluster_id": CLUSTER_ID,
        "backup_id": backup.backup_id,
        "job_id": jobs[-1],
        "status": "SUCCESSFUL",
    }


@MODES
def test_a_database_and_new_names_may_be_given(world: World, backup: Any, deferrable: bool) -> None:
    result = task(
        backup,
        collections={"orders": "old_orders"},
        database="sales",
        destination_database="archive",
        destination_cluster_id=SECOND_DEDICATED_CLUSTER_ID,
        deferrable=deferrable,
    ).run()
    assert held(world, SECOND_DEDICATED_CLUSTER_ID) == {
        ("", "products"): "LOADED",
        ("archive", "old_orders"): "UNLOADED",
    }
    assert without_jobs(result) == [restored("archive", "orders", "old_orders")]
    assert result["cluster_id"] == SECOND_DEDICATED_CLUSTER_ID


@pytest.mark.parametrize(
    ("arguments", "calls"),
    [({}, 1), ({"load": True}, 4), ({"suffix": "_2"}, 4), ({"database": "sales"}, 2)],
    ids=["as they are", "loaded", "renamed", "of one database"],
)
def test_without_names_all_collections_are_restored(
    world: World, backup: Any, arguments: dict[str, Any], calls: int
) -> None:
    """As they are, one call does it; else each collection needs a call."""
    result = task(backup, destination_cluster_id=SECOND_DEDICATED_CLUSTER_ID, **arguments).run()
    assert sent(world) == calls
    suffix, state = arguments.get("suffix", ""), "LOADED" if "load" in arguments else "UNLOADED"
    new = {
        (database, name + suffix): state
        for database, name in held(world)
        if database == arguments.get("database", database)
    }
    assert held(world, SECOND_DEDICATED_CLUSTER_ID) == {("", "products"): "LOADED"} | new
    assert {(item["database"] or "", item["restored_as"]) for item in result["collections"]} == set(new)


@pytest.mark.parametrize("arguments", [{"suffix": "_2"}, {"load": True}])
def test_a_backup_that_shows_no_collections_needs_names(
    world: World, backup: Any, arguments: dict[str, Any]
) -> None:
    shown = {"backupId": backup.backup_id, "status": "AVAILABLE"}
    world.fault("describe_backup", status=200, body={"code": 0, "data": shown})
    with pytest.raises(AirflowFailException, match=r"shows no collections\. Name them"):
        task(backup, **arguments).run()
    assert sent(world) == 0
    result = task(backup, collections=["quick_setup"], **{"suffix": "_2"} | arguments).run()
    assert without_jobs(result) == [restored(None, "quick_setup", "quick_setup_2")]
    whole = task(backup, destination_cluster_id=SECOND_DEDICATED_CLUSTER_ID).run()
    assert whole["collections"] == []


@pytest.mark.parametrize(
    ("shown", "name"), [(["orders_v1"], "orders_v1"), ([], "orders")], ids=["alias", "nothing shown"]
)
def test_the_guard_restores_what_the_backup_holds(world: World, shown: list[str], name: str) -> None:
    """The names that were backed up may be aliases; a backup that shows nothing was of what was named."""
    backup = world.someone_backs_up(
        seconds=0, backup_type="COLLECTION", databases={"": [Collection(each) for each in shown or ["any"]]}
    )
    world.clock.sleep(1)
    if not shown:
        bare = {"backupId": backup.backup_id, "status": "AVAILABLE"}
        world.fault("describe_backup", status=200, body={"code": 0, "data": bare})
    operator = RestoreCollectionsIfFailedOperator(
        task_id="task",
        cluster_id=CLUSTER_ID,
        backup_id=backup.backup_id,
        collections=["orders"],
        settle_time=0,
    )
    (submission,) = operator.submissions()
    restored_as = f"{name}_{backup.backup_id}"
    assert submission.target == RestoreTarget(None, name, None, restored_as)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"collections": ["medium_articles", "gone"]},
            "does not hold gone. It holds medium_articles, quick_setup, sales.customers, sales.orders",
        ),
        ({"collections": ["orders"]}, "does not hold orders. It holds"),
        ({"suffix": "_2", "database": "gone"}, "shows no collections of database gone"),
        ({"destination_cluster_id": "in01-gone"}, "in01-gone"),
        ({"backup_id": "backup0_gone"}, "backup0_gone"),
    ],
)
def test_what_cannot_go_well_is_told_before_anything_is_sent(
    world: World, backup: Any, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(AirflowFailException, match=message):
        task(backup, **arguments).run()
    assert sent(world) == 0


def test_two_databases_with_the_same_collection_do_not_become_one(world: World) -> None:
    cluster = world.control_plane.clusters[CLUSTER_ID]
    cluster.put_collection("sales", cluster.databases[""][0], world.clock.time())
    backup = world.someone_backs_up(seconds=0)
    world.clock.sleep(1)
    with pytest.raises(AirflowFailException, match="same name in the same database"):
        task(backup, destination_database="archive").run()
    assert sent(world) == 0


def test_a_backup_or_a_cluster_that_is_not_ready(world: World) -> None:
    young = world.someone_backs_up(seconds=100)
    with pytest.raises(AirflowFailException, match=f"{young.backup_id} .* is CREATING, not AVAILABLE"):
        task(young).run()
    world.clock.sleep(200)
    world.control_plane.clusters[CLUSTER_ID].settled_status = "SUSPENDED"
    with pytest.raises(AirflowFailException, match=f"Cluster {CLUSTER_ID} is .*, not RUNNING"):
        task(young).run()
    assert sent(world) == 0


@MODES
def test_a_name_that_is_taken_is_refused_and_nothing_is_in_doubt(
    world: World, backup: Any, deferrable: bool
) -> None:
    instance = task(backup, collections=["quick_setup"], deferrable=deferrable)
    text = (
        "quick_setup exists .* If quick_setup is taken, give another name, .* suffix='_restored', or drop it"
    )
    with pytest.raises(Exception, match=text) as caught:
        instance.run()
    assert isinstance(find_zilliz_error(caught.value), ZillizError)
    world.control_plane.clusters[CLUSTER_ID].remove_collection("", "quick_setup", world.clock.time())
    result = instance.run()
    assert without_jobs(result) == [restored(None, "quick_setup", "quick_setup")]


@MODES
def test_a_retry_goes_on_where_the_try_before_it_ended(
    world: World, backup: Any, deferrable: bool, caplog: pytest.LogCaptureFixture, mocker: MockerFixture
) -> None:
    mocker.patch.object(ZillizRestoreCollectionsOperator, "log", logging.getLogger("task"))
    caplog.set_level(logging.INFO, "task")
    world.fault("restore_collection_backup", skip=1, times=1, job=JobPlan(status="FAILED", reason="full"))
    instance = task(
        backup,
        collections=["medium_articles", "quick_setup"],
        suffix="_restored",
        deferrable=deferrable,
    )
    with pytest.raises(ZillizJobFailedError, match="full"):
        instance.run()
    earlier = f"From an earlier try: Restored medium_articles_restored in cluster {CLUSTER_ID}."
    assert earlier not in caplog.messages
    result = instance.run()
    assert caplog.messages.count(earlier) == 1
    assert sent(world) == 3, "one that went well, one that failed, and that again"
    assert [item["restored_as"] for item in result["collections"]] == [
        "medium_articles_restored",
        "quick_setup_restored",
    ]
    assert {("", "medium_articles_restored"), ("", "quick_setup_restored")} < set(held(world))


@MODES
def test_a_job_that_the_api_has_forgotten_is_a_question_for_the_user(
    world: World, backup: Any, deferrable: bool
) -> None:
    arguments: dict[str, Any] = {"collections": ["quick_setup"], "suffix": "_2", "deferrable": deferrable}
    instance = task(backup, timeout=1, **arguments)
    world.control_plane.configure(job_seconds=60)
    with pytest.raises(ZillizError, match="Gave up"):
        instance.run()
    world.clock.sleep(3600)
    world.fault("describe_job", code=96026, message="Job not found")
    with pytest.raises(AirflowFailException, match=r"does not know job .* any more\. Nothing was sent again"):
        instance.run()
    assert sent(world) == 1


def test_on_uncertain_answers_the_question(world: World, backup: Any) -> None:
    world.fault("restore_collection_backup", times=1, drop=True)
    arguments: dict[str, Any] = {"collections": ["quick_setup"], "suffix": "_2"}
    instance = task(backup, **arguments)
    with pytest.raises(
        AirflowFailException, match=r"got no answer.*nothing in the API shows whether it started the job"
    ):
        instance.run()
    with pytest.raises(AirflowFailException, match="got no answer"):
        instance.run()
    assert sent(world) == 1
    instance.make = task(backup, on_uncertain="retry", **arguments).make
    assert without_jobs(instance.run()) == [restored(None, "quick_setup", "quick_setup_2")]


@MODES
def test_a_task_may_end_before_its_jobs(world: World, backup: Any, deferrable: bool) -> None:
    world.control_plane.configure(job_seconds=1000)
    begun = world.clock.now
    result = task(
        backup,
        collections=["medium_articles", "quick_setup"],
        suffix="_2",
        wait_for_completion=False,
        deferrable=deferrable,
    ).run()
    assert world.clock.now - begun < 10
    assert result["status"] is None
    assert [world.hook.describe_job(item["job_id"]).is_successful for item in result["collections"]] == [
        False,
        False,
    ]


def export(backup: Any, **arguments: Any) -> TaskInstance:
    arguments = {
        "cluster_id": CLUSTER_ID,
        "backup_id": backup.backup_id,
        "integration_id": STORAGE_INTEGRATION_ID,
        "directory": "nightly/",
    } | arguments
    return TaskInstance(lambda: ZillizExportBackupOperator(task_id="task", **arguments))


@MODES
def test_an_export_ends_when_the_files_are_there(world: World, backup: Any, deferrable: bool) -> None:
    result = export(backup, deferrable=deferrable).run()
    (made,) = world.control_plane.exports
    assert (made.backup, made.integration_id, made.directory) == (backup, STORAGE_INTEGRATION_ID, "nightly/")
    assert world.clock.now >= made.job.arrives
    assert result == {
        "cluster_id": CLUSTER_ID,
        "backup_id": backup.backup_id,
        "integration_id": STORAGE_INTEGRATION_ID,
        "directory": "nightly/",
        "job_id": made.job.job_id,
        "status": "SUCCESSFUL",
    }


def test_an_export_to_an_unknown_place_fails(world: World, backup: Any) -> None:
    with pytest.raises(Exception, match="Storage integration not found"):
        export(backup, integration_id="integ-gone").run()
    assert world.control_plane.exports == []


def test_the_hook_knows_the_places_for_exports_and_starts_the_same_jobs(world: World, backup: Any) -> None:
    (place,) = world.hook.list_storage_integrations(PROJECT_ID)
    assert (place.integration_id, place.status) == (STORAGE_INTEGRATION_ID, "ACTIVE")
    ids = {"cluster_id": CLUSTER_ID, "backup_id": backup.backup_id}
    exported = world.hook.export_backup(**ids, integration_id=place.integration_id, directory="x/")
    whole = world.hook.restore_collections(**ids, destination_cluster_id=SECOND_DEDICATED_CLUSTER_ID)
    assert world.hook.describe_job(exported.job_id).job_id == exported.job_id
    assert world.hook.describe_job(whole.job_id).job_id == whole.job_id


def test_a_serverless_destination_is_refused_by_the_service(world: World, backup: Any) -> None:
    with pytest.raises(AirflowFailException, match="96022"):
        task(backup, destination_cluster_id=SERVERLESS_CLUSTER_ID).run()
