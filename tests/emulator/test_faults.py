from __future__ import annotations

import json
import socket
import time
from typing import Any

import httpx
import pytest

from airflow_provider_zbackup.emulator import ControlPlane, FaultRule, RunningEmulator, seed
from airflow_provider_zbackup.emulator.app import GARBAGE
from tests.clock import VirtualClock
from tests.emulator.api import Api

CLUSTER = seed.DEDICATED_CLUSTER_ID
CREATE = f"/v2/clusters/{CLUSTER}/backups/create"


def create(api: Api) -> httpx.Response:
    return api.client.post(CREATE, json={"backupType": "CLUSTER"})


def test_a_status_instead_of_the_work(api: Api, control_plane: ControlPlane) -> None:
    control_plane.faults.add(
        "create_backup", times=1, status=503, headers={"Retry-After": "2"}, body={"oh": "no"}
    )

    response = create(api)

    assert (response.status_code, response.json()) == (503, {"oh": "no"})
    assert response.headers["Retry-After"] == "2"
    assert response.headers["requestid"]
    assert not control_plane.backups
    assert create(api).json()["code"] == 0


def test_a_status_after_the_work(api: Api, control_plane: ControlPlane) -> None:
    control_plane.faults.add("create_backup", status=504, body="<html>Gateway Time-out</html>", after=True)

    response = create(api)

    assert (response.status_code, response.text) == (504, "<html>Gateway Time-out</html>")
    assert response.headers["content-type"].startswith("text/html")
    assert len(control_plane.backups) == 1


def test_a_status_without_a_body_says_its_name(api: Api, control_plane: ControlPlane) -> None:
    control_plane.faults.add("list_backups", status=429)

    response = api.client.get("/v2/backups")

    assert (response.status_code, response.json()) == (429, {"code": 429, "message": "Too Many Requests"})


@pytest.mark.parametrize(("after", "made"), [(False, 0), (True, 1)])
def test_a_code_under_http_200(api: Api, control_plane: ControlPlane, after: bool, made: int) -> None:
    control_plane.faults.add("create_backup", code=90001, message="no", after=after)

    response = create(api)

    assert (response.status_code, response.json()) == (200, {"code": 90001, "message": "no"})
    assert len(control_plane.backups) == made


@pytest.mark.parametrize(("after", "made"), [(False, 0), (True, 1)])
def test_a_dropped_connection(api: Api, control_plane: ControlPlane, after: bool, made: int) -> None:
    control_plane.faults.add("create_backup", times=1, drop=True, after=after)

    with pytest.raises(httpx.TransportError) as caught:
        create(api)

    assert not isinstance(caught.value, httpx.TimeoutException)
    assert len(control_plane.backups) == made
    (logged,) = control_plane.requests
    assert (logged.status, logged.work_done) == (None, bool(made))


@pytest.mark.parametrize(("after", "made"), [(False, 0), (True, 1)])
def test_a_delay(api: Api, control_plane: ControlPlane, after: bool, made: int) -> None:
    control_plane.faults.add("create_backup", times=1, delay=600, after=after)

    with pytest.raises(httpx.ReadTimeout):
        api.client.post(CREATE, json={"backupType": "CLUSTER"}, timeout=0.2)

    assert len(control_plane.backups) == made


def test_a_short_delay_ends_in_the_answer(api: Api, control_plane: ControlPlane) -> None:
    control_plane.faults.add("create_backup", times=1, delay=0.01)

    assert create(api).json()["code"] == 0
    assert len(control_plane.backups) == 1


def test_a_truncated_answer(api: Api, control_plane: ControlPlane) -> None:
    control_plane.faults.add("create_backup", times=1, truncate=True)

    response = create(api)

    assert response.status_code == 200
    assert response.text.startswith('{"code": 0')
    with pytest.raises(json.JSONDecodeError):
        response.json()
    assert len(control_plane.backups) == 1


def test_a_garbled_answer(api: Api, control_plane: ControlPlane) -> None:
    control_plane.faults.add("create_backup", times=1, garbage=True)

    assert create(api).json() == GARBAGE
    assert len(control_plane.backups) == 1


def statuses(api: Api, count: int) -> list[int]:
    return [api.client.get("/v2/projects").status_code for _ in range(count)]


def test_skip_and_times_count(api: Api, control_plane: ControlPlane) -> None:
    control_plane.faults.add("list_projects", skip=1, times=2, status=500)

    assert statuses(api, 4) == [200, 500, 500, 200]


def test_rules_take_turns_in_their_order(api: Api, control_plane: ControlPlane) -> None:
    control_plane.faults.add("list_projects", times=1, status=500)
    control_plane.faults.add("list_projects", times=2, status=502)

    assert statuses(api, 4) == [500, 502, 502, 200]


def test_a_rule_may_be_about_everything(api: Api, control_plane: ControlPlane) -> None:
    control_plane.faults.add("*", status=500)

    assert api.client.get("/v2/clusters").status_code == 500
    assert statuses(api, 1) == [500]


def test_a_rule_is_about_its_operation_only(api: Api, control_plane: ControlPlane) -> None:
    control_plane.faults.add("create_backup", status=500)

    assert statuses(api, 1) == [200]


def test_a_delay_and_another_fault_go_together(api: Api, control_plane: ControlPlane) -> None:
    control_plane.faults.add("list_projects", delay=0.01)
    control_plane.faults.add("list_projects", status=500)

    assert statuses(api, 1) == [500]
    assert [rule.fired for rule in control_plane.faults.rules] == [1, 1]


def test_cleared_faults_are_over(api: Api, control_plane: ControlPlane) -> None:
    control_plane.faults.add("*", status=500)
    control_plane.faults.clear()

    assert statuses(api, 1) == [200]


def test_an_automatic_backup_can_fail(api: Api, control_plane: ControlPlane, clock: VirtualClock) -> None:
    control_plane.faults.add("automatic_backup", job={"status": "FAILED"})
    body = {"enabled": True, "frequency": "1", "startTime": "02:00-04:00", "retentionDays": 7}
    api.data("POST", f"/clusters/{CLUSTER}/backups/policy", json=body)

    assert len(api.listed()) == 1
    clock.sleep(10)
    assert api.listed() == []


@pytest.mark.parametrize(
    ("effect", "problem"),
    [
        ({"operation": "create_backups", "drop": True}, "operation\n.*must be one of .*create_backup"),
        ({}, "exactly one effect"),
        ({"status": 500, "drop": True}, "exactly one effect"),
        ({"status": 999}, "status"),
        ({"status": 204}, "status"),
        ({"status": 500, "headers": {"Retry-After": 1}}, r"headers\.Retry-After"),
        ({"drop": True, "skip": -1}, "skip"),
        ({"drop": True, "times": -1}, "times"),
        ({"delay": -1}, "delay"),
    ],
)
def test_impossible_rules_are_refused(effect: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        FaultRule(**{"operation": "create_backup", **effect})


def test_a_hanging_request_does_not_stop_others(
    api: Api, control_plane: ControlPlane, emulator: RunningEmulator
) -> None:
    control_plane.faults.add("list_projects", times=1, delay=600)
    host, port = emulator.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as hanging:
        hanging.sendall(b"GET /v2/projects HTTP/1.1\r\nHost: emulator\r\n\r\n")
        while not control_plane.requests:
            time.sleep(0.001)

        assert api.data("GET", "/clusters")["count"] == 4


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"operation": "*", "status": 503}, "all requests: HTTP 503, applied 0 times"),
        (
            {"operation": "list_clusters", "code": 1, "times": 2},
            "list_clusters: code 1, applied 0 of 2 times",
        ),
        ({"operation": "*", "delay": 6}, "all requests: 6 s late, applied 0 times"),
        ({"operation": "*", "drop": True}, "all requests: no answer, applied 0 times"),
        ({"operation": "*", "truncate": True}, "all requests: half an answer, applied 0 times"),
        ({"operation": "*", "garbage": True}, "all requests: a wrong answer, applied 0 times"),
        (
            {"operation": "create_backup", "job": {"status": "FAILED"}},
            "create_backup: the job ends as FAILED, applied 0 times",
        ),
    ],
)
def test_a_rule_in_words(fields: dict[str, Any], words: str) -> None:
    assert FaultRule(**fields).words == words
