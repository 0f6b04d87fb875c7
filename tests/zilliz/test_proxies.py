"""Which hosts are reached directly, and which through a proxy."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from pytest_mock import MockerFixture

from airflow_provider_zbackup.zilliz.client import ZillizClient, ssl_context
from airflow_provider_zbackup.zilliz.settings import DEFAULT_BASE_URL, ClientSettings, is_loopback

KEY = "key-that-nobody-may-see"


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
        ("", False),
        (None, False),
    ],
)
def test_loopback(host: str | None, is_one: bool) -> None:
    assert is_loopback(host) is is_one


def test_the_key_is_in_no_representation() -> None:
    assert KEY not in repr(ClientSettings(KEY))


def test_one_ssl_context_is_enough() -> None:
    assert ssl_context() is ssl_context()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture) -> Callable[..., str | None]:
    def proxy(url: str, **environment: str) -> str | None:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        transport = mocker.patch.object(httpx, "HTTPTransport", autospec=True)
        with ZillizClient(ClientSettings(KEY, base_url=url)):
            chosen: str | None = transport.call_args.kwargs["proxy"]
        return chosen

    return proxy


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        (DEFAULT_BASE_URL, {}, None),
        (DEFAULT_BASE_URL, {"https_proxy": "http://p:1"}, "http://p:1"),
        (DEFAULT_BASE_URL, {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        (DEFAULT_BASE_URL, {"all_proxy": "http://p:2"}, "http://p:2"),
        (DEFAULT_BASE_URL, {"http_proxy": "http://p:1"}, None),
        (DEFAULT_BASE_URL, {"https_proxy": "http://p:1", "no_proxy": ".zilliz.com"}, None),
        (DEFAULT_BASE_URL, {"https_proxy": "p:1"}, "http://p:1"),
        (DEFAULT_BASE_URL, {"all_proxy": "p.example:2"}, "http://p.example:2"),
        (DEFAULT_BASE_URL, {"https_proxy": "socks5://p:3"}, "socks5://p:3"),
        ("http://127.0.0.1:80", {"http_proxy": "http://p:1"}, None),
        ("http://localhost", {"all_proxy": "http://p:1"}, None),
        ("http://[::1]:80", {"all_proxy": "http://p:1"}, None),
    ],
)
def test_the_proxy_is_that_of_the_environment(
    proxy: Callable[..., str | None], url: str, environment: dict[str, str], expected: str | None
) -> None:
    assert proxy(url, **environment) == expected
