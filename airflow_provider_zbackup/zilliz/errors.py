"""
All errors of Zilliz Cloud, and how an answer is classified.

::

    ZillizError
    ├── ZillizPermanentError               the same call would fail again
    │   ├── ZillizConfigurationError       the connection or the environment is unusable
    │   ├── ZillizAuthenticationError      the API key is wrong
    │   ├── ZillizPermissionError          the API key may not do this
    │   ├── ZillizUnsupportedClusterError  this cluster's plan has no backups
    │   ├── ZillizBadRequestError          an argument is wrong
    │   ├── ZillizNotFoundError            no such cluster, backup, job or collection
    │   ├── ZillizDifferenceError          what was restored is not what it should be
    │   └── ZillizUncertainError           a call got no answer, and its result cannot be found
    ├── ZillizTransientError               passes by itself
    │   ├── ZillizConnectionError          no answer: the network, or a time-out
    │   ├── ZillizThrottledError           too many requests
    │   ├── ZillizServerError              the service is in trouble (HTTP 5xx)
    │   └── ZillizProtocolError            an answer that cannot be read
    ├── ZillizRefusedError                 declined, with a code that is a catch-all or is not documented
    ├── ZillizConflictError                another backup is in the way
    ├── ZillizJobFailedError               the job ended in failure
    │   └── ZillizJobCanceledError         somebody canceled the job in the console
    ├── ZillizLostError                    what was waited for is gone, or was never finished
    │   ├── ZillizBackupLostError          the backup
    │   └── ZillizClusterLostError         the cluster
    └── ZillizTimeoutError                 the deadline passed; the job may still be running
        └── ZillizNotFreshError            no backup is young enough

Codes are those of `Error Codes <https://docs.zilliz.com/reference/restful/error-codes-v2>`__ and the few
undocumented ones that official clients have recorded. Nothing is concluded from any other code.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, Self, TypeVar

E = TypeVar("E", bound="ZillizError")

#: Ids of what an error is about.
IDS = ("job_id", "backup_id", "cluster_id")
_FACTS = ("message", "operation", "code", "http_status", "request_id", "retry_after", "unprocessed")
_FIELDS = (*_FACTS, *IDS)


class ZillizError(Exception):
    """
    Base of all errors of Zilliz Cloud.

    :param message: what happened, the reason first
    :param operation: the request, such as ``create backup of cluster in01-x``
    :param code: ``code`` of the API's answer
    :param http_status: HTTP status of the answer
    :param request_id: the answer's ``requestid`` header, which Zilliz support asks for
    :param retry_after: seconds that the server asked to wait
    :param unprocessed: whether the server certainly did not carry out the request
    :param job_id: job that was waited for; this and the two below are for callbacks
    :param backup_id: backup that was waited for, or that is restored
    :param cluster_id: cluster that was waited for, or that the backup is of
    """

    #: Beginning of the message.
    reason = "Zilliz Cloud refused"
    #: What to do about it.
    hint = ""

    def __init__(
        self,
        message: str,
        *,
        operation: str | None = None,
        code: int | None = None,
        http_status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        unprocessed: bool = False,
        job_id: str | None = None,
        backup_id: str | None = None,
        cluster_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.operation = operation
        self.code = code
        self.http_status = http_status
        self.request_id = request_id
        self.retry_after = retry_after
        self.unprocessed = unprocessed
        self.job_id = job_id
        self.backup_id = backup_id
        self.cluster_id = cluster_id

    def __str__(self) -> str:
        facts = {"code": self.code, "HTTP": self.http_status, "requestid": self.request_id}
        known = [f"{name} {value}" for name, value in facts.items() if value is not None]
        text = f"{self.message} {self.operation}"
        ids = {"job": self.job_id, "backup": self.backup_id, "cluster": self.cluster_id}
        known += [f"{name} {value}" for name, value in ids.items() if value and value not in text]
        details = ", ".join([self.operation, *known] if self.operation else known)
        sentence = self.message.rstrip(".") + (f" ({details})." if details else ".")
        hint = _HINTS.get(self.code or 0, self.hint)
        return f"{sentence} {hint}" if hint else sentence

    def with_ids(self, ids: Mapping[str, str | None]) -> Self:
        """Return a copy, since several waits may share an error, with the ids that it lacks."""
        other = copy(self)
        vars(other).update({name: ids.get(name) for name in IDS if getattr(self, name) is None})
        return other

    def with_advice(self, sentence: str) -> Self:
        """Return a copy whose message also says what may be the matter, and what to do."""
        other = copy(self)
        other.message = f"{self.message.rstrip('.')}. {sentence}"
        return other

    def as_kind(self, kind: type[E]) -> E:
        """Return this error as another class, where more is known than its code says."""
        return kind(**{name: getattr(self, name) for name in _FIELDS})

    def to_dict(self) -> dict[str, Any]:
        """Return the error as plain JSON, for the event of a trigger."""
        return {"error": type(self).__name__, **{name: getattr(self, name) for name in _FIELDS}}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> ZillizError:
        """Return the error that :meth:`to_dict` wrote; one of an unknown class is a plain ZillizError."""
        kind = globals().get(str(data.get("error")))
        if not (isinstance(kind, type) and issubclass(kind, ZillizError)):
            kind = ZillizError
        return kind(**{"message": "unknown error"} | {name: data[name] for name in _FIELDS if name in data})


class ZillizPermanentError(ZillizError):
    """The same call would fail again."""


class ZillizConfigurationError(ZillizPermanentError):
    """The Airflow connection, or the environment, lacks something or has a value that cannot be used."""


class ZillizAuthenticationError(ZillizPermanentError):
    """The API key is missing, wrong or revoked."""

    reason = "Zilliz Cloud does not accept the API key"
    hint = "Check the field 'API key' of the Airflow connection."


class ZillizPermissionError(ZillizPermanentError):
    """The API key may not do this."""

    reason = "Not permitted"
    hint = (
        "Backups need a key of a project admin, an organization owner or a custom role "
        "with backup privileges, for the right organization and cluster."
    )


class ZillizUnsupportedClusterError(ZillizPermanentError):
    """The cluster's plan does not have this feature."""

    reason = "Not available to this cluster"
    hint = "Backup and restore are available only to Dedicated clusters, not to Free and Serverless ones."


class ZillizBadRequestError(ZillizPermanentError):
    """An argument of the call is wrong."""

    reason = "Bad request"


class ZillizNotFoundError(ZillizPermanentError):
    """There is no such cluster, backup, job, project or collection, or the key cannot see it."""

    reason = "Not found"


class ZillizDifferenceError(ZillizPermanentError):
    """What was restored is not what it should be."""

    hint = "The log has a table of them, and so has the XCom 'differences'."


class ZillizUncertainError(ZillizPermanentError):
    """A call got no usable answer, and only the user can find out whether it started the job."""


class ZillizTransientError(ZillizError):
    """Passes by itself."""


class ZillizConnectionError(ZillizTransientError):
    """No answer came: the network failed, or the answer took too long."""


class ZillizThrottledError(ZillizTransientError):
    """Zilliz Cloud allows about 20 requests per second per user and endpoint."""

    reason = "Too many requests"


class ZillizServerError(ZillizTransientError):
    """The service, or a gateway before it, is in trouble."""

    reason = "Zilliz Cloud server error"


class ZillizProtocolError(ZillizTransientError):
    """The answer does not match the API's documents."""


class ZillizRefusedError(ZillizError):
    """The server declined with a catch-all code or an undocumented one."""


class ZillizConflictError(ZillizError):
    """Another backup is in the way."""

    #: Whether the cause is a guess: only backups of other clusters were found.
    is_guess = False
    reason = "Another job is in the way"


class ZillizJobFailedError(ZillizError):
    """The job ended in failure; its reason is in the message."""


class ZillizJobCanceledError(ZillizJobFailedError):
    """Somebody canceled the job, which only the web console can do."""


class ZillizLostError(ZillizError):
    """The backup or cluster disappeared, or never became available although its job ended well."""


class ZillizBackupLostError(ZillizLostError):
    """The backup disappeared."""


class ZillizClusterLostError(ZillizLostError):
    """The cluster disappeared."""


class ZillizTimeoutError(ZillizError):
    """The deadline passed. What was waited for may still be going on."""

    hint = "It may still be running in Zilliz Cloud."


class ZillizNotFreshError(ZillizTimeoutError):
    """No backup is young enough."""

    hint = "Make a backup, and find out why none was made in time."


_LIST_CLUSTERS = (
    "A cluster's id looks like in01-xxxxxxxxxxxxxxx and is not its name. "
    "ZillizHook().list_clusters() shows the clusters that the key can see."
)
_HINTS = {
    96001: "ZillizHook().list_regions() shows the regions and their ids.",
    96018: _LIST_CLUSTERS,
    96036: _LIST_CLUSTERS,
}
_KINDS: dict[frozenset[int], type[ZillizError]] = {
    frozenset({21119, 80001, 80002, 1800}): ZillizAuthenticationError,
    frozenset({96012, 96013, 96014, 96015, 96016, 96027}): ZillizPermissionError,
    frozenset({96021, 96022, 96028}): ZillizUnsupportedClusterError,
    frozenset({404, 96018, 96025, 96026, 96036}): ZillizNotFoundError,
    frozenset(range(96000, 96038)) | {40013}: ZillizBadRequestError,
}


def classify(http_status: int, code: int) -> type[ZillizError]:
    """
    Return the class of a failed answer.

    ================================================  ==========================================
    the answer has                                    it is
    ================================================  ==========================================
    a code that is known                              what the code says
    a code that is an HTTP status (409, 429, 5xx)     what the status says
    any other code, and HTTP 401, 409 or 429          what the status says: it has one meaning only
    any other code, and any other status              :class:`ZillizRefusedError`
    no code, and HTTP 401, 408, 409, 429 or 5xx       what the status says
    no code, and HTTP 400, 405, 413, 415 or 422       :class:`ZillizBadRequestError`
    no code, and any other status                     :class:`ZillizRefusedError`
    ================================================  ==========================================

    Most failures come with HTTP 200. HTTP 403 and 404 without a code come from a gateway, so they say nothing
    about clusters or backups. With a code that is not known, HTTP 5xx need not mean trouble: it may be how
    the API says that something is in the way or does not exist.

    :param http_status: HTTP status of the answer
    :param code: the answer's ``code``, 0 where it has none
    """
    for codes, kind in _KINDS.items():
        if code in codes:
            return kind
    statuses = (code, http_status)
    if 401 in statuses:
        return ZillizAuthenticationError
    if 429 in statuses:
        return ZillizThrottledError
    if 409 in statuses:
        return ZillizConflictError
    status = code or http_status
    if status == 408 or 500 <= status <= 599:
        return ZillizServerError
    if not code and http_status in (400, 405, 413, 415, 422):
        return ZillizBadRequestError
    return ZillizRefusedError


_DATA_KINDS: dict[frozenset[int], type[ZillizError]] = {
    frozenset({1800}): ZillizAuthenticationError,
    frozenset({100, 700, 800}): ZillizNotFoundError,
    frozenset({1100, 1801, 1802}): ZillizBadRequestError,
    frozenset({1807, 1808}): ZillizThrottledError,
}


def classify_data(http_status: int, code: int) -> type[ZillizError]:
    """
    Return the class of a failed answer of a cluster's data plane.

    Its codes are those of Milvus. Some of them look like HTTP statuses and mean something else, so a code
    that is not known is never read as a status.

    :param http_status: HTTP status of the answer
    :param code: the answer's ``code``, 0 where it has none
    """
    for codes, kind in _DATA_KINDS.items():
        if code in codes:
            return kind
    if http_status == 403:
        return ZillizPermissionError
    return ZillizRefusedError if code and http_status == 200 else classify(http_status, 0)
