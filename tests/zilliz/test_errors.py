from __future__ import annotations

import json
import pickle
import re
from typing import Any

import pytest

from airflow_provider_zbackup.zilliz import errors
from airflow_provider_zbackup.zilliz.errors import (
    ZillizAuthenticationError,
    ZillizBadRequestError,
    ZillizConflictError,
    ZillizError,
    ZillizNotFoundError,
    ZillizPermissionError,
    ZillizRefusedError,
    ZillizServerError,
    ZillizThrottledError,
    ZillizTimeoutError,
    ZillizUnsupportedClusterError,
    classify,
)


def subclasses(kind: type[ZillizError]) -> list[type[ZillizError]]:
    """Return a class and all below it, in the order of their definition."""
    return [kind, *(below for child in kind.__subclasses__() for below in subclasses(child))]


CLASSES = subclasses(ZillizError)


def drawn(kind: type[ZillizError], indent: str = "") -> list[str]:
    """Draw a class and all below it as a tree."""
    lines = [kind.__name__]
    for child in (children := kind.__subclasses__()):
        last = child is children[-1]
        first, *rest = drawn(child)
        lines.append(("└── " if last else "├── ") + first)
        lines += [("    " if last else "│   ") + line for line in rest]
    return [indent + line for line in lines]


def test_the_tree_in_the_documentation_is_the_tree_of_the_classes() -> None:
    lines = (errors.__doc__ or "").splitlines()
    tree = [re.split(r"(?<=Error)\s", line)[0] for line in lines if re.match(r" {4}\S.*Error\b|.*── ", line)]
    assert tree == drawn(ZillizError, indent="    ")


UNKNOWN = 123456
CODES: list[tuple[type[ZillizError], list[int]]] = [
    (ZillizAuthenticationError, [21119, 80001, 80002, 1800]),
    (ZillizPermissionError, [96012, 96013, 96014, 96015, 96016, 96027]),
    (ZillizUnsupportedClusterError, [96021, 96022, 96028]),
    (ZillizNotFoundError, [404, 96018, 96025, 96026, 96036]),
    (
        ZillizBadRequestError,
        [
            *range(96000, 96012),
            96017,
            96019,
            96020,
            96023,
            96024,
            *range(96029, 96036),
            96037,
            40013,
        ],
    ),
    (ZillizThrottledError, [429]),
    (ZillizServerError, [408, *range(500, 600)]),
    (ZillizRefusedError, [96038, 96039, 96040, 63104, 95999, 96041, 407, 499, 600, UNKNOWN, -1]),
]


@pytest.mark.parametrize(
    ("code", "kind"), [(code, kind) for kind, codes in CODES for code in codes], ids=lambda value: str(value)
)
def test_a_code_under_http_200(code: int, kind: type[ZillizError]) -> None:
    assert classify(200, code) is kind


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, 0, ZillizAuthenticationError),
        (401, 96029, ZillizBadRequestError),
        (401, 21119, ZillizAuthenticationError),
        (403, 0, ZillizRefusedError),
        (403, UNKNOWN, ZillizRefusedError),
        *((status, 96038, ZillizRefusedError) for status in (400, 403, 405, 413, 415, 422)),
        (200, 409, ZillizConflictError),
        *((status, UNKNOWN, ZillizRefusedError) for status in (400, 405, 408, 422, 500, 502, 503)),
        (401, UNKNOWN, ZillizAuthenticationError),
        (403, 21119, ZillizAuthenticationError),
        (404, 0, ZillizRefusedError),
        (404, UNKNOWN, ZillizRefusedError),
        (404, 96029, ZillizBadRequestError),
        (400, 96028, ZillizUnsupportedClusterError),
        (500, 96018, ZillizNotFoundError),
        (500, 96029, ZillizBadRequestError),
        (429, 0, ZillizThrottledError),
        (429, UNKNOWN, ZillizThrottledError),
        (503, 429, ZillizThrottledError),
        (409, 0, ZillizConflictError),
        (409, UNKNOWN, ZillizConflictError),
        *((status, 0, ZillizServerError) for status in (408, 500, 502, 503, 504, 599)),
        (502, 96038, ZillizRefusedError),
        (400, 503, ZillizServerError),
        (401, 503, ZillizAuthenticationError),
        (429, 503, ZillizThrottledError),
        *((status, 0, ZillizBadRequestError) for status in (400, 405, 413, 415, 422)),
        (418, 0, ZillizRefusedError),
    ],
)
def test_http_status_and_code_together(status: int, code: int, kind: type[ZillizError]) -> None:
    assert classify(status, code) is kind


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "It broke."),
        ({"code": 0}, "It broke (code 0)."),
        (
            {"code": 96038, "http_status": 200, "request_id": "r1"},
            "It broke (code 96038, HTTP 200, requestid r1).",
        ),
        ({"retry_after": 3.0, "unprocessed": True}, "It broke."),
    ],
)
def test_text(facts: dict[str, Any], text: str) -> None:
    assert str(ZillizError("It broke.", **facts)) == text


def test_the_hint_is_the_end_of_the_text() -> None:
    text = str(ZillizAuthenticationError("No.", http_status=401))
    assert text == "No (HTTP 401). Check the field 'API key' of the Airflow connection."


def test_a_cluster_that_is_not_found_comes_with_the_way_to_the_right_id() -> None:
    error = ZillizNotFoundError("Not found: No cluster.", operation="create backup of cluster c", code=96018)
    assert str(error) == (
        "Not found: No cluster (create backup of cluster c, code 96018). "
        "A cluster's id looks like in01-xxxxxxxxxxxxxxx and is not its name. "
        "ZillizHook().list_clusters() shows the clusters that the key can see."
    )


def test_a_region_that_is_unknown_comes_with_the_way_to_the_right_id() -> None:
    assert str(ZillizBadRequestError("Bad request: Invalid RegionId.", code=96001)) == (
        "Bad request: Invalid RegionId (code 96001). "
        "ZillizHook().list_regions() shows the regions and their ids."
    )


@pytest.mark.parametrize(
    ("message", "operation", "text"),
    [
        ("It failed.", None, "It failed (job job-1, backup backup-1, cluster c-1)."),
        ("Job job-1 failed.", None, "Job job-1 failed (backup backup-1, cluster c-1)."),
        ("It failed.", "describe job job-1", "It failed (describe job job-1, backup backup-1, cluster c-1)."),
    ],
)
def test_ids_are_told_unless_the_text_has_them(message: str, operation: str | None, text: str) -> None:
    error = ZillizError(message, operation=operation)
    assert str(error.with_ids({"job_id": "job-1", "backup_id": "backup-1", "cluster_id": "c-1"})) == text


def test_ids_that_are_known_stay_and_the_error_itself_is_not_changed() -> None:
    error = ZillizTimeoutError("Gave up.", job_id="job-1")
    other = error.with_ids({"job_id": "job-2", "backup_id": "backup-2", "result": "x"})
    assert type(other) is ZillizTimeoutError
    assert (other.job_id, other.backup_id, other.cluster_id) == ("job-1", "backup-2", None)
    assert error.backup_id is None


def test_a_time_out_says_that_the_work_goes_on() -> None:
    assert str(ZillizTimeoutError("Gave up.")) == "Gave up. It may still be running in Zilliz Cloud."


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ZillizError("Down."), "Down."),
        (ZillizError("Down"), "Down."),
        (ZillizError("Down.", http_status=503), "Down (HTTP 503)."),
        (ZillizError("Down.", operation="list backups"), "Down (list backups)."),
        (ZillizTimeoutError("Gave up."), "Gave up. It may still be running in Zilliz Cloud."),
    ],
)
def test_the_text_is_sentences_which_others_can_follow(error: ZillizError, sentence: str) -> None:
    assert str(error) == sentence


FACTS: dict[str, Any] = {
    "message": "Größe?",
    "operation": "list backups",
    "code": 96038,
    "http_status": 200,
    "request_id": "r1",
    "retry_after": 2.5,
    "unprocessed": True,
    "job_id": "job-1",
    "backup_id": "backup-1",
    "cluster_id": "in01-1",
}


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("facts", [FACTS, {"message": "No."}], ids=["all facts", "a message alone"])
def test_errors_travel(kind: type[ZillizError], facts: dict[str, Any]) -> None:
    error = kind(**facts)
    as_event = ZillizError.from_dict(json.loads(json.dumps(error.to_dict())))
    as_pickle = pickle.loads(pickle.dumps(error))
    for copy in (as_event, as_pickle):
        assert type(copy) is kind
        assert vars(copy) == vars(error)
        assert str(copy) == str(error)


def test_an_event_has_the_known_facts_and_nothing_else() -> None:
    error = ZillizServerError(**FACTS)
    error.add_note("Of no concern to others.")
    error.retry_at = "never"  # type: ignore[attr-defined]
    assert error.to_dict() == {"error": "ZillizServerError"} | FACTS


@pytest.mark.parametrize(
    "name", ["ZillizFutureError", "Any", "classify", "__doc__", "Mapping", "", None, 1, ["ZillizError"]]
)
def test_an_error_of_an_unknown_class_is_a_plain_one(name: Any) -> None:
    error = ZillizError.from_dict({"error": name, "message": "No."})
    assert (type(error), error.message) == (ZillizError, "No.")


@pytest.mark.parametrize(
    ("event", "kind", "text"),
    [
        ({}, ZillizError, "unknown error."),
        ({"error": "ZillizServerError"}, ZillizServerError, "unknown error."),
        ({"error": "ZillizServerError", "message": "No.", "cause": {}}, ZillizServerError, "No."),
        ({"self": 1, "args": [2], "message": "No.", "code": 3}, ZillizError, "No (code 3)."),
    ],
    ids=["nothing", "a class alone", "a field of the future", "fields of a hostile name"],
)
def test_any_event_of_an_error_can_be_read(event: Any, kind: type[ZillizError], text: str) -> None:
    error = ZillizError.from_dict(event)
    assert (type(error), str(error)) == (kind, text)


def test_reading_an_event_does_not_change_it() -> None:
    event = ZillizError("No.").to_dict()
    ZillizError.from_dict(event)
    assert event["error"] == "ZillizError"
