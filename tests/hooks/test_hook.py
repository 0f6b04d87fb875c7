"""The hook against the emulator: its methods, its form, and the client that triggers share."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import json
import sys
import warnings
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import quote

import certifi
import pytest
from airflow.providers.common.compat.sdk import Connection
from pytest_mock import MockerFixture

from airflow_provider_zbackup.emulator.seed import SECOND_DEDICATED_CLUSTER_ID
from airflow_provider_zbackup.get_provider_info import get_provider_info
from airflow_provider_zbackup.hooks.shared_client import CONNECTION_LIFETIME
from airflow_provider_zbackup.hooks.zilliz import ZillizHook
from airflow_provider_zbackup.zilliz import client as client_module
from airflow_provider_zbackup.zilliz.client import AsyncZillizClient, ZillizClient
from airflow_provider_zbackup.zilliz.errors import (
    ZillizAuthenticationError,
    ZillizConfigurationError,
    ZillizNotFoundError,
    ZillizServerError,
)
from airflow_provider_zbackup.zilliz.flows.steps import all_clusters
from tests.support import API_KEY, CLUSTER_ID, PROJECT_ID, World

CONNECTION_TYPE = get_provider_info()["connection-types"][0]


def test_a_backup_is_created_described_and_followed(world: World) -> None:
    created = world.hook.create_backup(CLUSTER_ID)
    assert world.hook.describe_backup(CLUSTER_ID, created.backup_id).is_running
    assert not world.hook.describe_job(created.job_id).is_successful
    world.clock.sleep(60)
    backup = world.hook.describe_backup(CLUSTER_ID, created.backup_id)
    assert (backup.backup_id, backup.status) == (created.backup_id, "AVAILABLE")
    job = world.hook.describe_job(created.job_id)
    assert (job.job_id, job.status, job.progress) == (created.job_id, "SUCCESSFUL", 100)


def test_a_route_of_the_data_plane_is_called_with_the_key(world: World) -> None:
    query = {"collectionName": "orders", "dbName": "sales", "outputFields": ["count(*)"]}
    assert world.hook.call_data_plane(CLUSTER_ID, "entities/query", query) == [{"count(*)": 300}]
    with pytest.raises(ZillizNotFoundError, match="can't find collection"):
        world.hook.call_data_plane(CLUSTER_ID, "collections/describe", {"collectionName": "nothing"})


def test_a_backup_of_collections_is_asked_for_as_told(world: World) -> None:
    world.hook.create_backup(CLUSTER_ID, ["orders"], "sales", ["aws-us-east-1"])
    assert world.requests("create_backup")[0].body == {
        "backupType": "COLLECTION",
        "dbCollections": [{"dbName": "sales", "collectionNames": ["orders"]}],
        "crossRegionCopies": [{"regionId": "aws-us-east-1"}],
    }


@pytest.mark.parametrize(
    ("where", "clusters"),
    [
        ({}, [SECOND_DEDICATED_CLUSTER_ID, CLUSTER_ID]),
        ({"project_id": PROJECT_ID}, [SECOND_DEDICATED_CLUSTER_ID, CLUSTER_ID]),
        ({"cluster_id": CLUSTER_ID}, [CLUSTER_ID]),
    ],
)
def test_backups_are_listed_by_cluster_by_project_or_all(
    world: World, where: dict[str, str], clusters: list[str]
) -> None:
    for cluster_id in (CLUSTER_ID, SECOND_DEDICATED_CLUSTER_ID):
        world.someone_backs_up(seconds=1, cluster_id=cluster_id)
        world.clock.sleep(10)
    assert [backup.cluster_id for backup in world.hook.list_backups(**where)] == clusters


def test_all_pages_of_a_list_are_read(world: World) -> None:
    made = {world.someone_backs_up(seconds=1).backup_id for _ in range(205)}
    listed = [backup.backup_id for backup in world.hook.list_backups(cluster_id=CLUSTER_ID)]
    assert len(listed) == len(made)
    assert set(listed) == made
    assert [request.query["currentPage"] for request in world.requests("list_backups")] == ["1", "2", "3"]


def test_clusters_and_projects(world: World) -> None:
    clusters = world.hook.list_clusters()
    assert {cluster.cluster_id for cluster in clusters} == set(world.control_plane.clusters)
    cluster = world.hook.describe_cluster(CLUSTER_ID)
    assert (cluster.cluster_name, cluster.project_id) == ("Dedicated-01", PROJECT_ID)
    assert [project.project_id for project in world.hook.list_projects()] == [PROJECT_ID]


def test_regions(world: World) -> None:
    regions = {region.region_id: region.cloud_id for region in world.hook.list_regions()}
    assert regions["aws-us-west-2"] == "aws"
    assert regions["gcp-us-west1"] == "gcp"


def test_models_become_plain_json_as_the_docstring_shows(world: World) -> None:
    world.someone_backs_up(seconds=1)
    plain = [backup.model_dump(mode="json") for backup in world.hook.list_backups()]
    assert json.loads(json.dumps(plain)) == plain
    assert plain[0]["create_time"] == "2026-03-02T10:00:00Z"


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("describe_backup", lambda hook: hook.describe_backup(CLUSTER_ID, "backup1")),
        ("list_backups", lambda hook: hook.list_backups()),
        ("describe_job", lambda hook: hook.describe_job("job-1")),
        ("list_clusters", lambda hook: hook.list_clusters()),
        ("describe_cluster", lambda hook: hook.describe_cluster("in01-1")),
        ("list_projects", lambda hook: hook.list_projects()),
        ("list_regions", lambda hook: hook.list_regions()),
    ],
)
def test_a_read_is_sent_again_after_trouble_that_passes_and_not_after_a_refusal(
    world: World, operation: str, call: Callable[[ZillizHook], Any]
) -> None:
    world.fault(operation, times=2, status=503)
    world.fault(operation, code=96018, message="Invalid ClusterId.")
    with pytest.raises(ZillizNotFoundError):
        call(world.hook)
    assert len(world.requests(operation)) == 3


def test_a_create_is_sent_once(world: World) -> None:
    world.fault("create_backup", status=503)
    with pytest.raises(ZillizServerError):
        world.hook.create_backup(CLUSTER_ID)
    assert len(world.requests("create_backup")) == 1


def test_a_client_goes_on_with_the_new_key_when_the_old_one_is_revoked(world: World) -> None:
    hook = world.hook
    hook.list_projects()
    world.control_plane.api_key = "the-new-key"
    world.connect(password="the-new-key")
    assert [project.project_id for project in hook.list_projects()] == [PROJECT_ID]
    assert hook.get_conn() is hook.client


def test_the_connection_button_says_where_it_is_connected_to(world: World) -> None:
    assert world.hook.test_connection() == (
        True,
        f"Connected to {world.url}: {len(world.control_plane.clusters)} cluster(s) visible.",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"password": "another-key-unmistakable"},
            "does not accept the API key of Airflow connection",
        ),
        ({"password": None}, "API key (field 'password') is missing"),
        ({"host": "http://127.0.0.1:1"}, "No answer from 127.0.0.1"),
        ({"extra": {"timeout": "soon"}}, "extra field 'timeout'"),
    ],
)
def test_the_connection_button_says_what_is_wrong(world: World, change: dict[str, Any], message: str) -> None:
    world.connect(**change)
    passed, said = world.hook.test_connection()
    assert not passed
    assert message in said
    assert "unmistakable" not in said
    assert API_KEY not in said


@pytest.mark.parametrize("status", [200, 503])
def test_the_connection_button_leaves_no_connection_open(
    world: World, mocker: MockerFixture, status: int
) -> None:
    closes = mocker.spy(ZillizClient, "close")
    world.fault("list_clusters", status=status, body={"code": 0, "data": {"clusters": []}})
    passed, _ = world.hook.test_connection()
    assert (passed, closes.call_count) == (status == 200, 1)


def test_the_connection_button_makes_one_attempt(world: World) -> None:
    """The user who pressed it is waiting for the answer."""
    world.fault("list_clusters", times=1, status=503, headers={"Retry-After": "300"})
    begin = world.clock.now
    passed, message = world.hook.test_connection()
    assert not passed
    assert "HTTP 503" in message
    assert len(world.requests("list_clusters")) == 1
    assert world.clock.now == begin


def test_the_connection_button_says_that_a_name_cannot_be_looked_up(world: World) -> None:
    world.connect(host="https://api..example")
    passed, _ = world.hook.test_connection()
    assert not passed


def test_the_connection_button_says_that_there_is_no_connection() -> None:
    passed, message = ZillizHook("another_one").test_connection()
    assert not passed
    assert "'another_one' is not defined" in message


@pytest.fixture
def _form_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow 3 comes without the modules that the form of Airflow 2 is made of."""
    if importlib.util.find_spec("wtforms") is not None:
        with warnings.catch_warnings():
            # Flask-AppBuilder imports what Flask, SQLAlchemy and marshmallow call deprecated.
            warnings.simplefilter("ignore")
            importlib.import_module("flask_appbuilder.fieldwidgets")
        return
    wtforms: Any = ModuleType("wtforms")
    for name in ("BooleanField", "StringField"):
        kind = type(name, (), {})
        setattr(
            wtforms,
            name,
            lambda *args, kind=kind, **kwargs: SimpleNamespace(field_class=kind, args=args, kwargs=kwargs),
        )
    fieldwidgets: Any = ModuleType("flask_appbuilder.fieldwidgets")
    fieldwidgets.BS3TextFieldWidget = type("BS3TextFieldWidget", (), {})
    monkeypatch.setitem(sys.modules, "wtforms", wtforms)
    monkeypatch.setitem(sys.modules, "flask_appbuilder", ModuleType("flask_appbuilder"))
    monkeypatch.setitem(sys.modules, "flask_appbuilder.fieldwidgets", fieldwidgets)


@pytest.mark.usefixtures("_form_modules")
def test_the_old_form_has_the_declared_fields() -> None:
    shown = {
        name: (field.field_class.__name__, field.args[0], field.kwargs["description"])
        for name, field in ZillizHook.get_connection_form_widgets().items()
    }
    assert shown == {
        name: (
            "BooleanField" if field["schema"]["type"] == ["boolean", "null"] else "StringField",
            field["label"],
            field["description"],
        )
        for name, field in CONNECTION_TYPE["conn-fields"].items()
    }


def test_the_old_form_has_the_declared_behaviour() -> None:
    declared = CONNECTION_TYPE["ui-field-behaviour"]
    shown = ZillizHook.get_ui_field_behaviour()
    assert {name.replace("_", "-"): value for name, value in shown.items()} == declared


async def shares(hook: ZillizHook, meeting: asyncio.Barrier) -> AsyncZillizClient:
    """Hold the client until all others of the meeting hold one too."""
    async with hook.async_client() as client:
        await meeting.wait()
        return client


def test_all_users_of_a_loop_share_one_client_and_one_reading_of_the_connection(
    world: World, mocker: MockerFixture
) -> None:
    reads = mocker.spy(ZillizHook, "read_settings")
    closes = mocker.spy(AsyncZillizClient, "aclose")

    async def use() -> set[AsyncZillizClient]:
        meeting = asyncio.Barrier(20)
        return set(await asyncio.gather(*(shares(ZillizHook(), meeting) for _ in range(20))))

    assert len(asyncio.run(use())) == 1
    assert reads.call_count == 1
    assert closes.call_count == 1


def test_the_last_user_closes_the_client_and_the_next_one_opens_another(
    world: World, mocker: MockerFixture
) -> None:
    closes = mocker.spy(AsyncZillizClient, "aclose")

    async def use() -> None:
        async with world.hook.async_client() as outer:
            async with world.hook.async_client() as inner:
                assert inner is outer
            assert closes.call_count == 0
            assert await outer.run(all_clusters())
        assert closes.call_count == 1
        async with world.hook.async_client() as another:
            assert another is not outer

    asyncio.run(use())
    assert closes.call_count == 2


def test_each_connection_has_a_client_of_its_own(world: World) -> None:
    world.monkeypatch.setenv("AIRFLOW_CONN_OTHER", f"zilliz://:other-key@{quote(world.url, safe='')}")

    async def use() -> None:
        async with world.hook.async_client() as ours, ZillizHook("other").async_client() as theirs:
            assert (ours.settings.api_key, theirs.settings.api_key) == (API_KEY, "other-key")

    asyncio.run(use())


def test_each_loop_has_a_client_of_its_own(world: World) -> None:
    """As in ``dag.test()``, where one process runs one loop after the other."""
    with asyncio.Runner() as one, asyncio.Runner() as other:
        users = [(runner, world.hook.async_client()) for runner in (one, other)]
        clients = [runner.run(user.__aenter__()) for runner, user in users]
        assert clients[0] is not clients[1]
        for (runner, user), client in zip(users, clients, strict=True):
            assert runner.run(client.run(all_clusters()))
            runner.run(user.__aexit__(None, None, None))


def test_a_newcomer_reads_the_connection_again_when_it_is_old(world: World, mocker: MockerFixture) -> None:
    reads = mocker.spy(ZillizHook, "read_settings")

    async def use() -> None:
        async with world.hook.async_client() as client:
            world.connect(extra={"timeout": 7})
            for age, timeout, count in ((CONNECTION_LIFETIME, 30, 1), (1, 7, 2), (1, 7, 2)):
                world.clock.sleep(age)
                async with world.hook.async_client() as same:
                    assert same is client
                assert client.settings.timeout == timeout
                assert reads.call_count == count

    asyncio.run(use())


@pytest.mark.parametrize(
    "change", [{"host": "http://127.0.0.1:1"}, {"extra": {"ca_bundle": certifi.where()}}]
)
def test_a_newcomer_gets_a_client_of_its_own_when_the_way_to_the_server_has_changed(
    world: World, mocker: MockerFixture, change: dict[str, Any]
) -> None:
    """Certificates and proxy belong to the network connections, which those who wait already go on with."""
    closes = mocker.spy(AsyncZillizClient, "aclose")

    async def use() -> None:
        async with world.hook.async_client() as client:
            world.connect(**change)
            world.clock.sleep(CONNECTION_LIFETIME + 1)
            async with world.hook.async_client() as other:
                assert other is not client
                assert other.settings == world.hook.connection.settings
                async with world.hook.async_client() as third:
                    assert third is other
            assert await client.run(all_clusters())
            assert closes.call_count == 0

    asyncio.run(use())
    assert closes.call_count == 2


def test_a_newcomer_is_told_that_the_connection_has_become_unusable(world: World) -> None:
    async def use() -> None:
        async with world.hook.async_client() as client:
            world.connect(extra={"ca_bundle": "/no/such/file"})
            world.clock.sleep(CONNECTION_LIFETIME + 1)
            for _ in range(2):
                with pytest.raises(ZillizConfigurationError, match="certificate file"):
                    async with world.hook.async_client():
                        pass
            assert await client.run(all_clusters())

    asyncio.run(use())


def test_a_key_that_is_rotated_in_mid_wait_is_read_again(world: World, mocker: MockerFixture) -> None:
    reads = mocker.spy(ZillizHook, "read_settings")

    async def use() -> None:
        async with world.hook.async_client() as client:
            assert await client.run(all_clusters())
            world.control_plane.api_key = "the-new-key"
            world.connect(password="the-new-key")
            for _ in range(2):
                world.clock.sleep(60)
                assert await client.run(all_clusters())

    asyncio.run(use())
    assert reads.call_count == 2


def test_a_key_that_is_refused_again_ends_the_wait(world: World, mocker: MockerFixture) -> None:
    reads = mocker.spy(ZillizHook, "read_settings")
    world.control_plane.api_key = "the-new-key"

    async def use() -> None:
        async with world.hook.async_client() as client:
            await client.run(all_clusters())

    with pytest.raises(ZillizAuthenticationError, match="Check the field 'API key'"):
        asyncio.run(use())
    assert reads.call_count == 2


def test_an_open_that_fails_leaves_nothing_behind(world: World) -> None:
    world.connect(password="no key")

    async def use() -> None:
        meeting = asyncio.Barrier(3)
        failures = await asyncio.gather(
            *(shares(world.hook, meeting) for _ in range(3)), return_exceptions=True
        )
        assert [type(failure) for failure in failures] == [ZillizConfigurationError] * 3
        world.connect()
        async with world.hook.async_client() as client:
            assert await client.run(all_clusters())

    asyncio.run(use())


def test_all_who_wait_in_line_learn_from_one_reading_that_a_connection_is_unusable(
    world: World, mocker: MockerFixture
) -> None:
    world.connect(password="no key")
    reads = mocker.spy(ZillizHook, "read_settings")

    async def one() -> None:
        async with world.hook.async_client():
            pass

    async def use() -> list[Any]:
        return await asyncio.gather(*(one() for _ in range(50)), return_exceptions=True)

    failures = asyncio.run(use())
    assert {type(failure) for failure in failures} == {ZillizConfigurationError}
    assert len({id(failure) for failure in failures}) == 50, "One error in many places mixes up tracebacks."
    assert reads.call_count == 1


def test_a_user_who_fails_does_not_take_the_client_from_the_others(world: World) -> None:
    async def use() -> None:
        async with world.hook.async_client() as client:
            with pytest.raises(RuntimeError, match="mine alone"):
                async with world.hook.async_client():
                    raise RuntimeError("mine alone")
            assert await client.run(all_clusters())
        async with world.hook.async_client() as another:
            assert another is not client

    asyncio.run(use())


def is_on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def test_nothing_that_blocks_is_called_on_the_loop(world: World) -> None:
    """Neither the synchronous ways to a connection and its extra, nor the making of an SSL context."""
    on_loop: dict[str, bool] = {}
    get_connection = ZillizHook.get_connection
    read_extra = inspect.getattr_static(Connection, "extra_dejson").fget
    make_context = client_module.ssl_context

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watch(*args: Any, **kwargs: Any) -> Any:
            on_loop[name] = is_on_a_loop()
            return call(*args, **kwargs)

        return watch

    world.monkeypatch.setattr(
        ZillizHook, "get_connection", staticmethod(watched("get_connection", get_connection))
    )
    world.monkeypatch.setattr(Connection, "extra_dejson", property(watched("extra", read_extra)))
    world.monkeypatch.setattr(client_module, "ssl_context", watched("ssl_context", make_context))

    async def use() -> list[Any]:
        async with world.hook.async_client() as client:
            return (await client.run(all_clusters())).value

    assert asyncio.run(use())
    assert on_loop.pop("ssl_context") is False
    assert not any(on_loop.values())
