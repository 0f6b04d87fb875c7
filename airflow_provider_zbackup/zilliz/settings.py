"""What a client needs to know."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

DEFAULT_BASE_URL = "https://api.cloud.zilliz.com"


@dataclass(frozen=True)
class ClientSettings:
    """
    What a client needs to know.

    :param api_key: secret
    :param base_url: without ``/v2`` and without a trailing slash
    :param timeout: longest silence of the server during one request, in seconds
    :param requests_per_second: what one client sends at most in the long run; the API allows about 20
    :param conflict_codes: codes by which the server says that another backup is in the way
    :param ca_bundle: path of a PEM file with the certificates to trust, instead of those of the environment
    :param source: what the settings are of, for the texts of errors
    """

    api_key: str = field(repr=False)
    base_url: str = DEFAULT_BASE_URL
    timeout: float = 30.0
    requests_per_second: float = 10.0
    conflict_codes: frozenset[int] = frozenset()
    ca_bundle: str | None = None
    source: str = field(default="the Airflow connection", compare=False)


def is_loopback(host: str | None) -> bool:
    """Tell whether a host is this machine, so that nothing sent to it is seen on a network."""
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"
