"""One look for all viewers: when it is taken, what it costs, and what remains when it fails."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from pytest_mock import MockerFixture

from airflow_provider_zbackup.emulator import JobPlan, seed
from airflow_provider_zbackup.ui import watch as module
from airflow_provider_zbackup.ui.view import Overview
from airflow_provider_zbackup.ui.watch import LIFETIME, POLICY_LIFETIME, Watch
from tests.support import API_KEY, CLUSTER_ID, World

GENEROUS = 60.0


def run(scenario: Callable[[Watch], Awaitable[None]]) -> None:
    async def main() -> None:
        watch = Watch("zilliz_default")
        await scenario(watch)
        await watch.wait(GENEROUS)

    asyncio.run(main())


async def look(watch: Watch) -> Overview | None:
    watch.look_if_due()
    await watch.wait(GENEROUS)
    return watch.overview


def sent(world: World) -> Counter[str]:
    return Counter(request.operation for request in world.requests())


ONE_LOOK = Counter(list_clusters=1, list_backups=1, list_projects=1)


def test_many_viewers_cost_one_look(world: World) -> None:
    async def scenario(watch: Watch) -> None:
        for _ in range(60):
            watch.look_if_due()
        assert watch.is_looking
        assert watch.overview is None
        await watch.wait(GENEROUS)
        await look(watch)
        assert watch.overview is not None
        assert not watch.is_looking

    run(scenario)
    assert sent(world) == ONE_LOOK


def test_the_next_look_is_due_after_30_s(world: World) -> None:
    async def scenario(watch: Watch) -> None:
        await look(watch)
        world.someone_backs_up(seconds=5)
        world.clock.sleep(LIFETIME - 1)
        overview = await look(watch)
        assert overview is not None
        assert overview.running == 0
        world.clock.sleep(1)
        overview = await look(watch)
        assert overview is not None
        assert overview.count == 1

    run(scenario)
    assert sent(world) == Counter(dict.fromkeys(ONE_LOOK, 2))


def test_a_look_that_takes_long_is_taken_less_often(world: World, mocker: MockerFixture) -> None:
    read = Watch._read

    async def slowly(watch: Watch) -> None:
        await read(watch)
        world.clock.sleep(20)

    mocker.patch.object(Watch, "_read", slowly)

    async def scenario(watch: Watch) -> None:
        await look(watch)
        world.clock.sleep(199)
        await look(watch)
        assert sent(world) == ONE_LOOK
        world.clock.sleep(1)
        await look(watch)

    run(scenario)
    assert sent(world)["list_backups"] == 2


def test_a_look_that_has_waited_long_for_nothing_is_soon_taken_again(world: World) -> None:
    world.fault("list_clusters", times=2, status=503, headers={"Retry-After": "60"})

    async def scenario(watch: Watch) -> None:
        await look(watch)
        assert watch.error
        world.clock.sleep(LIFETIME)
        await look(watch)
        assert not watch.error

    run(scenario)


@pytest.mark.parametrize(
    ("fault", "is_wrong", "words"),
    [
        ({"status": 503}, False, "HTTP 503"),
        ({"drop": True}, False, "No answer"),
        ({"garbage": True}, False, "cannot be read"),
        ({"code": 21119, "message": "The apikey is illegal"}, True, "does not accept the API key"),
        ({"code": 96013, "message": "no"}, True, "Not permitted"),
    ],
)
def test_when_zilliz_cloud_fails_the_last_answer_stays_and_ages(
    world: World, fault: dict[str, object], is_wrong: bool, words: str
) -> None:
    world.someone_backs_up(seconds=0)

    async def scenario(watch: Watch) -> None:
        await look(watch)
        world.fault("list_backups", **fault)
        world.clock.sleep(23 * 3600)
        overview = await look(watch)
        assert overview is not None
        assert (watch.is_wrong, words in watch.error) == (is_wrong, True)
        assert watch.age >= timedelta(hours=23)
        assert overview.rows[-3].words == "of 24 h"
        world.clock.sleep(2 * 3600)
        overview = await look(watch)
        assert overview is not None
        assert overview.fresh == 0
        world.control_plane.faults.clear()
        world.clock.sleep(LIFETIME)
        await look(watch)
        assert watch.error == ""
        assert watch.age < timedelta(seconds=1)

    run(scenario)


def test_a_failed_look_is_not_repeated_for_each_viewer(world: World) -> None:
    world.fault("list_clusters", code=21119, message="The apikey is illegal")

    async def scenario(watch: Watch) -> None:
        for _ in range(5):
            await look(watch)
        assert watch.overview is None
        assert API_KEY not in watch.error

    run(scenario)
    # The client reads the connection again once, since the key may have changed.
    assert sent(world) == Counter(list_clusters=2)


def test_a_key_that_sees_no_projects_shows_their_ids(world: World) -> None:
    world.fault("list_projects", code=96013, message="no permission")

    async def scenario(watch: Watch) -> None:
        overview = await look(watch)
        assert overview is not None
        assert overview.projects == [seed.PROJECT_ID]
        assert watch.error == ""

    run(scenario)


def test_a_connection_without_a_key_is_said(world: World) -> None:
    world.monkeypatch.setenv("AIRFLOW_CONN_ZILLIZ_DEFAULT", '{"conn_type": "zilliz"}')

    async def scenario(watch: Watch) -> None:
        await look(watch)
        assert watch.is_wrong
        assert "API key" in watch.error

    run(scenario)


def test_an_unexpected_error_shows_only_its_type(world: World, mocker: MockerFixture) -> None:
    mocker.patch.object(module, "_everything", autospec=True, side_effect=ValueError(f"with {API_KEY}"))

    async def scenario(watch: Watch) -> None:
        await look(watch)
        assert watch.error == "ValueError; the log of the API server says more."

    run(scenario)


def test_an_answer_that_cannot_be_summed_up_is_an_error_and_not_asked_for_at_once_again(
    world: World, mocker: MockerFixture
) -> None:
    mocker.patch.object(module, "overview_of", autospec=True, side_effect=ValueError)

    async def scenario(watch: Watch) -> None:
        for _ in range(3):
            await look(watch)
        assert watch.error == "ValueError; the log of the API server says more."

    run(scenario)
    assert sent(world) == ONE_LOOK


def test_another_key_forgets_what_the_old_one_saw(world: World) -> None:
    async def scenario(watch: Watch) -> None:
        await look(watch)
        world.connect(password="another-key")
        world.clock.sleep(LIFETIME)
        await look(watch)
        assert watch.overview is None
        assert watch.is_wrong

    run(scenario)


def test_policies_are_asked_for_once_and_again_after_ten_minutes(world: World) -> None:
    async def scenario(watch: Watch) -> None:
        await look(watch)
        assert watch.want_policies([CLUSTER_ID])
        assert watch.want_policies([CLUSTER_ID])
        await watch.wait(GENEROUS)
        assert not watch.want_policies([CLUSTER_ID])
        policy = watch.policies.get(CLUSTER_ID)
        assert policy is not None
        assert policy.is_disabled
        assert sent(world)["get_backup_policy"] == 1
        world.clock.sleep(POLICY_LIFETIME)
        # The old answer is shown until the new one is there.
        assert not watch.want_policies([CLUSTER_ID])
        await watch.wait(GENEROUS)

    run(scenario)
    assert sent(world)["get_backup_policy"] == 2


def test_a_policy_that_cannot_be_told_is_not_asked_for_at_once_again(world: World) -> None:
    world.fault("get_backup_policy", code=96014, message="no permission")

    async def scenario(watch: Watch) -> None:
        for _ in range(3):
            watch.want_policies([CLUSTER_ID])
            await watch.wait(GENEROUS)
        assert watch.policies.is_known(CLUSTER_ID)
        assert watch.policies.get(CLUSTER_ID) is None

    run(scenario)
    assert sent(world)["get_backup_policy"] == 1


def test_details_end_even_if_the_connection_cannot_be_read(world: World) -> None:
    world.monkeypatch.setenv("AIRFLOW_CONN_ZILLIZ_DEFAULT", '{"conn_type": "zilliz"}')

    async def scenario(watch: Watch) -> None:
        assert watch.want_policies([CLUSTER_ID])
        await watch.wait(GENEROUS)
        assert not watch.want_policies([CLUSTER_ID])

    run(scenario)


def test_backups_are_described_only_once(world: World) -> None:
    backup = world.someone_backs_up(seconds=0)
    ids = (CLUSTER_ID, backup.backup_id)

    async def scenario(watch: Watch) -> None:
        for _ in range(3):
            watch.want_backups([ids])
            await watch.wait(GENEROUS)
            world.clock.sleep(86_400)
        shown = watch.backups.get(ids)
        assert shown is not None
        assert shown.region_id == "aws-us-west-2"

    run(scenario)
    assert sent(world)["describe_backup"] == 1


def test_a_job_is_asked_for_at_most_every_ten_seconds(world: World) -> None:
    backup = world.control_plane.start_backup(
        world.control_plane.clusters[CLUSTER_ID], operation="x", plan=JobPlan(seconds=100)
    )

    async def scenario(watch: Watch) -> None:
        seen = []
        for _ in range(5):
            world.clock.sleep(5)
            watch.want_job(backup.job.job_id)
            await watch.wait(GENEROUS)
            job = watch.jobs.get(backup.job.job_id)
            assert job is not None
            seen.append(job.progress)
        assert seen == [0, 0, 15, 15, 25]

    run(scenario)
    assert sent(world)["describe_job"] == 3


def test_what_is_remembered_is_bounded(world: World, mocker: MockerFixture) -> None:
    mocker.patch.object(module, "MOST_DETAILS", 2)
    clusters = [CLUSTER_ID, seed.SECOND_DEDICATED_CLUSTER_ID, seed.FREE_CLUSTER_ID]

    async def scenario(watch: Watch) -> None:
        for cluster in clusters:
            watch.want_policies([cluster])
            await watch.wait(GENEROUS)
        assert [watch.policies.is_known(cluster) for cluster in clusters] == [False, True, True]

    run(scenario)
