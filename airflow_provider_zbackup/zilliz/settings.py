"""Settings of a client."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from airflow_provider_zbackup.zilliz.errors import ZillizConfigurationError

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
    :param cluster_address: whether ``base_url`` is that of a cluster's data plane
    """

    api_key: str = field(repr=False)
    base_url: str = DEFAULT_BASE_URL
    timeout: float = 30.0
    requests_per_second: float = 10.0
    conflict_codes: frozenset[int] = frozenset()
    ca_bundle: str | None = None
    source: str = field(default="the Airflow connection", compare=False)
    cluster_address: bool = False

    @property
    def address(self) -> str:
        """Where ``base_url`` comes from, in words."""
        return "the address of the cluster" if self.cluster_address else f"the Base URL of {self.source}"

    @property
    def check_address(self) -> str:
        """What to check if nothing answers at ``base_url``, in words."""
        if self.cluster_address:
            return "whether this machine may reach the cluster: its allow list, firewalls, private endpoints"
        return f"{self.address}, and whether this machine may reach it"

    def for_cluster(self, address: str) -> ClientSettings:
        """
        Return the settings of a client of a cluster's data plane.

        :param address: the cluster's ``connectAddress``
        :raises ZillizConfigurationError: when the key must not be sent there: it goes only over HTTPS, or to
            this machine
        """
        try:
            url = urlsplit(address)
            is_safe = url.scheme == "https" or (url.scheme == "http" and is_loopback(url.hostname))
            is_plain = url.hostname and "@" not in url.netloc and not (url.query or url.fragment)
        except ValueError:
            is_safe = is_plain = False
        if not (is_safe and is_plain):
            raise ZillizConfigurationError(
                f"The API key is not sent to {address!r}, which Zilliz Cloud shows as the address of a "
                "cluster: the key goes only over HTTPS, or to this machine.",
                unprocessed=True,
            )
        return replace(self, base_url=address.rstrip("/"), cluster_address=True)

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
