"""Which hosts are reached directly and which through a proxy, and which certificates are trusted."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pytest_mock import MockerFixture

from airflow_provider_zbackup.zilliz.client import AsyncZillizClient, ZillizClient, ssl_context
from airflow_provider_zbackup.zilliz.errors import ZillizConfigurationError
from airflow_provider_zbackup.zilliz.proxies import proxy_for
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


@pytest.fixture(autouse=True)
def _no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def authority(folder: Path, name: str) -> str:
    """Make a certificate authority and return the path of its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return str(path)


def trusted(settings: ClientSettings | None = None) -> str:
    """Return who is trusted: the one authority, or that there are many."""
    certificates: list[Any] = ssl_context(settings).get_ca_certs()
    names = [dict(part[0] for part in certificate["subject"]) for certificate in certificates]
    return names[0]["commonName"] if len(names) == 1 else "the usual" if names else "nobody yet"


def test_the_certificates_are_those_of_the_connection_then_of_the_environment_then_the_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trusted() == "the usual"
    assert trusted(ClientSettings(KEY)) == "the usual"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority(tmp_path, "requests"))
    assert trusted(ClientSettings(KEY)) == "requests"
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path}/a:{tmp_path}/b")
    assert trusted(ClientSettings(KEY)) == "nobody yet"
    monkeypatch.setenv("SSL_CERT_FILE", authority(tmp_path, "openssl"))
    assert trusted(ClientSettings(KEY)) == "openssl"
    own = authority(tmp_path, "own")
    assert trusted(ClientSettings(KEY, ca_bundle=own)) == "own"
    assert trusted(ClientSettings(KEY)) == "openssl"
    monkeypatch.setenv("SSL_CERT_FILE", "")
    monkeypatch.delenv("SSL_CERT_DIR")
    assert trusted() == "requests"


def test_a_folder_of_certificates_is_read_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    assert trusted() == "nobody yet"


def refusal_of_both_clients(settings: ClientSettings) -> str:
    """Return why neither a worker nor a triggerer gets as far as sending anything."""

    async def open_one() -> None:
        await AsyncZillizClient.open(settings)

    texts = set()
    for make in (lambda: ZillizClient(settings), lambda: asyncio.run(open_one())):
        with pytest.raises(ZillizConfigurationError) as caught:
            make()
        assert caught.value.unprocessed
        texts.add(str(caught.value))
    (text,) = texts
    return text


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file or directory"), ("", "certificate"), ("no certificate", "certificate"),
     ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "")],
    ids=["missing", "empty", "text", "broken"],
)  # fmt: skip
def test_certificates_that_cannot_be_read_are_the_fault_of_who_named_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, reason: str
) -> None:
    path = tmp_path / "unmistakable.pem"
    if content is not None:
        path.write_text(content)
    text = refusal_of_both_clients(ClientSettings(KEY, ca_bundle=str(path), source="Airflow connection 'x'"))
    assert text.startswith("The certificate file cannot be used: ")
    assert reason in text
    assert text.endswith("Its path is in extra field 'ca_bundle' of Airflow connection 'x'.")
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        with monkeypatch.context() as environment:
            environment.setenv(name, str(path))
            text = refusal_of_both_clients(ClientSettings(KEY))
            assert text.endswith(f"Its path is in the environment variable {name}.")
    assert "unmistakable" not in text
    path.write_text(Path(authority(tmp_path, "mended")).read_text())
    assert trusted(ClientSettings(KEY, ca_bundle=str(path))) == "mended"


def test_a_path_that_no_file_can_have(tmp_path: Path) -> None:
    assert "null" in refusal_of_both_clients(ClientSettings(KEY, ca_bundle="a\0b"))


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str | None]:
    def proxy(url: str, **environment: str) -> str | None:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return proxy_for(url)

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
        (DEFAULT_BASE_URL, {"https_proxy": " http://p:1 "}, "http://p:1"),
        (DEFAULT_BASE_URL, {"https_proxy": "http://p:1", "no_proxy": "*"}, None),
        *(
            (url, {"all_proxy": "http://p:1", "NO_PROXY": no_proxy}, expected)
            for url, no_proxy, expected in [
                ("https://10.1.2.3", "10.0.0.0/8", None),
                ("https://10.1.2.3", " .example , 10.0.0.0/8 ", None),
                ("https://10.1.2.3", "10.1.2.3/8", None),
                ("https://11.1.2.3", "10.0.0.0/8", "http://p:1"),
                ("https://10.1.2.3", "10.1.2.3", None),
                ("https://10.1.2.3", "10.1.2.3:443", None),
                ("http://10.1.2.3", "10.1.2.3:80", None),
                ("https://10.1.2.3:8443", "10.0.0.0/8:8443", None),
                ("https://10.1.2.3", "10.0.0.0/8:8443", "http://p:1"),
                ("https://10.1.2.3", "10.1.2.3:8443", "http://p:1"),
                ("https://[2001:db8::1]", "2001:db8::/32", None),
                ("https://[2001:db8::1]", "2001:db8::1", None),
                ("https://[2001:db8::1]", "[2001:db8::1]", None),
                ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443", None),
                ("https://[2001:db8::1]:8443", "[2001:db8::1]:443", "http://p:1"),
                ("https://[2001:db9::1]", "2001:db8::/32,10.0.0.0/8", "http://p:1"),
                ("https://api.example", "api.example:443", None),
                ("https://api.example:8443", "example:8443", None),
                ("https://api.example:8443", ".example", None),
                ("https://api.example", "api.example:8443", "http://p:1"),
                ("https://api.example", "10.0.0.0/8", "http://p:1"),
                ("https://10.1.2.3", "10.0.0.0/99,,[,:", "http://p:1"),
            ]
        ),
    ],
)
def test_the_proxy_is_that_of_the_environment(
    proxy: Callable[..., str | None], url: str, environment: dict[str, str], expected: str | None
) -> None:
    assert proxy(url, **environment) == expected


PASSWORD = "12pass#word"


@pytest.mark.parametrize(
    "address",
    [
        f"http://user:{PASSWORD}@proxy.example:80",
        f"http://user:1234#{PASSWORD}@proxy.example",
        f"http://user:1234/{PASSWORD}@proxy.example",
        f"http://user:1234?{PASSWORD}",
        f"ftp://user:{PASSWORD[:6]}@proxy.example",
        "socks4://proxy.example:1080",
        "http://proxy.example:port",
        "http://proxy.example:99999",
        "http://proxy.example:0",
        "http://pro xy.example",
        "http://[::1",
        "http://",
        "http//proxy.example:3128",
        "http:/proxy.example:3128",
    ],
)
def test_a_proxy_that_is_none_is_the_fault_of_the_environment(
    proxy: Callable[..., str | None], address: str
) -> None:
    assert proxy("https://api.example", https_proxy=address)
    text = refusal_of_both_clients(ClientSettings(KEY))
    assert text.startswith("The proxy in the environment (https_proxy or all_proxy) is not a URL such")
    assert not any(part in text for part in ("pass", "word", "1234"))


def test_a_socks_proxy_needs_its_library(
    proxy: Callable[..., str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    proxy("https://api.example", all_proxy=f"socks5://user:{PASSWORD[:6]}@proxy.example:1080")
    text = refusal_of_both_clients(ClientSettings(KEY))
    assert text.startswith("A SOCKS proxy needs 'httpx[socks]' installed.")
    assert "pass" not in text


@pytest.mark.parametrize(
    ("address", "has_context"),
    [("http://user:pw@p:1", False), ("http://p:1/", False), ("https://p:1", True)],
)
def test_a_proxy_that_speaks_tls_is_trusted_by_the_same_certificates(
    proxy: Callable[..., str | None], mocker: MockerFixture, address: str, has_context: bool
) -> None:
    proxy("https://api.example", https_proxy=address)
    transport = mocker.spy(httpx, "HTTPTransport")
    ZillizClient(ClientSettings(KEY)).close()
    used = transport.call_args.kwargs["proxy"]
    assert used.url.host == "p"
    assert (used.ssl_context is ssl_context()) is has_context
