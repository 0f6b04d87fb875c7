"""A trigger that crashes, in a module that the triggerer can import."""

from __future__ import annotations

from collections.abc import AsyncIterator

from airflow.triggers.base import TriggerEvent

from airflow_provider_zbackup.triggers.backup import ZillizBackupTrigger


class CrashingTrigger(ZillizBackupTrigger):
    """Crashes in the first try of its task, and works in the next."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        if self.task_instance and self.task_instance.try_number == 1:
            raise RuntimeError("crashed on purpose")
        async for event in super().run():
            yield event
