"""
Why Airflow did not find a connection.

Airflow asks its secrets backends one after the other and skips those that fail. In Airflow 3, the backend
that asks the API server does not even fail: it finds nothing. So Airflow says "isn't defined" both for a
connection that it could not read, which passes by itself, and for one that does not exist, which does not. To
tell them apart, this module asks the backends once more and looks at their failures:

===================  ================================================================================
Airflow              what fails in silence
===================  ================================================================================
2.11                 the secrets backend, the metadata database, the decryption of what it holds
3.0                  the secrets backend; a failure of the API server is an error of its own
later                the secrets backend, and the API server or the way to it
===================  ================================================================================

A failure inside the API server of Airflow 3 cannot be told apart: the server itself says that there is no
such connection.
"""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_zbackup.zilliz.errors import (
    ZillizConfigurationError,
    ZillizConnectionError,
    ZillizError,
)

#: An address in an error text may be the whole connection URI, with the key.
_ADDRESS = re.compile(r"\S*://\S*")


def cannot_read(conn_id: str, error: Exception, backend: Any = None) -> ZillizConnectionError:
    """
    Return the error for a connection that could not be read, which passes by itself.

    :param error: the cause; only the first line of its text is shown, without addresses
    :param backend: the backend that failed, where known
    """
    where = f"{type(backend).__name__}: " if backend is not None else ""
    text = _ADDRESS.sub("<address>", next(iter(str(error).splitlines()), ""))[:200]
    cause = f"{type(error).__name__}: {text}".rstrip(" .:")
    return ZillizConnectionError(
        f"Airflow connection {conn_id!r} cannot be read: {where}{cause}.", unprocessed=True
    )


def explain(conn_id: str) -> ZillizError:
    """
    Return why Airflow found no connection of that id. It blocks.

    :return: :class:`ZillizConfigurationError` if there is none or it is unusable, else
        :class:`ZillizConnectionError`
    """
    problems: list[ZillizError] = []
    try:
        backends = _backends()
    except Exception as error:
        return cannot_read(conn_id, error)
    for backend in backends:
        try:
            found = _ask(backend, conn_id)
        except NotImplementedError:
            continue  # It keeps no connections, only variables.
        except Exception as error:
            problems.append(_malformed(backend, conn_id) or cannot_read(conn_id, error, backend))
            continue
        if found:
            return _sealed(found, conn_id) or cannot_read(conn_id, LookupError("found only later"), backend)
    problems.sort(key=lambda problem: isinstance(problem, ZillizConfigurationError))
    if problems:
        return problems[0]
    return ZillizConfigurationError(
        f"Airflow connection {conn_id!r} is not defined. Make it under Admin, Connections, with the type "
        "Zilliz Cloud, or check zilliz_conn_id.",
        unprocessed=True,
    )


def _backends() -> list[Any]:
    load: Any
    try:
        from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded as load
    except ImportError:
        from airflow.configuration import ensure_secrets_loaded as load
    backends: list[Any] = load()
    return backends


def _ask(backend: Any, conn_id: str) -> Any:
    """Return the connection that a backend has for the id; raises if the backend fails."""
    if type(backend).__name__ != "ExecutionAPISecretsBackend":
        return backend.get_connection(conn_id=conn_id)
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse, GetConnection
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    answer: Any = SUPERVISOR_COMMS.send(GetConnection(conn_id=conn_id))
    if not isinstance(answer, ErrorResponse):
        return answer
    if answer.error == ErrorType.CONNECTION_NOT_FOUND:
        return None
    raise AirflowRuntimeError(answer)


def _malformed(backend: Any, conn_id: str) -> ZillizConfigurationError | None:
    """Return the error if the backend failed on a value that it had read."""
    try:
        value = backend.get_conn_value(conn_id)
    except Exception:
        return None
    if not value:
        return None
    try:
        backend.deserialize_connection(conn_id, value)
    except Exception as error:
        return ZillizConfigurationError(
            f"Airflow connection {conn_id!r} is malformed: {type(backend).__name__} holds no "
            f"connection URI or JSON that this Airflow can read ({type(error).__name__}).",
            unprocessed=True,
        )
    return None


def _sealed(connection: Any, conn_id: str) -> ZillizConfigurationError | None:
    """Return the error if the connection exists but its fields cannot be decrypted."""
    try:
        _ = connection.password, connection.extra
    except Exception as error:
        return ZillizConfigurationError(
            f"Airflow connection {conn_id!r} cannot be decrypted ({type(error).__name__}). "
            "Check Airflow's Fernet key, or save the connection again.",
            unprocessed=True,
        )
    return None
