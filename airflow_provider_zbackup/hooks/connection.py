"""Reads and checks an Airflow connection of type ``zilliz``. No error text shows a value."""

from __future__ import annotations

import difflib
import ipaddress
import json
import logging
import re
from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import SplitResult, quote, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from airflow_provider_zbackup.zilliz.errors import ZillizConfigurationError
from airflow_provider_zbackup.zilliz.settings import DEFAULT_BASE_URL, ClientSettings, is_loopback

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

log = logging.getLogger(__name__)

#: A name, an IPv4 address, or an IPv6 address, as urlsplit gives it.
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?|[0-9a-f:.]*:[0-9a-f:.]*")
DEFAULT_CONSOLE_URL = "https://cloud.zilliz.com"


def _refuse_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("should be a number")
    return value


def _split_codes(value: Any) -> Any:
    if isinstance(value, int):
        return [value]
    return value.replace(",", " ").split() if isinstance(value, str) else value


class _Extra(BaseModel):
    """The connection's extra fields. The UI's form saves empty ones as null."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    project_id: str | None = None
    organization_id: str | None = None
    console_url: str | None = None
    timeout: Annotated[float, BeforeValidator(_refuse_bool), Field(gt=0, le=3600)] = 30.0
    requests_per_second: Annotated[float, BeforeValidator(_refuse_bool), Field(ge=0.01, le=1000)] = 10.0
    conflict_codes: Annotated[
        frozenset[Annotated[int, BeforeValidator(_refuse_bool)]], BeforeValidator(_split_codes)
    ] = frozenset()
    allow_insecure_http: bool = False
    ca_bundle: str | None = None
    freshness_target: Annotated[float, BeforeValidator(_refuse_bool), Field(gt=0, le=24 * 366)] = 24.0
    price_per_gb_month: Annotated[float | None, BeforeValidator(_refuse_bool), Field(ge=0, le=1000)] = None


@cache
def _warn_of_unknown(conn_id: str, names: tuple[str, ...]) -> None:
    """Warn, once per process, of unknown extra fields: most are typing errors."""
    hints = []
    for name in names:
        # The form of Airflow 2.2 and before put a prefix, with "__", before each name.
        plain = name.lower().rpartition("__")[2]
        nearest = difflib.get_close_matches(plain, _Extra.model_fields, n=1)
        hints.append(f"{name[:50]!r}" + (f" (is {nearest[0]!r} meant?)" if nearest else ""))
    log.warning("Airflow connection %r: unknown extra fields are ignored: %s.", conn_id, ", ".join(hints))


class ZillizConnection:
    """
    An Airflow connection to Zilliz Cloud.

    :ivar settings: of its client
    :ivar freshness_target: how old the newest backup of a cluster may be on the page in the UI
    :ivar price_per_gb_month: what a GB (10^9 bytes) of backups costs per month, in any currency; ``None`` if
        not given
    :raises ZillizConfigurationError: if a field is unusable; the error names it
    """

    def __init__(self, connection: Connection, extra: dict[str, Any]) -> None:
        self._conn_id = connection.conn_id
        fields = self._read_extra(connection.extra, extra)
        self.settings = ClientSettings(
            api_key=self._check_api_key(connection.password, connection.login),
            base_url=self._check_base_url(connection, fields.allow_insecure_http),
            timeout=fields.timeout,
            requests_per_second=fields.requests_per_second,
            conflict_codes=fields.conflict_codes,
            ca_bundle=fields.ca_bundle,
            source=f"Airflow connection {self._conn_id!r}",
        )
        self.freshness_target = timedelta(hours=fields.freshness_target)
        self.price_per_gb_month = fields.price_per_gb_month
        self._project_id = fields.project_id
        self._organization_id = fields.organization_id
        self._console_url = self._check_url(
            "extra field 'console_url'", fields.console_url or DEFAULT_CONSOLE_URL
        )

    def console_url(self, cluster_id: str | None = None) -> str:
        """
        Return the page of a cluster, or of the project's clusters, in the web console.

        Without organization and project it is the console's start page: the API does not tell these ids.
        """
        if not (self._organization_id and self._project_id):
            return self._console_url
        parts = ["orgs", self._organization_id, "projects", self._project_id, "clusters"]
        if cluster_id:
            parts.append(cluster_id)
        return "/".join([self._console_url, *(quote(part, safe="") for part in parts)])

    @property
    def console_hint(self) -> str:
        """What the connection lacks for a link to the cluster, in words; empty if nothing."""
        fields = {"organization_id": self._organization_id, "project_id": self._project_id}
        missing = " and ".join(name for name, value in fields.items() if not value)
        return missing and f"for a link to the cluster, set {missing} of Airflow connection {self._conn_id!r}"

    def _read_extra(self, text: str | None, extra: Any) -> _Extra:
        try:
            # Airflow turns invalid JSON into an empty dict, so parse it here.
            is_object = isinstance(json.loads((text or "").strip() or "null"), dict | None)
        except ValueError:
            is_object = False
        if not is_object:
            raise self._error("extra", "is not a JSON object")
        if unknown := tuple(str(name) for name in extra or () if name not in _Extra.model_fields):
            _warn_of_unknown(self._conn_id or "", unknown)
        try:
            return _Extra.model_validate(
                {name: value for name, value in (extra or {}).items() if value is not None and value != ""}
            )
        except ValidationError as error:
            problem = error.errors(include_input=False, include_context=False)[0]
            raise self._error(f"extra field '{problem['loc'][0]}':", problem["msg"]) from None

    def _check_api_key(self, key: str | None, login: str | None) -> str:
        field = "API key (field 'password')"
        if not key and login:
            raise self._error(
                field,
                "is missing, but there is a login. If that is the key, move it to the password; a "
                "connection URI has it after a colon, as in zilliz://:KEY@",
            )
        if not key:
            raise self._error(field, "is missing")
        if any(character.isspace() for character in key):
            raise self._error(field, "has white space or a line break; paste the key alone")
        if not (key.isascii() and key.isprintable()):
            raise self._error(field, "has characters that no API key has")
        return key

    def _check_base_url(self, connection: Connection, allow_insecure_http: bool) -> str:
        host = (connection.host or DEFAULT_BASE_URL).strip()
        with suppress(ValueError):
            # Airflow removes the brackets of an IPv6 address in a connection URI.
            host = f"[{ipaddress.IPv6Address(host)}]"
        if "://" not in host:
            scheme = connection.schema if connection.schema in ("http", "https") else "https"
            host = f"{scheme}://{host}"
        url = urlsplit(self._check_url("host", host))
        if connection.port and ":" not in url.netloc.rpartition("]")[2]:
            if not 0 < connection.port < 65536:
                raise self._error("port", "is not a port")
            url = url._replace(netloc=f"{url.netloc}:{connection.port}")
        if url.scheme == "http" and not (allow_insecure_http or is_loopback(url.hostname)):
            raise self._error(
                "host",
                "is plain HTTP to another machine, which exposes the API key; use https, "
                "or set the extra field 'allow_insecure_http'",
            )
        path = url.path.rstrip("/")
        if path.lower().endswith("/v2"):
            path = path[: -len("/v2")].rstrip("/")
        return url._replace(path=path).geturl()

    def _check_url(self, field: str, value: str) -> str:
        value = value.strip().rstrip("/")
        try:
            url: SplitResult = urlsplit(value)
            (url.hostname or "").encode("idna")
            usable = (
                url.scheme in ("http", "https")
                and bool(_HOST.fullmatch(url.hostname or ""))
                and url.port != 0
                and "//" not in url.path
                and value.isascii()
                and value.isprintable()
                and " " not in value
            )
        except ValueError:
            usable = False
        if not usable:
            raise self._error(field, "is not a URL such as https://api.cloud.zilliz.com")
        if "@" in url.netloc or url.query or url.fragment:
            raise self._error(field, "must not have a user, a query or a fragment")
        return url.geturl()

    def _error(self, field: str, problem: str) -> ZillizConfigurationError:
        return ZillizConfigurationError(
            f"Airflow connection {self._conn_id!r}: {field} {problem}.", unprocessed=True
        )
