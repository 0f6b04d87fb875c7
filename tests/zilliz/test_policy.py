"""Setting a policy: only what differs is sent, and no lost answer starts a second automatic backup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.checks import ArgumentError
from airflow_provider_zbackup.zilliz.errors import (
    ZillizBadRequestError,
    ZillizConnectionError,
    ZillizError,
    ZillizPermissionError,
    ZillizProtocolError,
    ZillizRefusedError,
    ZillizServerError,
    ZillizThrottledError,
    ZillizUncertainError,
)
from airflow_provider_zbackup.zilliz.flows.policy import as_request, set_policy
from airflow_provider_zbackup.zilliz.models import BackupPolicy
from airflow_provider_zbackup.zilliz.operations import Operation, get_backup_policy
from airflow_provider_zbackup.zilliz.requests import SetBackupPolicyRequest
from tests.zilliz.driver import CLUSTER, Driver, always, scripted

SHOWN = {
    "clusterId": CLUSTER,
    "status": "ENABLED",
    "startTime": "02:00-04:00",
    "frequency": "1,2,3,5",
    "retentionDays": 7,
    "crossRegionCopies": [{"regionId": "aws-us-west-2", "retentionDays": 7, "region": "us-west-2"}],
}
WANTED = SetBackupPolicyRequest.of(
    ["friday", "monday", "tuesday", "wednesday"], 2, 7, copies={"aws-us-west-2": 7}
)
OFF = SetBackupPolicyRequest(enabled=False)
DISABLED = {"status": "DISABLED", "startTime": None, "frequency": None, "retentionDays": 0}
#: How the web console's own schedules might read.
FOREIGN: dict[str, dict[str, Any]] = {
    "monthly": {"frequency": "MONTHLY"},
    "day of the month": {"frequency": "15"},
    "cron": {"frequency": "0 2 1 * *"},
    "no frequency": {"frequency": None},
    "an empty frequency": {"frequency": ""},
    "an object": {"frequency": {"type": "monthly", "day": 1}},
    "no window": {"startTime": None},
    "a moment": {"startTime": "02:00"},
    "four hours": {"startTime": "02:00-06:00"},
    "with a zone": {"startTime": "02:00-04:00 Asia/Tokyo"},
    "a zone beside": {"timeZone": "Asia/Tokyo"},
    "a cron schedule beside": {"cronExpression": "0 2 1 * *"},
    "no retention": {"retentionDays": None},
    "no retention of a copy": {"crossRegionCopies": [{"regionId": "aws-us-west-2"}]},
    "an unknown status": {"status": "PAUSED"},
    "no status": {"status": None},
}


def shown(**changes: Any) -> BackupPolicy:
    return get_backup_policy(CLUSTER).read(SHOWN | changes)


@dataclass
class Cloud:
    """
    A cluster with a policy.

    :param lost: errors for the next calls that set it
    :param is_done: whether such a call is carried out nevertheless
    :param lag: how long reads show the old policy, in seconds
    """

    policy: BackupPolicy
    lost: list[ZillizError]
    is_done: bool = False
    lag: float = 0.0
    backups: int = 0

    def driver(self) -> Driver:
        self.old, self.visible = self.policy, 0.0
        driver = Driver(self.answer)
        self.clock = driver
        return driver

    def answer(self, operation: Operation[Any]) -> Any:
        if operation.name == "get backup policy":
            return self.policy if self.clock.elapsed >= self.visible else self.old
        assert operation.name == "set backup policy"
        error = self.lost.pop(0) if self.lost else None
        if error is None or self.is_done:
            assert operation.request is not None
            body = operation.request.body()
            self.policy = shown(**(body if body["enabled"] else DISABLED))
            self.backups += body["enabled"]
            self.visible = self.clock.elapsed + self.lag
        return error or BackupPolicy(cluster_id=CLUSTER)


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (
            WANTED,
            {
                "enabled": True,
                "frequency": "1,2,3,5",
                "startTime": "02:00-04:00",
                "retentionDays": 7,
                "crossRegionCopies": [{"regionId": "aws-us-west-2", "retentionDays": 7}],
            },
        ),
        (
            SetBackupPolicyRequest.of(["sunday"], "23", "30"),
            {
                "enabled": True,
                "frequency": "7",
                "startTime": "23:00-01:00",
                "retentionDays": 30,
                "crossRegionCopies": [],
            },
        ),
        (OFF, {"enabled": False, "crossRegionCopies": []}),
    ],
    ids=["copies", "around midnight", "disabled"],
)
def test_the_body_is_the_documented_one_and_always_has_the_copies(
    request_: SetBackupPolicyRequest, body: dict[str, Any]
) -> None:
    assert request_.body() == body


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"weekdays": "monday"}, r"weekdays must be a list of weekdays, not a string: write \['monday'\]"),
        ({"weekdays": "0 2 * * 1"}, r"weekdays must be a list such as \['monday', 'thursday'\], not '0 2 \*"),
        ({"weekdays": ["Monday"]}, "each of weekdays must be one of monday, .*, sunday, not 'Monday'"),
        ({"start_hour": 24}, "start_hour must be a whole number from 0 to 23, not 24"),
        ({"retention_days": 31}, "retention_days must be a whole number from 1 to 30, not 31"),
        ({"copies": ["aws-us-west-2"]}, "copies must be a mapping of region ids to days"),
        ({"copies": {"": 1}}, "each region of copies must not be empty"),
        ({"copies": {"r": 0}}, "the days of r in copies must be a whole number from 1 to 30, not 0"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused_whoever_asks_for_it(changes: dict[str, Any], text: str) -> None:
    good: dict[str, Any] = {"weekdays": ["monday"], "start_hour": 2, "retention_days": 7}
    with pytest.raises(ArgumentError, match=text):
        SetBackupPolicyRequest.of(**good | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"frequency": "5, 3,2 ,1"},
        {"startTime": "2:00 - 4:00"},
        {"retentionDays": "7"},
        {"status": "enabled"},
        {"timeZone": "UTC", "cron": None, "somethingNew": 5},
    ],
    ids=str,
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_policy_that_is_so_already_is_left_alone(changes: dict[str, Any], overwrite: bool) -> None:
    driver = always(shown(**changes))
    assert driver.run(set_policy(CLUSTER, WANTED, overwrite=overwrite)) is False
    assert driver.calls == ["get backup policy"]
    assert driver.notes == [f"The backup policy of cluster {CLUSTER} is already so; nothing was changed."]


@pytest.mark.parametrize("answer", [DISABLED, None, DISABLED | {"crossRegionCopies": None}], ids=str)
def test_a_disabled_policy_is_not_disabled_again(answer: Any) -> None:
    driver = always(get_backup_policy(CLUSTER).read(answer))
    assert driver.run(set_policy(CLUSTER, OFF)) is False


def test_the_log_shows_each_difference_before_the_change() -> None:
    cloud = Cloud(shown(startTime="02:30-04:30", frequency="1,7", crossRegionCopies=[]), [])
    driver = cloud.driver()
    assert driver.run(set_policy(CLUSTER, WANTED)) is True
    assert driver.notes == [
        f"Changing the backup policy of cluster {CLUSTER}:",
        "  weekdays: monday, sunday -> monday, tuesday, wednesday, friday",
        "  window: 02:30-04:30 UTC -> 02:00-04:00 UTC",
        "  copies: none -> aws-us-west-2 for 7 days",
        "This starts an automatic backup at once. No manual one can start during it.",
        f"The backup policy of cluster {CLUSTER} is set.",
    ]
    assert driver.calls == ["get backup policy", "set backup policy", "get backup policy"]


def test_disabling_shows_what_ends_and_warns_of_no_backup() -> None:
    cloud = Cloud(shown(), [])
    driver = cloud.driver()
    assert driver.run(set_policy(CLUSTER, OFF)) is True
    assert "  policy: enabled -> disabled" in driver.notes
    assert "  backups are kept: 7 days -> none" in driver.notes
    assert not [note for note in driver.notes if "at once" in note]


@pytest.mark.parametrize("changes", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("wanted", [WANTED, OFF], ids=["enable", "disable"])
def test_a_policy_that_this_api_cannot_express_is_not_overwritten(
    changes: dict[str, Any], wanted: SetBackupPolicyRequest
) -> None:
    driver = always(shown(**changes))
    with pytest.raises(ZillizBadRequestError, match="Set overwrite=True to replace it") as caught:
        driver.run(set_policy(CLUSTER, wanted))
    assert driver.calls == ["get backup policy"]
    for name, value in changes.items():
        if isinstance(value, str) and name != "status":
            assert value in str(caught.value), "It says what was read."


@pytest.mark.parametrize("changes", FOREIGN.values(), ids=FOREIGN)
def test_it_is_overwritten_when_told(changes: dict[str, Any]) -> None:
    cloud = Cloud(shown(**changes), [])
    driver = cloud.driver()
    assert driver.run(set_policy(CLUSTER, WANTED, overwrite=True)) is True
    assert driver.notes[0].startswith("Replacing a backup policy that this API cannot express")
    assert "  window: unknown -> 02:00-04:00 UTC" in driver.notes
    assert as_request(cloud.policy) == WANTED


LOST = [
    ZillizConnectionError("No answer."),
    ZillizServerError("HTTP 500."),
    ZillizProtocolError("Not JSON."),
]
UNSENT = [
    ZillizConnectionError("Connection refused.", unprocessed=True),
    ZillizThrottledError("Too many requests.", unprocessed=True, retry_after=7),
]


@pytest.mark.parametrize("lag", [0, 10, 50])
@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
def test_a_lost_answer_starts_no_second_backup(error: ZillizError, lag: float) -> None:
    cloud = Cloud(shown(**DISABLED), [error], is_done=True, lag=lag)
    driver = cloud.driver()
    assert driver.run(set_policy(CLUSTER, WANTED)) is True
    assert (cloud.backups, driver.calls.count("set backup policy")) == (1, 1)
    assert f"{error} Checking whether it was done." in driver.notes


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
def test_what_was_lost_before_it_was_done_is_sent_again_when_that_is_sure(error: ZillizError) -> None:
    cloud = Cloud(shown(**DISABLED), [error])
    driver = cloud.driver()
    assert driver.run(set_policy(CLUSTER, WANTED)) is True
    assert (cloud.backups, driver.calls.count("set backup policy")) == (1, 2)
    assert driver.elapsed >= 60


@pytest.mark.parametrize("error", UNSENT, ids=lambda error: type(error).__name__)
def test_what_was_certainly_not_done_is_sent_again_soon(error: ZillizError) -> None:
    cloud = Cloud(shown(**DISABLED), [error])
    driver = cloud.driver()
    assert driver.run(set_policy(CLUSTER, WANTED)) is True
    assert cloud.backups == 1
    assert (error.retry_after or 0) <= driver.elapsed < 10


@pytest.mark.parametrize("error", [*LOST, *UNSENT], ids=lambda error: type(error).__name__)
def test_trouble_that_lasts_ends_in_its_error(error: ZillizError) -> None:
    driver = Cloud(shown(**DISABLED), [error] * 6).driver()
    with pytest.raises(type(error)):
        driver.run(set_policy(CLUSTER, WANTED))
    assert driver.calls.count("set backup policy") == 6


@pytest.mark.parametrize(
    "error", [ZillizPermissionError("Not permitted."), ZillizRefusedError("Declined.", code=98765)], ids=str
)
def test_a_refusal_is_an_error_at_once(error: ZillizError) -> None:
    driver = Cloud(shown(**DISABLED), [error]).driver()
    with pytest.raises(type(error)):
        driver.run(set_policy(CLUSTER, WANTED))
    assert driver.calls.count("set backup policy") == 1


def test_an_accepted_change_that_shows_late_is_not_sent_again() -> None:
    cloud = Cloud(shown(**DISABLED), [], lag=50)
    assert cloud.driver().run(set_policy(CLUSTER, WANTED)) is True
    assert cloud.backups == 1


def test_an_accepted_change_that_never_shows_is_an_error_that_no_retry_repeats() -> None:
    driver = Driver(
        lambda operation: BackupPolicy() if operation.request else get_backup_policy(CLUSTER).read(DISABLED)
    )
    with pytest.raises(ZillizUncertainError, match="shows no change after 60 s"):
        driver.run(set_policy(CLUSTER, WANTED))
    assert driver.calls.count("set backup policy") == 1


def test_a_policy_that_somebody_changes_in_the_meantime_is_checked_again() -> None:
    """The answer is lost, and then there is a schedule of the console."""
    driver = scripted(shown(**DISABLED), LOST[0], *[shown(frequency="0 2 1 * *")] * 40)
    with pytest.raises(ZillizBadRequestError, match="Set overwrite=True"):
        driver.run(set_policy(CLUSTER, WANTED))
    assert driver.calls.count("set backup policy") == 1
