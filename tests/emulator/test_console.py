from __future__ import annotations

import html
import re

import httpx
import pytest

from airflow_provider_zbackup.emulator import ControlPlane, JobPlan, seed
from airflow_provider_zbackup.emulator.console import FAULTS
from airflow_provider_zbackup.emulator.records import Cluster, Project
from tests.clock import VirtualClock
from tests.emulator.api import Api

CLUSTER = seed.DEDICATED_CLUSTER_ID
PROJECT = f"/orgs/{seed.ORGANIZATION_ID}/projects/{seed.PROJECT_ID}"


def test_the_root_leads_to_the_project(visitor: httpx.Client) -> None:
    response = visitor.get("/", follow_redirects=True)

    assert (response.status_code, response.url.path) == (200, f"{PROJECT}/clusters")


def test_the_pages_of_a_project(
    visitor: httpx.Client, api: Api, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    control_plane.faults.add("create_backup", times=1, job={"status": "FAILED", "reason": "disk full"})
    failed = api.create(CLUSTER)
    clock.sleep(10)
    running = api.create(CLUSTER)
    clock.sleep(5)

    pages = {
        path: visitor.get(PROJECT + path)
        for path in ("/clusters", f"/clusters/{CLUSTER}", "/jobs", f"/jobs/{running['jobId']}")
    }

    for page in pages.values():
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert running["jobId"] in page.text
        assert "50 %" in page.text
    for path in ("/clusters", f"/clusters/{CLUSTER}"):
        assert running["backupName"] in pages[path].text
        assert failed["backupId"] not in pages[path].text
    assert "disk full" in pages["/jobs"].text
    assert failed["jobId"] not in pages[f"/jobs/{running['jobId']}"].text
    assert f'href="{PROJECT}/clusters/{CLUSTER}"' in pages["/clusters"].text


def test_a_copy_shows_when_it_begins(visitor: httpx.Client, api: Api, clock: VirtualClock) -> None:
    api.create(CLUSTER, crossRegionCopies=[{"regionId": "aws-us-east-1"}])

    assert "aws-us-east-1" not in visitor.get(f"{PROJECT}/clusters").text
    clock.sleep(10)
    assert "aws-us-east-1" in visitor.get(f"{PROJECT}/clusters").text


def test_pages_show_restored_collections_the_policy_and_exports(
    visitor: httpx.Client, api: Api, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    second = seed.SECOND_DEDICATED_CLUSTER_ID
    backup = f"/clusters/{CLUSTER}/backups/{api.create(CLUSTER)['backupId']}"
    clock.sleep(10)
    api.data("POST", f"{backup}/restoreCollection", json={"destClusterId": second})
    export = {"integrationId": seed.STORAGE_INTEGRATION_ID, "directory": "destdir/"}
    api.data("POST", f"{backup}/export", json=export)
    assert "customers" not in visitor.get(f"{PROJECT}/clusters/{second}").text
    control_plane.put_console_policy(second, frequency="0 3 1 * *", start_time="03:00")
    clock.sleep(10)

    page = visitor.get(f"{PROJECT}/clusters/{second}").text

    assert "customers" in page
    assert "0 3 1 * *, 03:00, kept for 7 days" in page
    assert "destdir/" in visitor.get(f"{PROJECT}/clusters").text


def test_a_policy_is_told_in_words(visitor: httpx.Client, api: Api) -> None:
    policy = {"enabled": True, "frequency": "3,1", "startTime": "02:00-04:00", "retentionDays": 7}
    api.data("POST", f"/clusters/{CLUSTER}/backups/policy", json=policy)
    page = visitor.get(f"{PROJECT}/clusters/{CLUSTER}").text
    assert "Automatic backups: Monday, Wednesday, 02:00-04:00 UTC, kept for 7 days" in page
    api.data("POST", f"/clusters/{CLUSTER}/backups/policy", json=policy | {"frequency": "1,2,3,4,5,6,7"})
    page = visitor.get(f"{PROJECT}/clusters/{CLUSTER}").text
    assert "Automatic backups: daily, 02:00-04:00 UTC" in page


def test_each_page_leads_to_the_other_projects(
    visitor: httpx.Client, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    control_plane.put_project(Project("proj-other", "Other", clock.time()))
    page = visitor.get(f"{PROJECT}/clusters").text
    assert f'<a href="/orgs/{seed.ORGANIZATION_ID}/projects/proj-other/clusters">Other</a>' in page
    assert f'<a href="{PROJECT}/clusters" aria-current="true">' in page


@pytest.mark.parametrize(
    "path",
    [
        f"/orgs/org-nowhere/projects/{seed.PROJECT_ID}/clusters",
        f"/orgs/{seed.ORGANIZATION_ID}/projects/proj-nowhere/clusters",
        f"{PROJECT}/clusters/in01-nowhere",
        f"{PROJECT}/jobs/job-nowhere",
        f"/orgs/{seed.ORGANIZATION_ID}/projects/proj-other/clusters/{CLUSTER}",
    ],
)
def test_pages_that_are_not_there(
    visitor: httpx.Client, control_plane: ControlPlane, clock: VirtualClock, path: str
) -> None:
    control_plane.put_project(Project("proj-other", "Other", clock.time()))

    response = visitor.get(path)

    assert response.status_code == 404
    assert "Not found" in response.text


def test_a_job_shows_only_in_its_own_project(
    visitor: httpx.Client, api: Api, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    control_plane.put_project(Project("proj-other", "Other", clock.time()))
    job_id = api.create(CLUSTER)["jobId"]

    path = f"/orgs/{seed.ORGANIZATION_ID}/projects/proj-other/jobs/{job_id}"

    assert visitor.get(path).status_code == 404


def test_everything_is_escaped(
    visitor: httpx.Client, control_plane: ControlPlane, api: Api, clock: VirtualClock
) -> None:
    evil = "<script>alert(1)</script>"
    control_plane.put_project(Project(seed.PROJECT_ID, evil, clock.time()))
    control_plane.put_cluster(
        Cluster(
            f'in01-"{evil}',
            evil,
            seed.PROJECT_ID,
            clock.time(),
            plan=evil,
            region_id=evil,
            settled_status=evil,
        )
    )
    control_plane.faults.add("create_backup", job={"status": evil, "reason": evil, "seconds": 0})
    control_plane.clusters[CLUSTER].cluster_name = evil
    api.create(CLUSTER)

    for path in ("/clusters", f"/clusters/{CLUSTER}", "/jobs"):
        text = visitor.get(PROJECT + path).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;" in text


def test_the_pages_of_a_cluster_and_a_job_are_escaped(
    visitor: httpx.Client, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    evil = '"><script>alert(1)</script>'
    cluster = Cluster("in01-5555", evil, seed.PROJECT_ID, clock.time(), plan=evil, region_id=evil)
    control_plane.put_cluster(cluster)
    control_plane.set_cluster_status("in01-5555", evil)
    plan = JobPlan(status=evil, reason=evil, seconds=0)
    backup = control_plane.start_backup(cluster, operation="create_backup", plan=plan)

    # The cluster shows six such texts, its backup two, and its job four.
    cluster_page = visitor.get(f"{PROJECT}/clusters/in01-5555").text
    job_page = visitor.get(f"{PROJECT}/jobs/{backup.job.job_id}").text
    for page, count in ((cluster_page, 12), (job_page, 4)):
        assert "<script>alert" not in page
        assert page.count("&#34;&gt;&lt;script&gt;") == count


def test_an_id_with_special_characters_has_a_link_that_leads_to_it(
    visitor: httpx.Client, control_plane: ControlPlane, clock: VirtualClock
) -> None:
    control_plane.put_project(Project("proj?", "Special", clock.time()))
    control_plane.put_cluster(Cluster("in01-5?5#5%", "Odd-01", "proj?", clock.time()))
    path = f"/orgs/{seed.ORGANIZATION_ID}/projects/proj%3F/clusters"

    assert f'href="{path}/in01-5%3F5%235%25"' in visitor.get(path).text
    assert "<h1>Odd-01</h1>" in visitor.get(f"{path}/in01-5%3F5%235%25").text


def test_an_empty_project(visitor: httpx.Client) -> None:
    assert "None yet." in visitor.get(f"{PROJECT}/jobs").text


def press(visitor: httpx.Client, page: str, name: str) -> None:
    """Press the first button of that name, as the page's script does."""
    text = visitor.get(page).text
    button = re.search(rf"<button ([^>]*)>{re.escape(name)}</button>", text)
    assert button, text
    data = {key: html.unescape(value) for key, value in re.findall(r'data-(\w+)="([^"]*)"', button[1])}
    response = visitor.request(data["method"], f"/_emulator/{data['path']}", content=data["body"])
    assert response.status_code == 200, response.text


def test_a_colleague_or_the_policy_starts_a_backup(visitor: httpx.Client, api: Api) -> None:
    press(visitor, f"{PROJECT}/clusters", "A colleague backs up")
    press(visitor, f"{PROJECT}/clusters/{CLUSTER}", "The policy backs up")

    assert {backup["creationMethod"] for backup in api.listed()} == {"AUTO", "MANUAL"}


def test_a_cluster_that_cannot_have_backups_has_no_button_for_it(visitor: httpx.Client) -> None:
    assert "backs up" not in visitor.get(f"{PROJECT}/clusters/{seed.FREE_CLUSTER_ID}").text


@pytest.mark.parametrize(("name", "status"), [("Fail", "FAILED"), ("Cancel", "CANCELED")])
def test_a_running_job_is_ended(
    visitor: httpx.Client, api: Api, clock: VirtualClock, name: str, status: str
) -> None:
    created = api.create(CLUSTER, crossRegionCopies=[{"regionId": "aws-us-east-1"}])
    clock.sleep(4)
    assert len(api.listed()) == 1

    press(visitor, f"{PROJECT}/jobs", name)

    job = api.job(created["jobId"])
    assert (job["status"], job["progress"]) == (status, "40")
    assert api.listed() == []
    clock.sleep(60)
    # It is not copied either.
    assert api.listed() == []
    assert f">{name}</button>" not in visitor.get(f"{PROJECT}/jobs").text
    assert visitor.post("/_emulator/jobs/end", json={"job_id": created["jobId"], "status": "FAILED"}).is_error


def test_time_goes_faster(visitor: httpx.Client, api: Api, clock: VirtualClock) -> None:
    api.create(CLUSTER)

    press(visitor, f"{PROJECT}/clusters", "+ 1 day")

    page = visitor.get(f"{PROJECT}/clusters").text
    assert "It is 03 Mar 2026, 10:00:00 UTC here." in page
    assert '<time datetime="2026-03-02T10:00:00Z" title="2026-03-02T10:00:00Z">1 d 0 h ago</time>' in page
    assert api.listed()[0]["status"] == "AVAILABLE"


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_injected_and_removed(
    visitor: httpx.Client, control_plane: ControlPlane, name: str
) -> None:
    press(visitor, f"{PROJECT}/clusters", name)

    (rule,) = control_plane.faults.rules
    assert rule.words in visitor.get(f"{PROJECT}/clusters").text
    press(visitor, f"{PROJECT}/clusters", "Remove all")
    assert control_plane.faults.rules == []
