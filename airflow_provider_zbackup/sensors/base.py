"""What the sensors of this provider have in common."""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_zbackup.utils.arguments import DEFAULT_CONN_ID, Argument, check_seconds
from airflow_provider_zbackup.utils.errors import log_and_raise, translate_errors, validate_event
from airflow_provider_zbackup.utils.task import DEFER_AFTER, ZillizWaitingTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_zbackup.triggers.base import ZillizTrigger


class ZillizSensor(ZillizWaitingTask, BaseSensorOperator):
    """
    Base of the sensors: the same flow decides in poke, reschedule and deferrable mode.

    :param timeout: when to give up, in seconds, by default after 12 hours. With 0 it is a check: one poll
        decides, or two where the sensor needs two, here in the worker, whatever the mode
    :param deferrable: whether to wait in the triggerer, which holds no worker; by default as Airflow's
        ``[operators] default_deferrable`` says. Then Airflow's ``poke_interval`` (60 s by default) is the
        longest pause between two polls, and ``mode`` has no effect; ``timeout`` and ``soft_fail`` work as
        usual
    :param defer_after: how long to wait in the worker before deferring, in seconds
    :param end_from_trigger: whether a deferred task that went well ends in the triggerer, without coming
        back to a worker. This is sooner and cheaper. A task that would lose something there, such as its
        ``outlets`` or success callbacks, still comes back, and says so in its log
    :param zilliz_conn_id: :ref:`Airflow connection <howto/connection>` of type ``zilliz`` (templated)
    """

    common_arguments: ClassVar[tuple[Argument, ...]] = (
        Argument("poke_interval", check_seconds),
        Argument("timeout", check_seconds),
        *ZillizWaitingTask.common_arguments,
    )

    def __init__(
        self,
        *,
        timeout: float = 12 * 60 * 60.0,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        defer_after: float = DEFER_AFTER,
        end_from_trigger: bool = False,
        zilliz_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(timeout=timeout, **kwargs)
        self.deferrable = deferrable
        self.defer_after = defer_after
        self.end_from_trigger = end_from_trigger
        self.zilliz_conn_id = zilliz_conn_id
        self._last_note, self._noted_at = "", 0.0

    @abstractmethod
    def trigger(self, **timing: Any) -> ZillizTrigger:
        """Return the trigger that waits, here or in the triggerer. Its event brings the XCom."""

    def poke(self, context: Context) -> PokeReturnValue:
        with translate_errors(self):
            seen = self._poking.wait_in_worker(
                self.hook, note=self._note, warn=self._warn, leave_after=self.hook.clock.time()
            )
        return PokeReturnValue(is_done=seen is not None, xcom_value=seen)

    @cached_property
    def _poking(self) -> ZillizTrigger:
        """The trigger of all pokes: what one has learnt serves the next."""
        return self._trigger(deadline=math.inf)

    def execute(self, context: Context) -> Any:
        # Airflow applies soft_fail outside poke only in resume_execution, so go through it.
        self.resume_execution(self._prepare.__name__, None, context)
        # With a timeout of 0, Airflow's own loop may sleep and poll again.
        if self.timeout and not self.deferrable:
            try:
                return super().execute(context)
            except (AirflowSensorTimeout, AirflowSkipException) as error:
                # Airflow's own time-out does not know what was waited for.
                log_and_raise(self, type(error)(f"{self._last_note} {error}".lstrip()), error)
        return self.resume_execution(self._wait.__name__, None, context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSkipException:
            raise
        except Exception as error:
            # Airflow applies never_fail only to its own errors, and before 3.0 not at all.
            if getattr(self, "never_fail", False):
                raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
            # Airflow 3.0 ignores soft_fail when it ends a deferral itself.
            if self.soft_fail and isinstance(error, AirflowSensorTimeout):
                raise AirflowSkipException(str(error)) from error
            raise

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Return what the trigger has seen."""
        with translate_errors(self):
            (result,) = validate_event(event, "result")
            return result

    def _warn(self, text: str) -> None:
        self._note(text, logging.WARNING)

    def _note(self, text: str, level: int = logging.INFO) -> None:
        """Log what a poke saw if it has changed, or once in a while if not."""
        from airflow_provider_zbackup.zilliz.flows.polling import LONGEST_SILENCE

        now = self.hook.clock.time()
        if text != self._last_note or now - self._noted_at >= LONGEST_SILENCE:
            self._last_note, self._noted_at = text, now
            self.log.log(level, text)

    def _prepare(self, context: Context) -> None:
        with translate_errors(self):
            self.begin(context)

    def _wait(self, context: Context) -> Any:
        now = self.hook.clock.time()
        trigger = self._trigger(deadline=now + self.cap_to_execution_timeout(self.timeout), since=now)
        with translate_errors(self):
            return self.wait(trigger, then=self.execute_complete)

    def _trigger(self, **timing: float) -> ZillizTrigger:
        return self.trigger(
            zilliz_conn_id=self.zilliz_conn_id,
            poll_interval=self.poke_interval,
            end_from_trigger=self.end_from_trigger,
            **timing,
        )
