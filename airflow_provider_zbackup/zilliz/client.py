"""
The only module that speaks HTTP: it sends operations and drives flows, for workers and for triggerers.

It uses httpx's transports, not its clients: a client logs each request, and would fill the log of a task that
polls for hours. A transport also follows no redirect, so the key never goes to another host.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import threading
import weakref
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError

from airflow_provider_zbackup.zilliz.answers import read_envelope
from airflow_provider_zbackup.zilliz.errors import (
    ZillizAuthenticationError,
    ZillizConfigurationError,
    ZillizConnectionError,
    ZillizError,
    ZillizProtocolError,
    ZillizRefusedError,
    ZillizServerError,
    ZillizThrottledError,
    ZillizTransientError,
)
from airflow_provider_zbackup.zilliz.flows.steps import (
    Flow,
    Pause,
    Reply,
    Save,
    Step,
    StoreSecret,
    drive,
    drive_blocking,
)
from airflow_provider_zbackup.zilliz.operations import Operation
from airflow_provider_zbackup.zilliz.pacing import (
    CLOCK,
    Clock,
    RequestBudget,
    parse_http_date,
    parse_retry_after,
)
from airflow_provider_zbackup.zilliz.poll_cache import PollCache
from airflow_provider_zbackup.zilliz.proxies import proxy_for
from airflow_provider_zbackup.zilliz.settings import ClientSettings
from airflow_provider_zbackup.zilliz.time_limit import LimitedBackend, time_limit

T = TypeVar("T")

log = logging.getLogger(__name__)

#: A larger answer cannot come from Zilliz Cloud, in bytes.
LARGEST_ANSWER = 16 * 1024 * 1024
#: The pause after "too many requests" without ``Retry-After``, in seconds.
THROTTLED_PAUSE = 1.0
#: Requests that one asynchronous client sends at the same time, each in a thread.
CONCURRENCY = 8
#: A triggerer mostly pauses for longer than the 5 s for which httpx keeps a connection, and a new one costs a
#: handshake. It only reads, so a connection that the server has just closed does no harm.
_TRIGGERER_LIMITS = httpx.Limits(max_connections=CONCURRENCY, keepalive_expiry=55.0)
_SUCCESS_CODES = (0, 200)
_CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
#: Errors that come before anything is sent.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def ssl_context(settings: ClientSettings | None = None) -> ssl.SSLContext:
    """
    Return the SSL context of the process for these settings.

    The certificates come from ``ca_bundle``, else from ``SSL_CERT_FILE``, ``SSL_CERT_DIR`` or
    ``REQUESTS_CA_BUNDLE`` of the environment, else from httpx.

    :raises ZillizConfigurationError: when the file has no certificates or cannot be read
    """
    environment = {name: os.environ.get(name) for name in _CERTIFICATE_VARIABLES}
    name = next((name for name, path in environment.items() if path), None)
    origin, path = f"the environment variable {name}", name and environment[name]
    if settings is not None and settings.ca_bundle:
        name, origin, path = None, f"extra field 'ca_bundle' of {settings.source}", settings.ca_bundle
    try:
        return _load_certificates(path, is_directory=name == "SSL_CERT_DIR")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ZillizConfigurationError(
            f"The certificate file cannot be used: {reason}. Its path is in {origin}.", unprocessed=True
        ) from None


@cache
def _load_certificates(path: str | None, is_directory: bool) -> ssl.SSLContext:
    """Return one context for all. Making it takes 20 ms, so never do it on an event loop."""
    if path is None:
        return httpx.create_ssl_context()
    if is_directory or os.path.isdir(path):
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)


def _make_transport(settings: ClientSettings, **options: Any) -> httpx.BaseTransport:
    """
    Return a transport that uses the proxy of the environment.

    :raises ZillizConfigurationError: when the certificates or the proxy are unusable; the text shows no part
        of the proxy's address, which may hold a password
    """
    context, address = ssl_context(settings), proxy_for(settings.base_url)
    variables = f"{httpx.URL(settings.base_url).scheme}_proxy or all_proxy"
    try:
        proxy = _read_proxy(address, context) if address else None
        transport = httpx.HTTPTransport(verify=context, proxy=proxy, **options)
    except ImportError:
        problem = f"A SOCKS proxy needs 'httpx[socks]' installed. The environment ({variables}) asks for one."
    except (ValueError, httpx.InvalidURL):
        problem = f"The proxy in the environment ({variables}) is not a URL such as http://proxy:3128."
    else:
        # httpx has no parameter for it.
        transport._pool._network_backend = LimitedBackend()
        return transport
    raise ZillizConfigurationError(problem, unprocessed=True)


def _read_proxy(address: str, context: ssl.SSLContext) -> httpx.Proxy:
    url = httpx.URL(address)
    rest = url.raw_path.decode() + url.fragment
    # After an unquoted password, or an error such as "http//proxy", the parsed host is not the proxy.
    if not url.host or "%" in url.host or rest.startswith("//") or any(mark in rest for mark in ":@?"):
        raise ValueError("no host")
    if url.port is not None and not 0 < url.port < 65536:
        raise ValueError("no port")
    return httpx.Proxy(url, ssl_context=context if url.scheme == "https" else None)


class _Exchange:
    """Sends an operation and reads its answer, for both clients. It blocks."""

    def __init__(self, settings: ClientSettings, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self._timeout = httpx.Timeout(settings.timeout, connect=min(10.0, settings.timeout)).as_dict()
        self._base_url = httpx.URL(settings.base_url)
        self._prefix = self._base_url.raw_path.rstrip(b"/")
        self._headers = {
            "Host": self._base_url.netloc.decode(),
            "Authorization": f"Bearer {settings.api_key}",
            "Accept": "application/json",
            "User-Agent": "airflow-provider-zbackup",
        }

    def send(self, operation: Operation[T], transport: httpx.BaseTransport) -> Reply[T]:
        """Send an operation once; raises :class:`ZillizError`."""
        try:
            with time_limit(self.settings.longest_exchange, self._clock):
                response = transport.handle_request(self._request(operation))
                try:
                    content = self._receive(operation, response)
                finally:
                    response.close()
        except httpx.RequestError as error:
            raise self._no_answer(operation, error) from None
        return self._read(operation, response, content)

    def _request(self, operation: Operation[Any]) -> httpx.Request:
        return httpx.Request(
            operation.method,
            self._base_url.copy_with(raw_path=self._prefix + operation.path.encode()),
            params=operation.query or None,
            headers={**self._headers, **operation.headers},
            json=None if operation.request is None else operation.request.body(),
            extensions={"timeout": self._timeout},
        )

    def _receive(self, operation: Operation[Any], response: httpx.Response) -> bytes:
        content = bytearray()
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > LARGEST_ANSWER:
                raise ZillizProtocolError(
                    f"Zilliz Cloud's answer is too large: more than {LARGEST_ANSWER} bytes.",
                    operation=str(operation),
                    http_status=response.status_code,
                )
        return bytes(content)

    def _no_answer(self, operation: Operation[Any], error: httpx.RequestError) -> ZillizConnectionError:
        """Return the error for a request that got no answer, or only a part of one."""
        return ZillizConnectionError(
            f"No answer from {self._base_url.host}: {self._scrub(self._explain(error))}.",
            operation=str(operation),
            unprocessed=isinstance(error, _UNSENT),
        )

    def _explain(self, error: httpx.RequestError) -> str:
        reason = str(error) or type(error).__name__
        source = self.settings.source
        if "WRONG_VERSION_NUMBER" in reason:
            return f"it seems to speak plain HTTP, not HTTPS; try http:// in the Base URL of {source}"
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            return f"its certificate is not trusted; give the CA as ca_bundle of {source} ({reason})"
        cause = error.__cause__
        if cause is not None and isinstance(cause.__context__, socket.gaierror):
            return (
                f"its name, or that of the proxy, is unknown; check {self.settings.check_address} ({reason})"
            )
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return f"{reason.rstrip('.')}; check {self.settings.check_address}"
        return reason

    def _read(self, operation: Operation[T], response: httpx.Response, content: bytes) -> Reply[T]:
        """Return the answer of a success; raise the error of anything else."""
        envelope, code = read_envelope(content)
        if response.status_code >= 400:
            raise self._refusal(operation, response, envelope, code)
        if response.status_code >= 300 or envelope is None or code is None:
            raise self._unreadable(operation, response, content)
        if code not in _SUCCESS_CODES:
            raise self._refusal(operation, response, envelope, code)
        # An error that says what could not be read would say what the answer holds, such as a password.
        with suppress(ValidationError):
            # The reference shows the fields of one answer beside `code` instead of under `data`.
            answer = operation.read(envelope.get("data", envelope))
            if operation.is_answered_by(answer):
                return Reply(answer, _server_time(response))
            raise ZillizProtocolError(
                "Zilliz Cloud's answer has another id than the request.",
                operation=str(operation),
                request_id=self._request_id(response),
            )
        raise self._unreadable(operation, response, content)

    def _unreadable(
        self, operation: Operation[Any], response: httpx.Response, content: bytes
    ) -> ZillizProtocolError:
        content_type = self._scrub(response.headers.get("content-type", "?"))[:100]
        return ZillizProtocolError(
            f"Zilliz Cloud's answer cannot be read: {len(content)} bytes of {content_type}.",
            operation=str(operation),
            http_status=response.status_code,
            request_id=self._request_id(response),
            # A redirect means that nothing was done.
            unprocessed=300 <= response.status_code < 400,
        )

    def _refusal(
        self,
        operation: Operation[Any],
        response: httpx.Response,
        envelope: dict[str, Any] | None,
        code: int | None,
    ) -> ZillizError:
        status = response.status_code
        kind = operation.classify(status, code or 0)
        server_time = _server_time(response)
        retry_after = parse_retry_after(
            response.headers.get("retry-after"),
            server_time.timestamp() if server_time else self._clock.time(),
        )
        if kind is ZillizThrottledError and retry_after is None:
            retry_after = THROTTLED_PAUSE
        text = str(envelope.get("message") or "") if envelope is not None else ""
        whose = f" of {self.settings.source}" if kind is ZillizAuthenticationError else ""
        detail = self._scrub(text or response.reason_phrase)[:500]
        if status == 404 and code in (None, 0, 404):
            # The API itself answers HTTP 200 to what it does not find.
            detail += f". Check {self.settings.address}: the API may not be there"
        return kind(
            f"{kind.reason}{whose}: {detail}",
            operation=str(operation),
            code=code or None,
            http_status=status,
            request_id=self._request_id(response),
            retry_after=retry_after,
            # A refusal means that nothing was done. Trouble in the server may come after the work was done.
            unprocessed=not (kind is ZillizServerError or (kind is ZillizRefusedError and status >= 500)),
        )

    def _request_id(self, response: httpx.Response) -> str | None:
        return self._scrub(response.headers.get("requestid", ""))[:100] or None

    def _scrub(self, text: str) -> str:
        """Remove the key, since a server or a proxy may repeat it in a text that is logged."""
        return text.replace(self.settings.api_key, "***")


def _server_time(response: httpx.Response) -> datetime | None:
    return parse_http_date(response.headers.get("date"))


class ZillizClient:
    """
    Drives flows in a worker. Use it as a context manager, or call :meth:`close`.

    :param settings: what to connect to
    :param refresh: reads the settings again, once, after the API key was refused
    :param transport: sends the requests; closed with the client
    :param clock: tells the time and lets it pass
    """

    def __init__(
        self,
        settings: ClientSettings,
        *,
        refresh: Callable[[], ClientSettings] | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Clock = CLOCK,
    ) -> None:
        self._exchange = _Exchange(settings, clock)
        self._refresh = refresh
        self._clock = clock
        self._budget = RequestBudget(settings.requests_per_second)
        self._makes_transport = transport is None
        self._take(transport or _make_transport(settings))
        #: Clients of the data planes of clusters, by address. Each has a request budget of its own.
        self._of_clusters: dict[str, ZillizClient] = {}

    def __enter__(self) -> ZillizClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for client in self._of_clusters.values():
            client.close()
        self._transport.close()

    def _take(self, transport: httpx.BaseTransport) -> None:
        self._transport, self._process = transport, os.getpid()
        # Hooks and tasks do not say when they are done with their client.
        weakref.finalize(self, transport.close)

    @property
    def settings(self) -> ClientSettings:
        return self._exchange.settings

    def run(
        self,
        flow: Flow[T],
        *,
        save: Callable[[Mapping[str, Any] | None], None] | None = None,
        store_secret: Callable[[StoreSecret], bool] | None = None,
        note: Callable[[str], None] = log.info,
        warn: Callable[[str], None] | None = None,
    ) -> T:
        """
        Run a flow to its end.

        :param save: makes a record durable; needed by flows that start a job
        :param store_secret: stores what is shown only once, and returns whether it did; needed by flows that
            get a password
        :param note: writes a line to the log
        :param warn: writes a line about trouble to the log; by default ``note`` does
        :return: what the flow returns; raises what it raises
        """

        def take(step: Step) -> Any:
            match step:
                case Operation():
                    return self.send(step)
                case Pause(seconds, text, is_trouble):
                    if text:
                        (warn if warn and is_trouble else note)(text)
                    if seconds > 0:
                        self._clock.sleep(seconds)
                    return self._clock.time()
                case Save(record) if save:
                    save(record)
                    return self._clock.time()
                case StoreSecret() if store_secret:
                    return store_secret(step)
            raise TypeError(f"This flow needs something that takes a {type(step).__name__}.")

        return drive_blocking(flow, take)

    def send(self, operation: Operation[T]) -> Reply[T]:
        """Send one operation, within the budget; raises :class:`ZillizError`."""
        if operation.address and not self.settings.cluster_address:
            return self._of_cluster(operation.address).send(operation)
        try:
            return self._send_once(operation)
        except ZillizAuthenticationError:
            if self._refresh is None:
                raise
            self._exchange = _Exchange(self._refresh(), self._clock)
            return self._send_once(operation)

    def _of_cluster(self, address: str) -> ZillizClient:
        """Return the client of a cluster's data plane."""
        if address not in self._of_clusters:
            refresh = self._refresh
            self._of_clusters[address] = ZillizClient(
                self.settings.for_cluster(address),
                refresh=refresh and (lambda: refresh().for_cluster(address)),
                transport=None if self._makes_transport else self._transport,
                clock=self._clock,
            )
        return self._of_clusters[address]

    def _send_once(self, operation: Operation[T]) -> Reply[T]:
        while delay := self._budget.take(self._clock.time()):
            self._clock.sleep(delay)
        if self._makes_transport and self._process != os.getpid():
            # A forked process must not share a connection with its parent.
            self._take(_make_transport(self.settings))
        try:
            return self._exchange.send(operation, self._transport)
        except ZillizTransientError as error:
            # A sensor may poke again sooner than that.
            self._budget.hold(self._clock.time() + (error.retry_after or 0.0))
            raise


class AsyncZillizClient:
    """
    Drives any number of flows in a triggerer at once. Open it with :meth:`open`.

    A few threads send the requests: httpx's synchronous transport takes less processor time than its
    asynchronous one, and does not load the event loop.

    Only workers start jobs, so a flow that saves a record cannot run here.

    :param settings: what to connect to
    :param transport: sends the requests; closed with the client
    :param refresh: reads the settings again, once, after the API key was refused
    :param clock: tells the time and lets it pass
    """

    def __init__(
        self,
        settings: ClientSettings,
        *,
        transport: httpx.BaseTransport,
        refresh: Callable[[], Awaitable[ClientSettings]] | None = None,
        clock: Clock = CLOCK,
    ) -> None:
        self._exchange = _Exchange(settings, clock)
        self._refresh = refresh
        self._clock = clock
        self._budget = RequestBudget(settings.requests_per_second)
        # One slot per thread, so that a request never takes from the budget and then waits for a thread.
        self._slots = asyncio.Semaphore(CONCURRENCY)
        # The holder of this lock sends next; the others follow in the order of arrival.
        self._turn = asyncio.Lock()
        self._answers = PollCache()
        self._refreshing = asyncio.Lock()
        self._threads = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="zilliz")
        self._transport = transport

    @classmethod
    async def open(cls, settings: ClientSettings, **arguments: Any) -> AsyncZillizClient:
        """Return a new client whose transport is made off the event loop."""
        transport = await asyncio.to_thread(_make_transport, settings, limits=_TRIGGERER_LIMITS)
        return cls(settings, transport=transport, **arguments)

    async def __aenter__(self) -> AsyncZillizClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._answers.aclose()
        # A thread cannot be interrupted, and must not lose its socket while it reads. The event loop does
        # not wait for that, so another thread does.
        threading.Thread(target=self._close, daemon=True).start()

    def _close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._transport.close()

    @property
    def settings(self) -> ClientSettings:
        return self._exchange.settings

    def use(self, settings: ClientSettings) -> None:
        """Go on with new settings."""
        if settings.requests_per_second != self.settings.requests_per_second:
            self._budget = RequestBudget(settings.requests_per_second)
        self._exchange = _Exchange(settings, self._clock)

    async def run(
        self,
        flow: Flow[T],
        *,
        note: Callable[[str], None] = log.info,
        warn: Callable[[str], None] | None = None,
    ) -> T:
        """
        Run a flow to its end.

        :param note: writes a line to the log
        :param warn: writes a line about trouble to the log; by default ``note`` does
        :return: what the flow returns; raises what it raises
        """

        async def take(step: Step) -> Any:
            match step:
                case Operation():
                    return await self.send(step)
                case Pause(seconds, text, is_trouble):
                    if text:
                        (warn if warn and is_trouble else note)(text)
                    if seconds > 0:
                        await self._clock.asleep(seconds)
                    return self._clock.time()
            raise TypeError("Only a worker starts jobs: this flow has something to save.")

        return await drive(flow, take)

    async def send(self, operation: Operation[T]) -> Reply[T]:
        """Send one operation, within the budget, or share an answer; raises :class:`ZillizError`."""
        if not operation.idempotent:
            raise TypeError(f"Only a worker starts jobs: a triggerer must not {operation}.")
        if operation.address:
            raise TypeError(f"Only a worker reads the data of clusters: a triggerer must not {operation}.")
        return await self._answers.get(operation, self._clock.time(), lambda: self._send(operation))

    async def _send(self, operation: Operation[T]) -> Reply[T]:
        refused = self._exchange
        try:
            return await self._send_once(operation)
        except ZillizAuthenticationError:
            if self._refresh is None:
                raise
            async with self._refreshing:
                if self._exchange is refused:
                    self.use(await self._refresh())
            return await self._send_once(operation)

    async def _send_once(self, operation: Operation[T]) -> Reply[T]:
        async with self._slots:
            async with self._turn:
                while delay := self._budget.take(self._clock.time()):
                    await self._clock.asleep(delay)
            try:
                return await asyncio.get_running_loop().run_in_executor(
                    self._threads, self._exchange.send, operation, self._transport
                )
            except ZillizThrottledError as error:
                self._budget.hold(self._clock.time() + (error.retry_after or 0.0))
                raise
