"""Which connections there are, and which of them a user may read. All of this blocks."""

from __future__ import annotations

import json
import os
from typing import Any

from airflow_provider_zbackup.hooks.zilliz import ZillizHook

_PREFIX = "AIRFLOW_CONN_"
#: What stands in a variable between the name of a team and the id of its connection.
_OF_A_TEAM = "___"
#: Ids of connections in secrets backends, which cannot list them; separated by commas.
_OPTION = ("zilliz", "connections")


def known_connections() -> list[str]:
    """
    Return the ids of all connections of type ``zilliz``.

    They come from Airflow's database, from the environment and, since secrets backends cannot list what they
    hold, from the option ``[zilliz] connections``. Those of a team are left out: only its tasks can use them.
    """
    from airflow.configuration import conf

    named = conf.get(*_OPTION, fallback="").split(",")
    return sorted({*_stored(), *_from_environment(), *filter(None, (name.strip() for name in named))})


def _stored() -> list[str]:
    from airflow.models import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    ours = select(Connection.conn_id).where(Connection.conn_type == ZillizHook.conn_type)
    for team in ("team_name", "team_id"):  # Airflow 3.1 knows only the latter, Airflow 2.11 neither.
        if hasattr(Connection, team):
            ours = ours.where(getattr(Connection, team).is_(None))
    with create_session() as session:
        return list(session.scalars(ours))


def _from_environment() -> list[str]:
    return [
        name.removeprefix(_PREFIX).lower()
        for name, value in os.environ.items()
        if name.startswith(_PREFIX) and _OF_A_TEAM not in name and _is_ours(value)
    ]


def _is_ours(value: str) -> bool:
    """Tell whether a connection, as a URI or as JSON, has our type."""
    if not value.lstrip().startswith("{"):
        return value.partition(":")[0] == ZillizHook.conn_type
    try:
        return bool(json.loads(value).get("conn_type") == ZillizHook.conn_type)
    except ValueError:
        return False


def may_read(user: Any, conn_id: str) -> bool:
    """Tell whether a user may read a connection, as Airflow's auth manager decides."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails

    details = ConnectionDetails(conn_id=conn_id)
    return bool(get_auth_manager().is_authorized_connection(method="GET", details=details, user=user))
