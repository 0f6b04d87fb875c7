"""A connection that cannot be read is not one that does not exist: only the latter would fail again."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_mock import MockerFixture

from airflow_provider_zbackup.hooks import lookup
from airflow_provider_zbackup.hooks.shared_client import CONNECTION_PATIENCE
from airflow_provider_zbackup.hooks.zilliz import ZillizHook
from airflow_provider_zbackup.zilliz.client import AsyncZillizClient
from airflow_provider_zbackup.zilliz.errors import (
    ZillizConfigurationError,
    ZillizConnectionError,
    ZillizError,
)
from airflow_provider_zbackup.zilliz.flows.steps import ATTEMPTS, all_clusters
from tests.clock import VirtualClock
from tests.hooks.backends import GOOD, LEAK, Vault
from tests.hooks.refusals import KEY
from tests.support import World

UNDEFINED = (
    "Airflow connection 'another_one' is not defined. Make it under Admin, Connections, with the type Zilliz "
    "Cloud, or check zilliz_conn_id."
)

Read = Callable[[str], Any]


def read_in_worker(conn_id: str) -> Any:
    return ZillizHook(conn_id).connection.settings


def read_in_triggerer(conn_id: str) -> Any:
    async def use() -> Any:
        async with ZillizHook(conn_id).async_client() as client:
            return client.settings

    return asyncio.run(use())


@pytest.fixture(params=[read_in_worker, read_in_triggerer], ids=["worker", "triggerer"])
def read(request: pytest.FixtureRequest) -> Read:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    clock = VirtualClock()
    monkeypatch.setattr(ZillizHook, "clock", clock)
    return clock


@pytest.fixture(autouse=True)
def _fresh_backends() -> Iterator[None]:
    """Airflow 3.3 makes its backends once per process."""

    def forget() -> None:
        with suppress(ImportError):
            from airflow.sdk.configuration import clear_secrets_backends_cache

            clear_secrets_backends_cache()

    forget()
    yield
    forget()


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Vault]]:
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "tests.hooks.backends.Vault")
    Vault.failures, Vault.value, Vault.looks = [], GOOD, 0
    yield Vault
    Vault.failures, Vault.value = [], None


def error_of(read: Read, conn_id: str = "zilliz_default") -> ZillizError:
    """Return why a connection cannot be had, after checking that the key is shown nowhere."""
    with pytest.raises(ZillizError) as caught:
        read(conn_id)
    error = caught.value
    shown = "".join([str(error), repr(error), str(error.to_dict()), *traceback.format_exception(error)])
    assert KEY not in shown
    assert error.unprocessed
    assert repr(conn_id) in str(error)
    return error


def outage(count: int, text: str = "vault:8200 refused") -> list[Exception]:
    return [ConnectionError(text)] * count


def test_a_backend_that_works_is_asked_once(vault: type[Vault], read: Read) -> None:
    assert read("zilliz_default").api_key == KEY
    assert vault.looks == 1


def test_a_backend_that_fails_once_is_asked_again(
    vault: type[Vault], read: Read, clock: VirtualClock
) -> None:
    vault.failures = outage(2)
    begin = clock.now
    assert read("zilliz_default").api_key == KEY
    assert 0 < clock.now - begin < 2


def test_a_backend_that_fails_only_at_the_first_look_is_asked_again(vault: type[Vault], read: Read) -> None:
    vault.failures = outage(1)
    assert read("zilliz_default").api_key == KEY


def test_a_backend_that_goes_on_failing_is_trouble_that_passes(
    vault: type[Vault], read: Read, clock: VirtualClock
) -> None:
    vault.failures = outage(999)
    begin = clock.now
    error = error_of(read)
    assert type(error) is ZillizConnectionError
    assert error.message == (
        "Airflow connection 'zilliz_default' cannot be read: Vault: ConnectionError: vault:8200 refused."
    )
    # A triggerer has more patience, since the wait of a trigger may be long.
    longest = 20 if read is read_in_worker else CONNECTION_PATIENCE + 1
    assert longest / 3 < clock.now - begin <= longest


def test_a_worker_gives_up_after_as_many_looks_as_for_a_request(vault: type[Vault]) -> None:
    vault.failures = outage(999)
    error_of(read_in_worker)
    # Airflow's own look, and the one that finds out why it found nothing. The second of them may ask twice.
    assert ATTEMPTS * 2 <= vault.looks <= ATTEMPTS * 3


@pytest.mark.parametrize(
    "text", [f"Invalid connection string: {LEAK}.", f"no\n{LEAK}", LEAK, f"<{LEAK}/path?x>"], ids=range(4)
)
def test_the_cause_shows_no_address_and_no_more_than_a_line(vault: type[Vault], text: str) -> None:
    vault.failures = outage(999, text)
    assert "ConnectionError" in str(error_of(read_in_worker))


def test_the_cause_is_short(vault: type[Vault]) -> None:
    vault.failures = outage(999, "x" * 5000)
    assert len(str(error_of(read_in_worker))) < 400


def test_what_all_backends_do_not_have_is_not_defined(
    vault: type[Vault], read: Read, clock: VirtualClock
) -> None:
    begin = clock.now
    error = error_of(read, "another_one")
    assert type(error) is ZillizConfigurationError
    assert error.message == UNDEFINED
    assert clock.now == begin


def test_what_is_not_there_after_the_trouble_is_not_defined(vault: type[Vault], read: Read) -> None:
    vault.value = None
    for times in (1, 2, 3, 4):
        vault.failures = outage(times)
        assert "is not defined" in str(error_of(read))


@pytest.mark.filterwarnings("ignore:Method `get_conn_uri` is deprecated")
def test_a_backend_that_keeps_no_connections_does_not_fail(
    monkeypatch: pytest.MonkeyPatch, read: Read
) -> None:
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "tests.hooks.backends.VariablesOnly")
    assert error_of(read, "another_one").message == UNDEFINED


def test_a_backend_that_cannot_be_made_is_trouble_that_passes(
    monkeypatch: pytest.MonkeyPatch, read: Read, mocker: MockerFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "tests.hooks.backends.Vault")
    mocker.patch.object(Vault, "__init__", side_effect=ConnectionError("no login"))
    error = error_of(read)
    assert type(error) is ZillizConnectionError
    assert "no login" in str(error)


@pytest.mark.parametrize("value", ['{"password": ', f'{{"nonsense": "{KEY}"}}', f"zilliz://:{KEY}@h:port"])
def test_what_was_read_and_is_malformed_would_fail_again(
    monkeypatch: pytest.MonkeyPatch, vault: type[Vault], read: Read, value: str, clock: VirtualClock
) -> None:
    begin = clock.now
    for place in ("vault", "environment"):
        if place == "environment":
            vault.value = None
            monkeypatch.setenv("AIRFLOW_CONN_ZILLIZ_DEFAULT", value)
        else:
            vault.value = value
        error = error_of(read)
        assert type(error) is ZillizConfigurationError
        assert "holds no connection URI or JSON that this Airflow can read" in str(error)
    assert clock.now == begin


def test_a_backend_that_fails_may_have_what_another_one_has_malformed(
    monkeypatch: pytest.MonkeyPatch, vault: type[Vault], read: Read
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ZILLIZ_DEFAULT", "{")
    vault.failures = outage(999)
    assert type(error_of(read)) is ZillizConnectionError


class Sealed:
    """A connection of the metadata database that was encrypted with another key."""

    conn_id = "zilliz_default"
    extra = None

    @property
    def password(self) -> str:
        raise ValueError(KEY)

    def get_uri(self) -> str:
        return self.password


def test_what_cannot_be_decrypted_would_fail_again(mocker: MockerFixture, vault: type[Vault]) -> None:
    mocker.patch.object(Vault, "get_connection", autospec=True, return_value=Sealed())
    error = error_of(read_in_worker)
    assert type(error) is ZillizConfigurationError
    assert "cannot be decrypted" in str(error)
    assert "Fernet key" in str(error)


def test_any_other_failure_of_airflow_passes_too(mocker: MockerFixture, read: Read) -> None:
    for name in ("get_connection", "aget_connection"):
        if hasattr(ZillizHook, name):
            mocker.patch.object(ZillizHook, name, side_effect=PermissionError("denied by the API"))
    assert "cannot be read: PermissionError: denied by the API" in str(error_of(read))


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What a task of Airflow 3 asks for connections; ``answers`` are given, the last one again and again."""
    task_runner = pytest.importorskip("airflow.sdk.execution_time.task_runner")
    comms = pytest.importorskip("airflow.sdk.execution_time.comms")
    exceptions = pytest.importorskip("airflow.sdk.exceptions")
    supervisor = SimpleNamespace(answers=[])

    def respond(message: Any) -> Any:
        if not isinstance(message, comms.GetConnection):
            return None
        answer = supervisor.answers.pop(0) if len(supervisor.answers) > 1 else supervisor.answers[0]
        if answer == "found":
            fields = dict.fromkeys(("host", "schema", "login", "port", "extra"))
            return comms.ConnectionResult(conn_id=message.conn_id, conn_type="zilliz", password=KEY, **fields)
        response = comms.ErrorResponse(error=exceptions.ErrorType[answer], detail={"message": "502"})
        if answer == "API_SERVER_ERROR":
            raise exceptions.AirflowRuntimeError(response)
        return response

    async def arespond(message: Any) -> Any:
        return respond(message)

    monkeypatch.setattr(
        task_runner, "SUPERVISOR_COMMS", SimpleNamespace(send=respond, asend=arespond), raising=False
    )
    return supervisor


def test_the_api_server_has_the_connection(supervisor: SimpleNamespace, read: Read) -> None:
    supervisor.answers = ["found"]
    assert read("zilliz_default").api_key == KEY


@pytest.mark.parametrize("answer", ["API_SERVER_ERROR", "GENERIC_ERROR"])
def test_an_api_server_that_fails_once_is_asked_again(
    supervisor: SimpleNamespace, read: Read, answer: str
) -> None:
    for times in (1, 2):
        supervisor.answers = [answer] * times + ["found"]
        assert read("zilliz_default").api_key == KEY


@pytest.mark.parametrize("answer", ["API_SERVER_ERROR", "GENERIC_ERROR", "PERMISSION_DENIED"])
def test_an_api_server_that_goes_on_failing_is_trouble_that_passes(
    supervisor: SimpleNamespace, read: Read, answer: str
) -> None:
    supervisor.answers = [answer]
    assert type(error_of(read)) is ZillizConnectionError


def test_an_api_server_that_knows_no_such_connection(supervisor: SimpleNamespace, read: Read) -> None:
    supervisor.answers = ["CONNECTION_NOT_FOUND"]
    error = error_of(read)
    assert type(error) is ZillizConfigurationError
    assert "is not defined" in str(error)


def test_waits_that_go_on_survive_a_backend_that_fails(
    vault: type[Vault],
    clock: VirtualClock,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Others come and read the connection again, when it is old."""

    async def use() -> None:
        async with ZillizHook().async_client() as client:
            clock.sleep(301)
            vault.failures = outage(999)
            begin = clock.now
            async with ZillizHook().async_client() as same:
                assert same is client
                assert client.settings.api_key == KEY
            assert clock.now == begin
            # Airflow 2 logs by the standard library, Airflow 3 does not.
            assert "cannot be read" in caplog.text + capsys.readouterr().out
            looks = vault.looks
            clock.sleep(30)
            async with ZillizHook().async_client():
                assert vault.looks == looks
            clock.sleep(31)
            async with ZillizHook().async_client():
                assert vault.looks > looks

    asyncio.run(use())


def test_a_key_that_is_refused_while_the_backend_fails_is_read_when_it_works_again(
    vault: type[Vault], world: World
) -> None:
    vault.value = json.dumps(world.connection)
    world.monkeypatch.delenv("AIRFLOW_CONN_ZILLIZ_DEFAULT")

    async def use() -> None:
        async with ZillizHook().async_client() as client:
            world.control_plane.api_key = "the-new-key"
            vault.value = json.dumps(world.connection | {"password": "the-new-key"})
            vault.failures = outage(7)
            assert await client.run(all_clusters())
            assert client.settings.api_key == "the-new-key"

    asyncio.run(use())
    with ZillizHook().client as client:
        world.control_plane.api_key = "another-key"
        vault.value = json.dumps(world.connection | {"password": "another-key"})
        vault.failures = outage(7)
        assert client.run(all_clusters())


def test_the_connection_button_says_that_airflow_cannot_read_it(vault: type[Vault]) -> None:
    vault.failures = outage(999)
    passed, text = ZillizHook().test_connection()
    assert not passed
    assert "cannot be read: Vault" in text


def test_backends_that_cannot_be_loaded_at_the_second_look(mocker: MockerFixture, read: Read) -> None:
    mocker.patch.object(lookup, "_backends", autospec=True, side_effect=ConnectionError("no login"))
    assert type(error_of(read, "another_one")) is ZillizConnectionError


def test_all_who_wait_in_line_for_a_connection_lose_patience_together(
    vault: type[Vault], clock: VirtualClock, mocker: MockerFixture
) -> None:
    vault.failures = outage(99_999)
    reads = mocker.spy(ZillizHook, "read_settings")
    closes = mocker.spy(AsyncZillizClient, "aclose")

    async def one() -> None:
        async with ZillizHook().async_client():
            pass

    async def use() -> list[Any]:
        return await asyncio.gather(*(one() for _ in range(50)), return_exceptions=True)

    begin = clock.now
    failures = asyncio.run(use())
    assert {type(failure) for failure in failures} == {ZillizConnectionError}
    assert clock.now - begin <= CONNECTION_PATIENCE + 1
    assert reads.call_count < 50
    assert closes.call_count == 0
