from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_zbackup.emulator import ControlPlane, RunningEmulator, seed, serve
from airflow_provider_zbackup.emulator.api import CONTROL_OPERATIONS, Operation
from tests.clock import VirtualClock
from tests.emulator.api import Api

CLUSTER = seed.DEDICATED_CLUSTER_ID


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": seed.API_KEY},
        {"Authorization": f"Basic {seed.API_KEY}"},
    ],
)
def test_a_wrong_key_is_http_401(visitor: httpx.Client, headers: dict[str, Any]) -> None:
    response = visitor.get("/v2/projects", headers=headers)

    assert (response.status_code, response.json()) == (
        401,
        {"code": 21119, "message": "The apikey is illegal"},
    )
    assert response.headers["requestid"]


def test_every_operation_wants_the_key(visitor: httpx.Client) -> None:
    for operation in CONTROL_OPERATIONS:
        path = operation.path.format(cluster_id="c", backup_id="b", job_id="j", project_id="p")
        response = visitor.request(operation.method, "/v2" + path)
        assert response.json()["code"] == 21119, operation


def test_every_answer_has_its_own_requestid(visitor: httpx.Client) -> None:
    paths = ["/v2/projects", "/v2/projects", "/v2/nowhere", "/nowhere", "/_emulator/state", "/"]
    ids = {visitor.get(path).headers["requestid"] for path in paths}

    assert len(ids) == len(paths)


def test_answers_are_dated_by_the_clock_of_the_control_plane(api: Api, clock: VirtualClock) -> None:
    dates = []
    for _ in range(2):
        dates.append(api.client.get("/v2/projects").headers.get_list("date"))
        clock.sleep(3600)

    assert dates == [["Mon, 02 Mar 2026 10:00:00 GMT"], ["Mon, 02 Mar 2026 11:00:00 GMT"]]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/nowhere", 404),
        ("GET", "/v2/projects/", 404),
        ("GET", "/v1/clusters", 404),
        ("PUT", "/v2/backups", 405),
    ],
)
def test_unknown_paths_and_methods(api: Api, method: str, path: str, status: int) -> None:
    response = api.client.request(method, path)

    assert (response.status_code, response.json()["code"]) == (status, status)


@pytest.mark.parametrize("content", [b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_http_400(api: Api, content: Any) -> None:
    response = api.client.post(f"/v2/clusters/{CLUSTER}/backups/create", content=content)

    assert (response.status_code, response.json()["code"]) == (400, 400)


def test_no_body_is_an_empty_object(api: Api) -> None:
    assert api.error("POST", f"/clusters/{CLUSTER}/backups/create")[0] == 96029


def test_a_body_on_a_get_is_ignored(api: Api) -> None:
    assert api.data("GET", "/projects", content=b"{}")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
field_names = st.sampled_from(
    [
        "backupType",
        "dbCollections",
        "crossRegionCopies",
        "enabled",
        "frequency",
        "startTime",
        "retentionDays",
        "projectId",
        "clusterName",
        "cuSize",
        "collectionStatus",
        "destClusterId",
        "integrationId",
    ]
)
likely_values = st.sampled_from(
    [True, "COLLECTION", [{}], [{"collectionNames": [""]}], [{"collections": [{}]}], "1", "02:00-04:00", 7]
)
bodies = st.dictionaries(field_names, likely_values | json_values)
ids = st.sampled_from([CLUSTER, seed.FREE_CLUSTER_ID, "in01-x", "\N{SNOWMAN}", "%2F", "a b"])


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(operation=st.sampled_from(CONTROL_OPERATIONS), cluster_id=ids, body=bodies)
def test_no_request_breaks_the_server(
    api: Api, control_plane: ControlPlane, operation: Operation, cluster_id: str, body: dict[str, Any]
) -> None:
    backup_id = next((backup.backup_id for backup in control_plane.backups), "backup")
    path = operation.path.format(
        cluster_id=cluster_id, backup_id=backup_id, job_id=cluster_id, project_id=cluster_id
    )

    response = api.client.request(operation.method, "/v2" + path, json=body)

    assert response.status_code in (200, 404)
    assert isinstance(response.json()["code"], int)


def test_the_connection_leads_to_the_emulator() -> None:
    with serve(ControlPlane(api_key="other-key")) as emulator:
        assert emulator.connection == {
            "conn_type": "zilliz",
            "host": emulator.url,
            "password": "other-key",
            "extra": {
                "organization_id": seed.ORGANIZATION_ID,
                "project_id": seed.PROJECT_ID,
                "console_url": emulator.url,
            },
        }


def test_two_emulators_are_independent(new_client: Callable[..., httpx.Client]) -> None:
    with serve() as first, serve() as second:
        first.control_plane.reset()
        second.control_plane.set_cluster_status(CLUSTER, "DELETED")

        counts = [
            new_client(headers={"Authorization": f"Bearer {seed.API_KEY}"})
            .get(f"{each.url}/v2/clusters")
            .json()
            for each in (first, second)
        ]

    assert [count["data"]["count"] for count in counts] == [4, 3]


def test_it_stops_under_a_hanging_request_and_leaves_the_port(
    control_plane: ControlPlane, new_client: Callable[..., httpx.Client], caplog: pytest.LogCaptureFixture
) -> None:
    outcome = []
    with serve(control_plane) as emulator:
        control_plane.faults.add("list_projects", delay=600)

        def ask() -> None:
            try:
                new_client().get(f"{emulator.url}/v2/projects", timeout=60)
            except httpx.TransportError as error:
                outcome.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        while not control_plane.requests:
            time.sleep(0.001)
    asking.join(timeout=30)

    assert len(outcome) == 1
    assert not isinstance(outcome[0], httpx.TimeoutException)
    assert caplog.records == []
    host, port = emulator.url.removeprefix("http://").split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


def test_a_taken_port_is_said_at_once(emulator: RunningEmulator) -> None:
    port = int(emulator.url.rsplit(":", 1)[1])

    with pytest.raises(OSError, match="in use"), serve(port=port):
        raise AssertionError("unreachable")


def test_a_missing_certificate_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"), serve(ssl_certfile=str(tmp_path / "certificate.pem")):
        raise AssertionError("unreachable")
