"""How the clients drive flows: pauses, records, the budget, a key that is refused, many at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from pytest_mock import MockerFixture

from airflow_provider_zbackup.zilliz.client import (
    CONCURRENCY,
    AsyncZillizClient,
    ZillizClient,
)
from airflow_provider_zbackup.zilliz.errors import (
    ZillizAuthenticationError,
    ZillizConnectionError,
    ZillizProtocolError,
    ZillizServerError,
    ZillizThrottledError,
)
from airflow_provider_zbackup.zilliz.flows.steps import (
    Flow,
    Pause,
    Reply,
    Save,
    StoreSecret,
    retrying,
    send,
)
from airflow_provider_zbackup.zilliz.operations import create_backup, describe_job
from airflow_provider_zbackup.zilliz.requests import CreateBackupRequest
from airflow_provider_zbackup.zilliz.settings import ClientSettings
from tests.clock import VirtualClock

DESCRIBE, OTHER = describe_job("job-1"), describe_job("job-2")
OLD, NEW = ClientSettings("old-key"), ClientSettings("new-key")


class DrivenClient:
    """Runs flows with either client against answers that never leave this process, on a virtual clock."""

    def __init__(self, is_async: bool) -> None:
        self.is_async = is_async
        self.clock = VirtualClock()
        self.notes: list[str] = []
        self.records: list[Any] = []
        self.sent: list[tuple[float, str]] = []
        self.answers: list[httpx.Response] = []
        self.refreshed = 0
        self.settings_after_refresh: ClientSettings | None = None

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.sent.append((self.clock.now, request.headers["Authorization"]))
        return self.answers.pop(0) if self.answers else httpx.Response(200, json={"data": {}})

    def run(self, *flows: Flow[Any], settings: ClientSettings = OLD) -> list[Any]:
        """Run flows one after the other with one client."""
        return asyncio.run(self._run_async(flows, settings)) if self.is_async else self._run(flows, settings)

    def _refresh(self) -> ClientSettings:
        self.refreshed += 1
        assert self.settings_after_refresh
        return self.settings_after_refresh

    async def _refresh_async(self) -> ClientSettings:
        return self._refresh()

    def _run(self, flows: Iterable[Flow[Any]], settings: ClientSettings) -> list[Any]:
        refresh = self._refresh if self.settings_after_refresh else None
        with ZillizClient(
            settings, refresh=refresh, transport=httpx.MockTransport(self.handle), clock=self.clock
        ) as client:
            results = [client.run(flow, save=self.records.append, note=self.notes.append) for flow in flows]
            assert client.settings == (self.settings_after_refresh if self.refreshed else settings)
            return results

    async def _run_async(self, flows: Iterable[Flow[Any]], settings: ClientSettings) -> list[Any]:
        refresh = self._refresh_async if self.settings_after_refresh else None
        async with AsyncZillizClient(
            settings, refresh=refresh, transport=httpx.MockTransport(self.handle), clock=self.clock
        ) as client:
            results = [await client.run(flow, note=self.notes.append) for flow in flows]
            assert client.settings == (self.settings_after_refresh if self.refreshed else settings)
            return results


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def driven(request: pytest.FixtureRequest) -> DrivenClient:
    return DrivenClient(request.param)


def test_a_flow_gets_answers_times_and_errors(driven: DrivenClient) -> None:
    def flow() -> Flow[list[Any]]:
        got: list[Any] = [(yield Pause())]
        got.append((yield Pause(2.5, "Waiting.")))
        try:
            yield DESCRIBE
        except ZillizServerError as error:
            got.append(error.http_status)
        reply: Reply[Any] = yield OTHER
        got.append(reply.value.job_id)
        return got

    driven.answers = [httpx.Response(503), httpx.Response(200, json={"data": {"jobId": "job-2"}})]
    begin = driven.clock.now
    assert driven.run(flow()) == [[begin, begin + 2.5, 503, "job-2"]]
    assert driven.notes == ["Waiting."]
    assert driven.clock.slept == [2.5]


def test_an_error_that_the_flow_does_not_catch_is_raised(driven: DrivenClient) -> None:
    driven.answers = [httpx.Response(503)]
    with pytest.raises(ZillizServerError):
        driven.run(send(DESCRIBE))


def remembering() -> Flow[str]:
    yield Save({"a": 1})
    yield Save(None)
    return "done"


def test_a_worker_remembers() -> None:
    driven = DrivenClient(is_async=False)
    assert driven.run(remembering()) == ["done"]
    assert driven.records == [{"a": 1}, None]


def test_a_failing_save_closes_the_flow() -> None:
    """What a flow does at its end must not wait for the garbage collector."""
    closed = []

    def flow() -> Flow[None]:
        try:
            yield Save({"a": 1})
        finally:
            closed.append(True)

    def fail(record: Any) -> None:
        raise OSError("The disk is full.")

    running = flow()
    with ZillizClient(OLD) as client, pytest.raises(OSError, match="disk is full"):
        client.run(running, save=fail)
    assert closed


def test_a_secret_goes_to_whoever_keeps_it() -> None:
    secret = StoreSecret("db_admin", SecretStr("hidden"))

    def flow() -> Flow[Any]:
        return (yield secret)

    kept: list[StoreSecret] = []

    def keep(step: StoreSecret) -> bool:
        kept.append(step)
        return True

    with ZillizClient(OLD) as client:
        assert client.run(flow(), store_secret=keep)
        with pytest.raises(TypeError, match="needs something that takes a StoreSecret"):
            client.run(flow())
    assert kept == [secret]


def test_a_worker_without_a_memory_creates_nothing() -> None:
    with ZillizClient(OLD) as client, pytest.raises(TypeError, match="needs something that takes a Save"):
        client.run(remembering())


def test_a_triggerer_refuses_to_remember() -> None:
    with pytest.raises(TypeError, match="Only a worker starts jobs"):
        DrivenClient(is_async=True).run(remembering())


def test_a_refused_key_is_fetched_again_once(driven: DrivenClient) -> None:
    driven.settings_after_refresh = NEW
    driven.answers = [httpx.Response(401)]
    driven.run(send(DESCRIBE), send(OTHER))
    assert [key for _, key in driven.sent] == ["Bearer old-key", "Bearer new-key", "Bearer new-key"]
    assert driven.refreshed == 1


def test_a_key_that_is_refused_again_is_an_error(driven: DrivenClient) -> None:
    driven.settings_after_refresh = NEW
    driven.answers = [httpx.Response(401), httpx.Response(401)]
    with pytest.raises(ZillizAuthenticationError):
        driven.run(send(DESCRIBE))
    assert len(driven.sent) == 2


def test_a_refused_key_without_another_is_an_error(driven: DrivenClient) -> None:
    driven.answers = [httpx.Response(401)]
    with pytest.raises(ZillizAuthenticationError):
        driven.run(send(DESCRIBE))
    assert len(driven.sent) == 1


def test_requests_stay_within_the_budget(driven: DrivenClient) -> None:
    flows = (send(describe_job(f"job-{number}")) for number in range(20))
    driven.run(*flows, settings=ClientSettings("key", requests_per_second=5.0))
    times = [time - driven.sent[0][0] for time, _ in driven.sent]
    assert times == pytest.approx([0.0] * 5 + [0.2 * number for number in range(1, 16)], abs=1e-3)


def throttled() -> Flow[None]:
    with pytest.raises(ZillizThrottledError):
        yield DESCRIBE


@pytest.mark.parametrize(("headers", "seconds"), [({"Retry-After": "30"}, 30.0), ({}, 1.0)])
def test_too_many_requests_holds_the_next_one_too(
    driven: DrivenClient, headers: dict[str, str], seconds: float
) -> None:
    driven.answers = [httpx.Response(429, headers=headers)]
    driven.run(throttled(), throttled(), retrying(OTHER))
    (first, _), (second, _) = driven.sent
    assert second - first == pytest.approx(seconds)
    assert driven.clock.slept == [pytest.approx(seconds)], "by the flow, which knows its deadline"


def test_too_many_requests_holds_those_too_who_queue_already() -> None:
    sent = []
    may_answer, refused = threading.Event(), threading.Event()

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        assert may_answer.wait(10)
        return httpx.Response(429, headers={"Retry-After": "30"})

    class Queue(VirtualClock):
        async def asleep(self, seconds: float) -> None:
            # The second one waits for its moment when the first is answered.
            may_answer.set()
            await asyncio.to_thread(refused.wait, 10)
            self.sleep(seconds)

    async def first(client: AsyncZillizClient) -> None:
        await client.run(throttled())
        refused.set()

    async def run() -> list[Any]:
        settings = ClientSettings("key", requests_per_second=1.0)
        async with AsyncZillizClient(
            settings, transport=httpx.MockTransport(handle), clock=Queue()
        ) as client:
            others = [client.run(send(describe_job(f"job-{number}"))) for number in range(20, 23)]
            return await asyncio.gather(first(client), *others, return_exceptions=True)

    _, *errors = asyncio.run(run())
    assert [(type(error), error.retry_after) for error in errors] == [(ZillizThrottledError, 29.0)] * 3
    assert len(sent) == 1


def test_those_who_queue_behind_a_slow_server_do_not_all_send_when_it_recovers() -> None:
    """The budget is spent when a request is sent, not when it begins to wait for a free thread."""
    clock, may_answer = VirtualClock(), threading.Event()
    all_wait = threading.Barrier(CONCURRENCY + 1, timeout=10)

    def handle(request: httpx.Request) -> httpx.Response:
        if not may_answer.is_set():
            all_wait.wait()
            assert may_answer.wait(10)
        return httpx.Response(200, json={"data": {}})

    async def run() -> None:
        async with AsyncZillizClient(OLD, transport=httpx.MockTransport(handle), clock=clock) as client:
            flows = [client.run(send(describe_job(f"job-{number}"))) for number in range(CONCURRENCY + 30)]
            waiting = asyncio.gather(*flows)
            await asyncio.to_thread(all_wait.wait)
            # Less than an answer may take, also with the pauses of those who follow.
            clock.sleep(50.0)
            may_answer.set()
            await waiting

    asyncio.run(run())
    burst = OLD.requests_per_second
    assert sum(clock.slept) == pytest.approx(50.0 + (30 - burst) / OLD.requests_per_second)


Handler = Callable[[httpx.Request], httpx.Response]


def run_many(handle: Handler, count: int) -> list[Any]:
    """Ask for as many jobs at the same time."""
    return run_together(handle, [send(describe_job(f"job-{number}")) for number in range(count)])


def run_together(handle: Handler, flows: list[Flow[Any]]) -> list[Any]:
    """Run flows at the same time with one client."""

    async def run() -> list[Any]:
        settings = ClientSettings("key", requests_per_second=1000.0)
        async with AsyncZillizClient(settings, transport=httpx.MockTransport(handle)) as client:
            return await asyncio.gather(*map(client.run, flows), return_exceptions=True)

    return asyncio.run(run())


def test_many_flows_share_a_client_which_sends_few_requests_at_once() -> None:
    at_once: list[int] = []
    most = 0

    def handle(request: httpx.Request) -> httpx.Response:
        nonlocal most
        at_once.append(1)
        most = max(most, len(at_once))
        time.sleep(0.01)
        at_once.pop()
        return httpx.Response(200, json={"data": {"jobId": request.url.path.rpartition("/")[2]}})

    replies = run_many(handle, 50)
    assert [reply.value.job_id for reply in replies] == [f"job-{number}" for number in range(50)]
    assert most == CONCURRENCY


def test_a_client_that_is_closed_lets_a_request_end_before_its_sockets() -> None:
    began, may_end, closed = threading.Event(), threading.Event(), threading.Event()
    happened = []

    def hang(request: httpx.Request) -> httpx.Response:
        began.set()
        assert may_end.wait(10)
        happened.append("answered")
        return httpx.Response(200)

    class Transport(httpx.MockTransport):
        def close(self) -> None:
            happened.append("closed")
            closed.set()

    async def run() -> None:
        async with AsyncZillizClient(OLD, transport=Transport(hang)) as client:
            waiting = asyncio.create_task(client.run(send(DESCRIBE)))
            await asyncio.to_thread(began.wait)
            waiting.cancel()
        assert waiting.cancelled()

    asyncio.run(run())
    assert happened == [], "Neither the client nor the loop waits for the server"
    may_end.set()
    assert closed.wait(10)
    assert happened == ["answered", "closed"]


def test_a_triggerer_creates_nothing() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise AssertionError("Something was sent.")

    (error,) = run_together(handle, [send(create_backup("c", CreateBackupRequest.of()))])
    assert isinstance(error, TypeError)
    assert str(error) == "Only a worker starts jobs: a triggerer must not create backup of cluster c."


def test_a_failure_of_one_flow_is_none_of_the_others() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("job-1"):
            raise httpx.ConnectError("No route.")
        return httpx.Response(200, json={"data": {}})

    replies = run_many(handle, 3)
    assert [type(reply) for reply in replies] == [Reply, ZillizConnectionError, Reply]


def test_the_key_is_not_in_the_text_of_an_error() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError(f"Bad header {request.headers['Authorization'].removeprefix('Bearer ')}")

    (error,) = run_many(handle, 1)
    assert error.message == "No answer from api.cloud.zilliz.com: Bad header ***."


def refused_together(fresh: list[ClientSettings], count: int = 5) -> tuple[list[Any], int]:
    """Let the old key be refused to many at once; return what each got, and how often the key was read."""
    read: list[ClientSettings] = []
    meeting = threading.Barrier(count, timeout=10)

    def handle(request: httpx.Request) -> httpx.Response:
        is_old = request.headers["Authorization"] == f"Bearer {OLD.api_key}"
        if is_old and not read:
            meeting.wait()
        return httpx.Response(401 if is_old else 200, json={"data": {}})

    async def refresh() -> ClientSettings:
        read.append(fresh[min(len(read), len(fresh) - 1)])
        await asyncio.sleep(0)
        return read[-1]

    async def run() -> list[Any]:
        async with AsyncZillizClient(OLD, refresh=refresh, transport=httpx.MockTransport(handle)) as client:
            flows = [client.run(send(describe_job(f"job-{number}"))) for number in range(count)]
            return await asyncio.gather(*flows, return_exceptions=True)

    return asyncio.run(run()), len(read)


def test_many_whose_key_is_refused_at_once_read_it_again_once() -> None:
    replies, times = refused_together([NEW])
    assert [type(reply) for reply in replies] == [Reply] * 5
    assert times == 1


def test_a_key_that_is_the_same_when_it_is_read_again_is_an_error_for_all() -> None:
    replies, times = refused_together([OLD])
    assert [type(reply) for reply in replies] == [ZillizAuthenticationError] * 5
    assert len(set(map(id, replies))) == 5
    assert times == 1


@pytest.mark.parametrize(("rate", "seconds"), [(10.0, 0.1), (2.0, 0.5)], ids=["the same", "another"])
def test_new_settings_bring_their_own_rate(rate: float, seconds: float) -> None:
    clock, sent = VirtualClock(), []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(clock.now)
        return httpx.Response(200, json={"data": {}})

    async def run() -> None:
        async with AsyncZillizClient(OLD, transport=httpx.MockTransport(handle), clock=clock) as client:
            client.use(ClientSettings("new-key", requests_per_second=rate))
            for number in range(20):
                await client.send(describe_job(f"job-{number}"))

    asyncio.run(run())
    assert sent[-1] - sent[-2] == pytest.approx(seconds, abs=1e-3)


def test_the_same_rate_keeps_its_budget() -> None:
    """Reading the connection again must not let another burst pass."""
    clock = VirtualClock()
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json={"data": {}}))

    async def run() -> None:
        async with AsyncZillizClient(OLD, transport=transport, clock=clock) as client:
            for number in range(int(OLD.requests_per_second)):
                await client.send(describe_job(f"job-{number}"))
            assert clock.slept == []
            client.use(NEW)
            await client.send(DESCRIBE)
            assert clock.slept == [pytest.approx(0.1, abs=1e-3)]

    asyncio.run(run())


def test_a_triggerer_can_go_on_with_new_settings() -> None:
    async def run() -> str:
        transport = httpx.MockTransport(
            lambda request: httpx.Response(200, json={"reason": request.headers["Authorization"]})
        )
        async with AsyncZillizClient(OLD, transport=transport) as client:
            client.use(NEW)
            assert client.settings is NEW
            return (await client.send(DESCRIBE)).value.reason

    assert asyncio.run(run()) == "Bearer new-key"


def test_an_answer_about_something_else_is_no_answer(driven: DrivenClient) -> None:
    driven.answers = [httpx.Response(200, json={"data": {"jobId": "job-2", "status": "SUCCESSFUL"}})]
    with pytest.raises(ZillizProtocolError, match=r"has another id than the request \(describe job job-1"):
        driven.run(send(DESCRIBE))


def test_a_process_that_was_forked_has_connections_of_its_own(mocker: MockerFixture) -> None:
    mocker.patch.object(
        httpx.HTTPTransport,
        "handle_request",
        side_effect=lambda request: httpx.Response(200, json={"data": {}}),
    )
    make = mocker.spy(httpx, "HTTPTransport")
    process = mocker.patch("os.getpid", return_value=1)
    with ZillizClient(OLD) as client:
        client.send(DESCRIBE)
        client.send(OTHER)
        assert make.call_count == 1
        process.return_value = 2
        client.send(DESCRIBE)
        client.send(OTHER)
    assert make.call_count == 2
