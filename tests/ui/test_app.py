"""The application that Airflow mounts: who gets what, its headers, and each state of its pages as HTML."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from pytest_mock import MockerFixture

from airflow_provider_zbackup.emulator import JobPlan, seed
from airflow_provider_zbackup.version_compat import HAS_EXTERNAL_VIEWS
from tests.support import API_KEY, CLUSTER_ID, World

pytestmark = pytest.mark.skipif(not HAS_EXTERNAL_VIEWS, reason="Airflow before 3.1 shows no page")
OVERVIEW, PART = "/backups", "/backups?part=true"
CLUSTER = f"/clusters/{CLUSTER_ID}?connection=zilliz_default"


class Visitor:
    """A user's browser, without a screen. Everything that it gets is looked at for the key."""

    def __init__(self, app: Any, runner: asyncio.Runner, root_path: str = "") -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, root_path=root_path)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://airflow.example")
        self._runner = runner

    def get(self, path: str, status: int = 200) -> str:
        response = self._runner.run(self._client.get(path))
        assert response.status_code == status, response.text
        assert API_KEY not in response.text
        assert response.headers["cache-control"] == "private, no-store"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in response.headers["content-security-policy"]
        self.headers = response.headers
        return str(response.text)

    def settle(self, path: str) -> str:
        """Ask until all answers are there, as the page's script does."""
        joint = "&" if "?" in path else "?"
        for _ in range(20):
            html = self.get(f"{path}{joint}part=true")
            if 'data-again="1"' not in html:
                return html
        raise AssertionError(html)


def text_of(html: str) -> str:
    """Return what a reader sees, with single spaces."""
    parser = _Words()
    parser.feed(html)
    return " ".join(" ".join(parser.words).split())


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def allowed(mocker: MockerFixture, world: World) -> set[str]:
    """Ids of the connections that the user may read."""
    names = {"zilliz_default"}
    app = "airflow_provider_zbackup.ui.app"
    mocker.patch("airflow_provider_zbackup.ui.connections._stored", return_value=[])
    mocker.patch(f"{app}.may_read", side_effect=lambda user, conn_id: conn_id in names)
    return names


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """The event loop of the API server."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def app(allowed: set[str]) -> Any:
    from airflow.api_fastapi.core_api.security import get_user

    from airflow_provider_zbackup.ui.app import make_app

    app = make_app()
    app.dependency_overrides[get_user] = lambda: "the user"
    return app


@pytest.fixture
def visitor(app: Any, runner: asyncio.Runner) -> Visitor:
    return Visitor(app, runner)


# Safety


@pytest.mark.parametrize("path", [OVERVIEW, PART, CLUSTER, "/jobs/job-1?connection=zilliz_default"])
def test_who_is_not_logged_in_gets_nothing(world: World, app: Any, visitor: Visitor, path: str) -> None:
    app.dependency_overrides.clear()
    html = visitor.get(path, status=401)
    assert "Your session has ended" in html
    assert CLUSTER_ID not in html
    assert world.requests() == []


def test_no_route_escapes_the_login(app: Any) -> None:
    from airflow.api_fastapi.core_api.security import get_user

    for route in app.routes:
        assert route.methods <= {"GET", "HEAD"}
        assert get_user in [each.call for each in route.dependant.dependencies]


@pytest.mark.parametrize("path", [CLUSTER, "/jobs/job-1?connection=zilliz_default"])
def test_a_connection_that_the_user_may_not_read_is_never_used(
    world: World, visitor: Visitor, allowed: set[str], path: str
) -> None:
    allowed.clear()
    assert "may not read this connection" in visitor.get(path, status=403)
    assert world.requests() == []


def test_who_may_read_no_connection_learns_not_even_its_name(
    world: World, visitor: Visitor, allowed: set[str]
) -> None:
    allowed.clear()
    for path in (OVERVIEW, PART, f"{PART}&connection=zilliz_default"):
        html = visitor.get(path)
        assert "You may not read any connection" in html
        assert "zilliz_default" not in html
    assert world.requests() == []


def test_scripts_and_styles_run_only_with_the_nonce_of_this_answer(visitor: Visitor) -> None:
    nonces = set()
    for _ in range(2):
        html = visitor.get(OVERVIEW)
        (nonce,) = set(re.findall(r"'nonce-([^']+)'", visitor.headers["content-security-policy"]))
        tags = re.findall(r"<(?:script|style)[^>]*>", html)
        assert tags == [f'<style nonce="{nonce}">', f'<script nonce="{nonce}">']
        assert " style=" not in html
        assert " onclick=" not in html
        nonces.add(nonce)
    assert len(nonces) == 2


def test_names_from_zilliz_cloud_are_text_and_not_code(world: World, visitor: Visitor) -> None:
    evil = "</script><img src=x onerror=alert(1)>\"'"
    world.control_plane.clusters[CLUSTER_ID].cluster_name = evil
    world.control_plane.projects[seed.PROJECT_ID].project_name = evil
    world.someone_backs_up(seconds=0)
    for path in (OVERVIEW, CLUSTER):
        html = visitor.settle(path)
        assert "<img" not in html
        assert "&lt;img" in html
    assert "<img" not in visitor.get(f"/backups?text={evil}&project={evil}")


def test_an_error_of_the_page_shows_nothing_of_itself(
    visitor: Visitor, mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    mocker.patch("airflow_provider_zbackup.ui.app.known_connections", side_effect=ValueError(API_KEY))
    assert "This page has an error" in visitor.get(OVERVIEW, status=500)


@pytest.mark.parametrize(
    ("path", "status"), [("/nowhere", 404), (f"/clusters/{CLUSTER_ID}", 422), ("/backups?page=x", 422)]
)
def test_an_address_that_leads_nowhere_says_so(visitor: Visitor, path: str, status: int) -> None:
    assert "To the list of all clusters" in visitor.get(path, status=status)


# The overview


def test_the_frame_comes_before_zilliz_cloud_answers(world: World, visitor: Visitor) -> None:
    html = visitor.get(OVERVIEW)
    assert "Asking Zilliz Cloud through zilliz_default" in text_of(html)
    assert 'data-again="1"' in html


def test_the_overview_shows_each_cluster(world: World, visitor: Visitor) -> None:
    world.connect(extra={"price_per_gb_month": 1.5, "freshness_target": 12})
    world.someone_backs_up(seconds=0, creation_method="AUTO")
    world.clock.sleep(3600)
    html = visitor.settle(OVERVIEW)
    text = text_of(html)
    assert "1 of 2 clusters with a fresh backup (12 h)" in text
    assert "≈ 1.20 estimated cost per month" in text
    assert "1 h 0 min of 12 h" in text
    assert "Stale: no backup yet" in text
    assert text.count("Cannot have backups") == 2
    assert text.count("no policy") == 2
    assert "policy \u00d7 1" in text
    assert text.index("Dedicated-02") < text.index("Dedicated-01") < text.index("Free-01")
    assert 'aria-label="Backups on 1 of the last 30 days"' in html
    assert f'href="clusters/{CLUSTER_ID}?connection=zilliz_default"' in html
    assert 'data-again="30"' in html


def test_ages_are_by_the_clock_of_the_server(world: World, visitor: Visitor) -> None:
    world.someone_backs_up(seconds=0)
    world.control_plane.advance(7200)
    html = visitor.settle(OVERVIEW)
    assert "2 h 0 min of 24 h" in text_of(html)
    assert 'data-skew="7200"' in html


def test_a_running_backup_is_shown(world: World, visitor: Visitor) -> None:
    backup = world.someone_backs_up(seconds=100)
    html = visitor.settle(OVERVIEW)
    assert "manual backup, started" in text_of(html)
    assert f'title="{backup.backup_name}"' in html
    assert f'data-backup="{backup.backup_id}" data-connection="zilliz_default"' in html
    assert 'data-again="10"' in html


def test_a_cluster_that_is_not_running_says_so(world: World, visitor: Visitor) -> None:
    world.control_plane.set_cluster_status(CLUSTER_ID, "STOPPED")
    assert "Dedicated-01 stopped" in text_of(visitor.settle(OVERVIEW))


def test_a_policy_is_shown_with_its_next_run(world: World, visitor: Visitor) -> None:
    world.hook.set_backup_policy(CLUSTER_ID, weekdays=["tuesday"], start_hour=3, retention_days=9)
    text = text_of(visitor.settle(OVERVIEW))
    assert "Tue 03:00-05:00 UTC, kept 9 days next run 2026-03-03 03:00 UTC" in text


def test_a_policy_that_nobody_may_read_is_unknown(world: World, visitor: Visitor) -> None:
    world.fault("get_backup_policy", code=96014, message="no")
    assert "unknown" in text_of(visitor.settle(OVERVIEW))


def test_a_filter_and_a_project_choose_clusters(world: World, visitor: Visitor) -> None:
    visitor.settle(OVERVIEW)
    assert "1 cluster, those at risk first" in text_of(visitor.get(f"{PART}&text=dedicated-02"))
    assert "4 clusters" in text_of(visitor.get(f"{PART}&project=Default Project"))
    assert "No cluster matches" in text_of(visitor.get(f"{PART}&project=Other"))
    assert "No cluster matches" in text_of(visitor.get(f"{PART}&text=nowhere"))
    whole = visitor.get("/backups?text=dedicated-02&project=Default Project")
    assert 'value="dedicated-02"' in whole
    assert "<option selected>Default Project</option>" in whole


def test_a_chosen_project_stays_chosen_until_it_is_known(world: World, visitor: Visitor) -> None:
    html = visitor.get("/backups?project=Default Project")
    assert "<option selected>Default Project</option>" in html
    # From this the script makes the options anew.
    assert 'data-projects="[&#34;Default Project&#34;]"' in html


def test_many_clusters_come_in_pages_and_only_those_that_are_seen_cost_a_request(
    world: World, visitor: Visitor
) -> None:
    world.connect(extra={"requests_per_second": 1000})
    world.control_plane.put_fleet(120, 1)
    html = visitor.settle(OVERVIEW)
    assert "page 1 of 3" in text_of(html)
    assert len(world.requests("get_backup_policy")) == 50
    assert 'href="backups?connection=zilliz_default&amp;text=&amp;project=&amp;page=2"' in html
    assert "page 3 of 3" in text_of(visitor.get(f"{PART}&page=9"))


def test_without_a_connection_it_says_how_to_make_one(world: World, visitor: Visitor) -> None:
    world.monkeypatch.delenv("AIRFLOW_CONN_ZILLIZ_DEFAULT")
    html = visitor.get(PART)
    assert "There is no connection to Zilliz Cloud yet" in html
    assert 'href="/connections"' in html
    assert 'data-again="30"' in html


def test_without_clusters_it_says_so(world: World, visitor: Visitor) -> None:
    world.control_plane.clusters.clear()
    assert "There are no clusters that this key can see" in visitor.settle(OVERVIEW)


def test_a_wrong_key_is_said_at_once(world: World, visitor: Visitor) -> None:
    world.connect(password="wrong-key")
    html = visitor.settle(OVERVIEW)
    assert "does not accept the API key" in html
    assert "wrong-key" not in html
    assert 'class="notice bad"' in html


def test_of_several_connections_only_the_broken_one_is_red(
    world: World, visitor: Visitor, allowed: set[str]
) -> None:
    broken = world.connection | {"password": "wrong-key"}
    world.monkeypatch.setenv("AIRFLOW_CONN_EU", json.dumps(broken))
    world.monkeypatch.setenv("AIRFLOW_CONN_SECRET", json.dumps(broken))
    allowed.add("eu")
    html = visitor.settle(OVERVIEW)
    text = text_of(html)
    assert html.count("<section") == 2
    assert html.count('class="notice bad"') == 1
    assert "eu: Zilliz Cloud cannot be asked." in text
    assert "Connection zilliz_default" in text
    assert "secret" not in text
    only = visitor.get(f"{PART}&connection=eu")
    assert "Connection zilliz_default" not in text_of(only)
    assert "All connections" in only
    assert "may not read this connection" in visitor.get(f"{PART}&connection=secret")


def test_when_zilliz_cloud_is_down_the_last_answer_is_shown_with_its_age(
    world: World, visitor: Visitor
) -> None:
    visitor.settle(OVERVIEW)
    world.fault("*", status=503)
    world.clock.sleep(600)
    text = text_of(visitor.settle(OVERVIEW))
    assert "Zilliz Cloud does not answer. What you see is 10 min" in text
    assert "Dedicated-01" in text


def test_viewers_who_come_at_the_same_time_share_one_read_of_the_connections(
    runner: asyncio.Runner, mocker: MockerFixture
) -> None:
    from airflow_provider_zbackup.ui.app import Board

    read = mocker.patch("airflow_provider_zbackup.ui.app.known_connections", return_value=["eu"])

    async def look() -> None:
        board = Board()
        leaving, *viewers = (asyncio.create_task(board.known()) for _ in range(60))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await asyncio.gather(*viewers) == [["eu"]] * 59
        assert read.call_count == 1
        # Who comes later sees what is there by then.
        read.return_value = ["eu", "us"]
        assert await board.known() == ["eu", "us"]

    runner.run(look())


def test_a_connection_that_is_gone_is_forgotten(world: World, visitor: Visitor) -> None:
    visitor.settle(OVERVIEW)
    world.monkeypatch.delenv("AIRFLOW_CONN_ZILLIZ_DEFAULT")
    visitor.get(PART)
    world.connect()
    assert "Asking Zilliz Cloud" in visitor.get(OVERVIEW)


def test_links_work_behind_a_base_path(app: Any, runner: asyncio.Runner) -> None:
    html = Visitor(app, runner, root_path="/team/zilliz").get(OVERVIEW)
    assert '<body data-base="/team" data-prefix="/team/zilliz">' in html


# A cluster


def test_the_page_of_a_cluster_shows_its_backups(world: World, visitor: Visitor) -> None:
    cluster = world.control_plane.clusters[CLUSTER_ID]
    world.someone_backs_up(seconds=0, creation_method="AUTO", retention_days=7)
    world.clock.sleep(60)
    manual = world.someone_backs_up(seconds=0)
    world.clock.sleep(60)
    world.control_plane.start_backup(
        cluster,
        operation="x",
        backup_type="COLLECTION",
        databases={"sales": cluster.databases["sales"]},
        plan=JobPlan(seconds=0),
    )
    running = world.someone_backs_up(seconds=100)
    html = visitor.settle(CLUSTER)
    text = text_of(html)
    assert "4 backups, the newest first" in text
    assert "as of 2026-03-02 10:02 UTC" in text
    assert "sales.customers, sales.orders" in text
    assert text.count("aws-us-west-2") == 4
    assert "never" in text
    assert f"{running.backup_name} {running.backup_id} creating" in text
    assert text.count("Restore this one") == 3
    assert f'backup_id="{manual.backup_id}"' in text
    assert "Size of backups of the whole cluster" in text


def test_the_code_that_restores_runs(world: World, visitor: Visitor) -> None:
    from airflow_provider_zbackup.operators import restore

    whole = world.someone_backs_up(seconds=0)
    world.clock.sleep(60)
    collections = world.someone_backs_up(seconds=0, backup_type="COLLECTION")
    html = visitor.settle(CLUSTER)
    tasks = [
        eval(text_of(code), dict(vars(restore))) for code in re.findall(r"<pre[^>]*>(.*?)</pre>", html, re.S)
    ]
    assert [type(task) for task in tasks] == [
        restore.ZillizRestoreCollectionsOperator,
        restore.ZillizRestoreClusterOperator,
    ]
    assert [task.backup_id for task in tasks] == [collections.backup_id, whole.backup_id]
    assert {task.cluster_id for task in tasks} == {CLUSTER_ID}
    assert {task.zilliz_conn_id for task in tasks} == {"zilliz_default"}
    assert tasks[0].suffix == "_restored"
    assert tasks[1].cluster_name == "restored-{{ dag_run.run_after | ts_nodash }}"


def test_a_backup_of_a_dropped_cluster_can_be_restored_too(
    world: World, visitor: Visitor, allowed: set[str]
) -> None:
    world.monkeypatch.setenv("AIRFLOW_CONN_EU", json.dumps(world.connection))
    allowed.add("eu")
    world.someone_backs_up(seconds=0)
    world.someone_backs_up(seconds=0, backup_type="COLLECTION")
    world.control_plane.set_cluster_status(CLUSTER_ID, "DELETED")
    text = text_of(visitor.settle(f"/clusters/{CLUSTER_ID}?connection=eu"))
    assert "Dropped; its backups are kept and billed" in text
    assert f'project_id="{seed.PROJECT_ID}", cu_size=1,' in text
    assert 'destination_cluster_id="in01-...", suffix="_restored",' in text
    assert 'zilliz_conn_id="eu"' in text


def test_copies_in_other_regions_are_shown(world: World, visitor: Visitor) -> None:
    world.hook.create_backup(CLUSTER_ID, copy_to_regions=["aws-us-east-1"])
    world.clock.sleep(60)
    text = text_of(visitor.settle(CLUSTER))
    assert "aws-us-west-2 also aws-us-east-1" in text


def test_many_backups_come_in_pages(world: World, visitor: Visitor) -> None:
    world.connect(extra={"requests_per_second": 1000})
    for _ in range(51):
        world.someone_backs_up(seconds=0)
    html = visitor.settle(CLUSTER)
    assert "page 1 of 2" in text_of(html)
    assert len(world.requests("describe_backup")) == 50
    assert "page 2 of 2" in text_of(visitor.get(f"{CLUSTER}&page=2&part=true"))


def test_a_cluster_without_backups_and_one_that_cannot_have_any(world: World, visitor: Visitor) -> None:
    assert "There is no backup of this cluster yet" in visitor.settle(CLUSTER)
    free = visitor.settle(f"/clusters/{seed.FREE_CLUSTER_ID}?connection=zilliz_default")
    assert "Cannot have backups" in free
    assert "no backup of this cluster yet" not in free


def test_a_cluster_that_nobody_knows(world: World, visitor: Visitor) -> None:
    assert "No cluster in01-x" in visitor.settle("/clusters/in01-x?connection=zilliz_default")


# A job


def test_a_job_tells_its_progress(world: World, visitor: Visitor) -> None:
    job_id = world.someone_backs_up(seconds=100).job.job_id
    world.clock.sleep(40)
    assert json.loads(visitor.get(f"/jobs/{job_id}?connection=zilliz_default")) == {"progress": 40}
    assert json.loads(visitor.get("/jobs/unknown?connection=zilliz_default")) == {"progress": None}
