"""Which proxy the environment asks for."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from airflow_provider_zbackup.zilliz.settings import is_loopback


def proxy_for(base_url: str) -> str | None:
    """Return the proxy that the environment asks for."""
    url = urlsplit(base_url)
    host = url.hostname or ""
    if is_loopback(host):
        return None
    port = url.port or (443 if url.scheme == "https" else 80)
    proxies = getproxies()
    if proxy_bypass(host) or proxy_bypass(f"{host}:{port}"):
        return None
    if any(_is_in(host, port, entry.strip()) for entry in proxies.get("no", "").split(",")):
        return None
    proxy = (proxies.get(url.scheme) or proxies.get("all") or "").strip()
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_in(host: str, port: int, entry: str) -> bool:
    """Tell whether an address is in an entry of ``NO_PROXY``: an address or network, perhaps with a port."""
    network, given_port = entry, ""
    if entry.startswith("["):
        network, _, given_port = entry[1:].partition("]")
    elif entry.count(":") == 1:
        network, _, given_port = entry.partition(":")
    try:
        is_inside = ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
    return is_inside and given_port.lstrip(":") in ("", str(port))
