from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_provider_zbackup.emulator import ControlPlane, seed
from tests.clock import VirtualClock
from tests.emulator.api import Api

CLUSTER = seed.DEDICATED_CLUSTER_ID


def ask(visitor: httpx.Client, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    response = visitor.request(method, f"/_emulator/{path}", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_state_shows_everything(visitor: httpx.Client, api: Api, clock: VirtualClock) -> None:
    created = api.create(CLUSTER, crossRegionCopies=[{"regionId": "aws-us-east-1"}])
    policy = {"enabled": True, "frequency": "1", "startTime": "02:00-04:00", "retentionDays": 7}
    path = f"/clusters/{seed.SECOND_DEDICATED_CLUSTER_ID}/backups/policy"
    api.data("POST", path, json=policy)
    clock.sleep(10)

    state = ask(visitor, "GET", "state")

    assert state["now"] == "2026-03-02T10:00:10Z"
    assert state["settings"]["job_seconds"] == 10
    assert [project["projectId"] for project in state["projects"]] == [seed.PROJECT_ID]
    assert len(state["clusters"]) == 4
    home, copy, automatic = state["backups"]
    assert (home["jobId"], home["copyOf"]) == (created["jobId"], None)
    assert copy["copyOf"] == home["backupId"]
    assert automatic["creationMethod"] == "AUTO"
    assert len(state["jobs"]) == 3
    assert [entry["status"] for entry in state["policies"]] == ["ENABLED"]


def test_reset_goes_back_to_the_start(visitor: httpx.Client, api: Api, control_plane: ControlPlane) -> None:
    api.create(CLUSTER)
    ask(visitor, "POST", "faults", {"operation": "list_projects", "status": 500})
    ask(visitor, "PATCH", "settings", {"list_lag": 60})
    ask(visitor, "POST", "clusters", {"cluster_id": CLUSTER, "status": "STOPPED"})

    ask(visitor, "POST", "reset")

    state = ask(visitor, "GET", "state")
    assert (state["backups"], state["jobs"]) == ([], [])
    assert state["settings"]["list_lag"] == 0
    assert {cluster["status"] for cluster in state["clusters"]} == {"RUNNING"}
    assert ask(visitor, "GET", "faults") == []
    assert ask(visitor, "GET", "requests") == []


def test_faults_can_be_added_seen_and_cleared(visitor: httpx.Client, api: Api) -> None:
    rule = {"operation": "list_projects", "times": 1, "status": 503, "headers": {"Retry-After": "1"}}

    assert ask(visitor, "POST", "faults", rule)["fired"] == 0
    assert api.client.get("/v2/projects").status_code == 503
    (shown,) = ask(visitor, "GET", "faults")
    assert (shown["operation"], shown["fired"]) == ("list_projects", 1)
    ask(visitor, "DELETE", "faults")
    assert ask(visitor, "GET", "faults") == []


def test_faults_of_jobs_can_be_added(visitor: httpx.Client, api: Api, clock: VirtualClock) -> None:
    rule = {"operation": "create_backup", "job": {"status": "FAILED", "reason": "disk full"}}
    assert ask(visitor, "POST", "faults", rule)["job"]["reason"] == "disk full"
    job_id = api.create(CLUSTER)["jobId"]
    clock.sleep(10)

    assert api.job(job_id)["reason"] == "disk full"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"operation": "make_coffee", "status": 500}),
        ("faults", {"operation": "create_backup"}),
        ("faults", {"operation": "create_backup", "status": "500"}),
        ("faults", {"operation": "create_backup", "status": 500, "headers": ["Retry-After"]}),
        ("faults", {"operation": "create_backup", "delay": "long"}),
        ("faults", {"operation": "create_backup", "drop": True, "times": "once"}),
        ("faults", {"operation": "create_backup", "explode": True}),
        ("faults", {"operation": "create_backup", "job": {"colour": "red"}}),
        ("faults", {"operation": ["create_backup"]}),
        ("faults", []),
        ("backups", {}),
        ("backups", {"cluster_id": "in01-nowhere"}),
        ("backups", {"cluster_id": CLUSTER, "creation_method": "MAGIC"}),
        ("backups", {"cluster_id": CLUSTER, "size": 1}),
        ("clusters", {}),
        ("clusters", {"cluster_id": "in01-5555", "project_id": "proj-nowhere"}),
        ("clusters", {"cluster_id": CLUSTER, "restore": 1}),
        ("clusters", {"cluster_id": CLUSTER, "databases": ["medium_articles"]}),
        ("projects", {"project_name": "Nameless"}),
        ("storage_integrations", {"integration_id": "integ-5555", "project_id": "proj-nowhere"}),
        ("console_policies", {"cluster_id": "in01-nowhere", "frequency": "", "start_time": ""}),
    ],
)
def test_what_makes_no_sense_is_refused(visitor: httpx.Client, path: str, body: Any) -> None:
    response = visitor.post(f"/_emulator/{path}", json=body)

    assert response.status_code == 400
    assert response.json()["error"]


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("backups", {}, "cluster_id: Field required"),
        ("backups", {"cluster_id": "in01-nowhere"}, "cluster_id: There is no cluster in01-nowhere."),
        (
            "backups",
            {"cluster_id": CLUSTER, "creation_method": "MAGIC"},
            "creation_method: Input should be 'MANUAL' or 'AUTO'",
        ),
        (
            "faults",
            {"operation": "list_jobs", "drop": True, "explode": True},
            "operation: must be one of *, automatic_backup, ",
        ),
        (
            "faults",
            {"operation": "*", "status": 204},
            "status: must be an HTTP status that comes with a body",
        ),
        (
            "faults",
            {"operation": "*"},
            "a rule has exactly one effect: status, code, delay, drop, truncate, garbage or job",
        ),
        (
            "faults",
            {"operation": "*", "job": {"status": 1, "colour": "red"}},
            "job.status: Input should be a valid string; job.colour: Extra inputs are not permitted",
        ),
        (
            "clusters",
            {"cluster_id": CLUSTER, "databases": {"sales": ["orders", {"name": 1}]}},
            "databases.sales.1.name: Input should be a valid string",
        ),
        (
            "clusters",
            {"cluster_id": "in01-5555", "project_id": "proj-nowhere"},
            "project_id: There is no project proj-nowhere.",
        ),
        (
            "backups",
            {"cluster_id": CLUSTER, "retention_days": 10**9},
            "retention_days: Input should be less than or equal to 30",
        ),
        (
            "backups",
            {"cluster_id": CLUSTER, "job": {"seconds": 1e300}},
            "job.seconds: Input should be less than or equal to 1000000000",
        ),
        ("projects", [], "Input should be an object"),
    ],
)
def test_an_error_names_the_field(visitor: httpx.Client, path: str, body: Any, error: str) -> None:
    assert visitor.post(f"/_emulator/{path}", json=body).json()["error"].startswith(error)


def test_null_leaves_a_field_as_it_is(visitor: httpx.Client, api: Api) -> None:
    ask(visitor, "POST", "clusters", {"cluster_id": CLUSTER, "cluster_name": None, "cu_size": 4})

    cluster = api.data("GET", f"/clusters/{CLUSTER}")
    assert (cluster["clusterName"], cluster["cuSize"]) == ("Dedicated-01", 4)


@pytest.mark.parametrize("content", ["{", "[]", '{"job_seconds": -1}', '{"speed": 2}', '{"job_lag": "x"}'])
def test_wrong_settings_are_refused(visitor: httpx.Client, content: str) -> None:
    assert visitor.patch("/_emulator/settings", content=content).status_code == 400


def test_settings_can_be_changed(visitor: httpx.Client, api: Api) -> None:
    settings = ask(visitor, "PATCH", "settings", {"job_seconds": 0, "conflict_code": 90001})

    assert (settings["job_seconds"], settings["conflict_code"]) == (0, 90001)
    assert api.job(api.create(CLUSTER)["jobId"])["status"] == "SUCCESSFUL"


@pytest.mark.parametrize(("creation_method", "expires"), [("AUTO", True), ("MANUAL", False)])
def test_a_backup_can_be_put_in_the_way(
    visitor: httpx.Client, api: Api, clock: VirtualClock, creation_method: str, expires: bool
) -> None:
    body = {"cluster_id": CLUSTER, "creation_method": creation_method, "job": {"seconds": 60}}

    backup = ask(visitor, "POST", "backups", body)

    assert (backup["creationMethod"], bool(backup["expireTime"])) == (creation_method, expires)
    path = f"/clusters/{CLUSTER}/backups/create"
    assert api.error("POST", path, json={"backupType": "CLUSTER"})[0] == 96038
    clock.sleep(60)
    api.create(CLUSTER)
    assert api.job(backup["jobId"])["status"] == "SUCCESSFUL"


@pytest.mark.parametrize(
    ("operation", "creation_method"), [("create_backup", "MANUAL"), ("automatic_backup", "AUTO")]
)
def test_a_fault_rule_plans_the_job_of_a_backup_unless_the_backup_has_a_plan(
    visitor: httpx.Client, operation: str, creation_method: str
) -> None:
    ask(visitor, "POST", "faults", {"operation": operation, "job": {"status": "FAILED", "seconds": 0}})
    body = {"cluster_id": CLUSTER, "creation_method": creation_method}

    ask(visitor, "POST", "backups", body)
    ask(visitor, "POST", "backups", body | {"job": {"seconds": 0}})

    jobs = ask(visitor, "GET", "state")["jobs"]
    assert [job["status"] for job in jobs] == ["FAILED", "SUCCESSFUL"]


@pytest.mark.parametrize("database", ["", "default"])
def test_the_default_database_has_two_names(visitor: httpx.Client, api: Api, database: str) -> None:
    ask(visitor, "POST", "clusters", {"cluster_id": CLUSTER, "databases": {database: ["films"]}})

    api.create(CLUSTER, backupType="COLLECTION", dbCollections=[{"collectionNames": ["films"]}])


def test_clusters_can_be_added_and_changed(visitor: httpx.Client, api: Api, clock: VirtualClock) -> None:
    databases = {"": ["films", {"name": "books", "status": "UNLOADED", "size": 7}]}
    body = {"cluster_id": "in01-5555", "cluster_name": "Added", "databases": databases}

    assert ask(visitor, "POST", "clusters", body) == {"clusterId": "in01-5555", "status": "RUNNING"}
    ask(visitor, "POST", "clusters", {"cluster_id": "in01-5555", "cu_size": 8})
    assert api.data("GET", "/clusters/in01-5555")["cuSize"] == 8
    backup_id = api.create("in01-5555")["backupId"]
    collections = api.data("GET", f"/clusters/in01-5555/backups/{backup_id}")["collections"]
    assert [item["collectionName"] for item in collections] == ["films", "books"]
    changed = {"cluster_id": "in01-5555", "status": "STOPPED"}
    assert ask(visitor, "POST", "clusters", changed)["status"] == "STOPPED"
    assert api.data("GET", "/clusters/in01-5555")["status"] == "STOPPED"


def test_databases_that_are_given_take_the_place_of_what_was_restored(
    visitor: httpx.Client, api: Api, clock: VirtualClock
) -> None:
    def databases() -> Any:
        return ask(visitor, "GET", "state")["clusters"][0]["databases"]

    backup_id = api.create(CLUSTER)["backupId"]
    clock.sleep(10)
    restore = {
        "destClusterId": CLUSTER,
        "dbCollections": [{"dbName": "sales", "collections": [{"collectionName": "orders"}]}],
    }
    for _ in range(2):
        ask(visitor, "POST", "clusters", {"cluster_id": CLUSTER, "databases": {"sales": ["customers"]}})
        assert [item["name"] for item in databases()["sales"]] == ["customers"]
        api.data("POST", f"/clusters/{CLUSTER}/backups/{backup_id}/restoreCollection", json=restore)
        clock.sleep(10)
        assert [item["name"] for item in databases()["sales"]] == ["customers", "orders"]


def test_projects_can_be_added_and_changed(visitor: httpx.Client, api: Api) -> None:
    body = {"project_id": "proj-5555", "project_name": "Added", "region_ids": ["gcp-us-west1"]}
    ask(visitor, "POST", "projects", body)
    ask(visitor, "POST", "projects", {"project_id": "proj-5555", "plan": "Standard"})

    project = api.data("GET", "/projects/proj-5555")

    assert (project["projectName"], project["plan"], project["regionIds"]) == (
        "Added",
        "Standard",
        ["gcp-us-west1"],
    )


def test_requests_are_logged_without_keys(
    visitor: httpx.Client, api: Api, control_plane: ControlPlane
) -> None:
    api.error("GET", "/backups", params={"pageSize": "0"})
    created = api.create(CLUSTER)
    api.client.post(f"/v2/clusters/{CLUSTER}/backups/create", content=b"{not json")
    visitor.get("/v2/projects", headers={"Authorization": "Bearer some-other-key"})

    log = ask(visitor, "GET", "requests")

    assert [(entry["operation"], entry["status"], entry["work_done"]) for entry in log] == [
        ("list_backups", 200, False),
        ("create_backup", 200, True),
        ("create_backup", 400, False),
        ("list_projects", 401, False),
    ]
    assert log[0]["query"] == {"pageSize": "0"}
    assert log[1] == {
        "time": "2026-03-02T10:00:00Z",
        "operation": "create_backup",
        "method": "POST",
        "path": f"/v2/clusters/{CLUSTER}/backups/create",
        "query": {},
        "body": {"backupType": "CLUSTER"},
        "status": 200,
        "work_done": True,
    }
    assert log[2]["body"] == "{not json"
    assert [request.operation for request in control_plane.requests.of("create_backup")] == [
        "create_backup"
    ] * 2
    everything = visitor.get("/_emulator/requests").text + visitor.get("/_emulator/state").text
    assert seed.API_KEY not in everything
    assert "some-other-key" not in everything
    assert created["jobId"] not in visitor.get("/_emulator/requests").text
    ask(visitor, "DELETE", "requests")
    assert ask(visitor, "GET", "requests") == []
