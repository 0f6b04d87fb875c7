"""Settings of a client."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

DEFAULT_BASE_URL = "https://api.cloud.zilliz.com"


@dataclass(frozen=True)
class ClientSettings:
    """
    Settings of a client.

    :param base_url: without ``/v2`` and without a trailing slash
    :param timeout: longest silence of the server during one request, in seconds
    :param requests_per_second: limit of one client in the long run; the API allows about 20
    :param conflict_codes: codes that mean that another backup is in the way
    :param ca_bundle: path of a PEM file with the certificates to trust, instead of those of the environment
    :param source: where the settings come from, for error texts
    """

    api_key: str = field(repr=False)
    base_url: str = DEFAULT_BASE_URL
    timeout: float = 30.0
    requests_per_second: float = 10.0
    conflict_codes: frozenset[int] = frozenset()
    ca_bundle: str | None = None
    source: str = field(default="the Airflow connection", compare=False)

    @property
    def longest_exchange(self) -> float:
        """The longest time for one request and its answer, in seconds: a server may send it bit by bit."""
        return 2 * self.timeout


def is_loopback(host: str | None) -> bool:
    """Tell whether a host is this machine, so that requests to it stay off the network."""
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"
