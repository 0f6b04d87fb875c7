"""The emulated Zilliz Cloud, with what only the scenarios ask of it."""

from __future__ import annotations

from airflow_provider_zbackup.emulator.seed import DEDICATED_CLUSTER_ID
from dev.airflow_api import Json
from dev.emulated_cloud import EmulatedCloud

# How long the provider waits for an answer. When a create gets none, the provider searches the list of
# backups for some time after that, so its default of 30 s would make the tests slow.
ANSWER_SECONDS = 6.0


class Cloud(EmulatedCloud):
    """A private Zilliz Cloud for the scenarios."""

    def __init__(self) -> None:
        super().__init__(job_seconds=3, extra={"timeout": ANSWER_SECONDS})

    def hang(self, operation: str, *, after_work: bool = False) -> None:
        """
        Leave one request without an answer for longer than any client waits.

        :param operation: the operation of that request.
        :param after_work: whether the cloud does what was asked; if not, it never does.
        """
        self.fault(operation, delay=3 * ANSWER_SECONDS, after=after_work, times=1)
        if not after_work:
            self.fault(operation, drop=True, times=1)

    def the_only_backup(self) -> Json:
        """Return the one backup there is, and check that the cloud did the work of one create only."""
        backups = self.backups()
        assert len(backups) == 1, f"There must be exactly one backup, not {backups}"
        assert self.creates_done() == 1
        return backups[0]

    def collections(self) -> list[str]:
        """Return the names of the collections of the cluster that is backed up."""
        (cluster,) = [it for it in self.state()["clusters"] if it["clusterId"] == DEDICATED_CLUSTER_ID]
        return [each["name"] for database in cluster["databases"].values() for each in database]

    def creates_done(self) -> int:
        """Return how many creates the cloud has done, whatever it answered."""
        return sum(request["work_done"] for request in self.requests("create_backup"))
