"""What the sensors of this provider have in common."""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_zbackup.arguments import check_choice, check_id, check_seconds
from airflow_provider_zbackup.deferral import EARLIEST_EVENT, Deferral
from airflow_provider_zbackup.hooks.zilliz import ZillizHook
from airflow_provider_zbackup.links.zilliz import ZillizConsoleLink
from airflow_provider_zbackup.task_failure import failing, payload
from airflow_provider_zbackup.zilliz.flows.steps import Flow
from airflow_provider_zbackup.zilliz.flows.waiting import Wait

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_zbackup.triggers.base import ZillizTrigger


class ZillizSensor(Deferral, BaseSensorOperator):
    """
    Base of the sensors: one flow decides in poke, reschedule and deferrable mode alike.

    :param deferrable: whether to wait in the triggerer, which holds no worker; by default as Airflow's
        ``[operators] default_deferrable`` says. ``poke_interval`` then is the longest pause between two
        looks, ``mode`` does not matter, and ``timeout`` and ``soft_fail`` mean what they always mean
    :param defer_after: how long to wait in the worker before deferring, in seconds
    :param end_from_trigger: whether a deferred task that went well ends in the triggerer, without coming
        back to a worker: sooner and cheaper, but Airflow then ignores its ``outlets`` and success callbacks
    :param zilliz_conn_id: :ref:`Airflow connection <howto/connection>` of type ``zilliz`` (templated)
    """

    def __init__(
        self,
        *,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        defer_after: float = 6.0,
        end_from_trigger: bool = False,
        zilliz_conn_id: str = ZillizHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable
        self.defer_after = defer_after
        self.end_from_trigger = end_from_trigger
        self.zilliz_conn_id = zilliz_conn_id
        check_choice("deferrable", deferrable, (True, False))
        check_choice("end_from_trigger", end_from_trigger, (True, False))
        check_seconds("poke_interval", self.poke_interval)
        check_seconds("timeout", self.timeout)
        check_seconds("defer_after", defer_after)
        check_id("zilliz_conn_id", zilliz_conn_id)
        if end_from_trigger:
            self.warn_of_what_is_lost()

    @abstractmethod
    def check_arguments(self, *, rendered: bool = False) -> None:
        """
        Raise :class:`~airflow_provider_zbackup.arguments.ArgumentError` if an argument cannot be used.

        :param rendered: whether templates have been rendered
        """

    @abstractmethod
    def console_url(self) -> str:
        """Return the page of the web console that shows what is waited for."""

    @abstractmethod
    def flow(self, wait: Wait) -> Flow[Any]:
        """Return the flow that waits; its result becomes the XCom, and ``None`` means not yet."""

    @abstractmethod
    def trigger(self, **timing: Any) -> ZillizTrigger:
        """Return the trigger that waits; its event has the XCom under ``result``."""

    @cached_property
    def hook(self) -> ZillizHook:
        return ZillizHook(self.zilliz_conn_id)

    def poke(self, context: Context) -> PokeReturnValue:
        with failing(self):
            now = time.time()
            seen = self.hook.client.run(
                self.flow(Wait(deadline=math.inf, longest_pause=self.poke_interval, leave_after=now)),
                note=self.log.info,
            )
        return PokeReturnValue(is_done=seen is not None, xcom_value=seen)

    def execute(self, context: Context) -> Any:
        # Through resume_execution, for that is where Airflow applies soft_fail when nothing is poked.
        self.resume_execution(self._prepare.__name__, None, context)
        if not self.deferrable:
            return super().execute(context)
        return self.resume_execution(self._wait_in_worker.__name__, None, context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSkipException:
            raise
        except Exception as error:
            # Airflow itself applies it to its own errors only, and before 3.0 not at all.
            if getattr(self, "never_fail", False):
                raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
            raise

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Return what the trigger has seen."""
        with failing(self):
            (result,) = payload(event, "result")
            return result

    def _prepare(self, context: Context) -> None:
        with failing(self):
            check_id("zilliz_conn_id", self.zilliz_conn_id, rendered=True)
            self.check_arguments(rendered=True)
            ZillizConsoleLink.persist(context, self.console_url())

    def _wait_in_worker(self, context: Context) -> Any:
        """Wait for a moment, since the answer may be there already, and only then defer."""
        now = time.time()
        wait = Wait(
            deadline=now + self.limited(self.timeout),
            longest_pause=self.poke_interval,
            leave_after=now + self.defer_after,
        )
        with failing(self):
            seen = self.hook.client.run(self.flow(wait), note=self.log.info)
        if seen is not None:
            return seen
        self.defer_to(
            self.trigger(
                zilliz_conn_id=self.zilliz_conn_id,
                deadline=wait.deadline,
                poll_interval=self.poke_interval,
                since=now,
                not_before=time.time() + EARLIEST_EVENT,
                end_from_trigger=self.end_from_trigger,
            ),
            self.execute_complete.__name__,
        )
