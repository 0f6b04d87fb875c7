"""
What operators and sensors share: checks, the hook, and the way from the worker to the triggerer.

The hook, with its pydantic models, and the triggers are imported only when a task runs: DAG files
are parsed faster without them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar, cast

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_zbackup.links.zilliz import ZillizConsoleLink
from airflow_provider_zbackup.utils.arguments import Argument, check_flag, check_seconds
from airflow_provider_zbackup.utils.errors import log_and_raise
from airflow_provider_zbackup.utils.listeners import has_success_listener
from airflow_provider_zbackup.utils.xcom import can_push_from_trigger, has_backend
from airflow_provider_zbackup.version_compat import got_none_by_mapping
from airflow_provider_zbackup.zilliz.checks import ArgumentError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_zbackup.hooks.zilliz import ZillizHook
    from airflow_provider_zbackup.triggers.base import ZillizTrigger
    from airflow_provider_zbackup.zilliz.flows.steps import Flow

T = TypeVar("T")

#: An event sooner than this after the deferral, in seconds, may find the task not yet deferred and fail it:
#: https://github.com/apache/airflow/issues/66374
EARLIEST_EVENT = 6.0
#: How long a deferrable task waits in its worker by default, in seconds. Less would notice the end of short
#: backups later, more would hold a worker for nothing (docs/benchmarks.md).
DEFER_AFTER = 2.0
#: If the trigger is gone, Airflow ends the deferral this long after the trigger's deadline, in seconds.
BACKSTOP = 180.0
PACKAGE = "airflow-provider-zbackup"
#: Part of the error of a triggerer that cannot import the trigger.
_UNKNOWN_PACKAGE = f"No module named '{__name__.partition('.')[0]}"
NO_CANCEL = "Only Zilliz Cloud's web console can cancel a job: there is no API for it."


class ZillizTask:
    """Mixin for operators and sensors: declared arguments, the hook, and the looks in Airflow's UI."""

    operator_extra_links: Collection[Any] = (ZillizConsoleLink(),)
    ui_color = "#d6ecff"

    #: Arguments of a subclass, which calls :meth:`check_arguments` at the end of its ``__init__``.
    arguments: ClassVar[tuple[Argument, ...]] = ()
    #: Arguments of every task of its kind.
    common_arguments: ClassVar[tuple[Argument, ...]] = (Argument("zilliz_conn_id"),)

    template_fields: Collection[str]
    zilliz_conn_id: str

    #: Id of the cluster that the link leads to, if the task works on one.
    cluster_id: str | None

    @cached_property
    def hook(self) -> ZillizHook:
        from airflow_provider_zbackup.hooks.zilliz import ZillizHook

        return ZillizHook(self.zilliz_conn_id)

    def run_flow(self, flow: Flow[T]) -> T:
        """Run a flow in this worker, with its lines in the task's log."""
        log: Any = self.log  # type: ignore[attr-defined]
        return self.hook.client.run(flow, note=log.info, warn=log.warning)

    def console_url(self) -> str:
        """Return the page of the web console that shows what the task works on."""
        return self.hook.connection.console_url(self.cluster_id)

    def begin(self, context: Context) -> None:
        """Check the rendered arguments, and show the link to the console."""
        url = ""
        try:
            self.check_arguments(rendered=True)
            url = self.console_url()
        finally:
            # Airflow logs an error about a link that has no address at all.
            ZillizConsoleLink.persist(context, url)
        hint = self.hook.connection.console_hint
        self.log.info("Zilliz Cloud console: %s%s", url, hint and f" ({hint})")  # type: ignore[attr-defined]

    def check_arguments(self, *, rendered: bool = False) -> None:
        """
        Check what the DAG author wrote.

        :param rendered: whether templates have been rendered
        :raises ArgumentError: if an argument is unusable
        """
        arguments = (*self.common_arguments, *self.arguments)
        if not rendered:
            self._given = {item.name for item in arguments if getattr(self, item.name) is not None}
        for item in arguments:
            value = getattr(self, item.name)
            if rendered and item.limits and got_none_by_mapping(cast("BaseOperator", self), item.name):
                raise ArgumentError(f"{item.name} is None in a mapped task: leave it out if you mean that")
            # A given value must not render to None: without its collections, a backup would hold everything.
            if value is not None or not item.optional or item.name in self._given:
                item.check(item.name, value, rendered=rendered or item.name not in self.template_fields)


class ZillizWaitingTask(ZillizTask):
    """
    Mixin for operators and sensors that wait: the wait moves from the worker to the triggerer.

    If Airflow ends a deferral (its own time-out, or a crashed trigger) or kills the task, the error or the
    log says what goes on in Zilliz Cloud.
    """

    common_arguments: ClassVar[tuple[Argument, ...]] = (
        Argument("deferrable", check_flag),
        Argument("defer_after", check_seconds),
        Argument("end_from_trigger", check_flag),
        *ZillizTask.common_arguments,
    )

    deferrable: bool
    defer_after: float
    end_from_trigger: bool

    def describe_remote_work(self, context: Context) -> str:
        """Return, in one sentence, what goes on in Zilliz Cloud."""
        raise NotImplementedError

    def cap_to_execution_timeout(self, seconds: float) -> float:
        """Limit a wait to ``execution_timeout``, because Airflow 3 ignores that while a task is deferred."""
        limit: timedelta | None = self.execution_timeout  # type: ignore[attr-defined]
        return seconds if limit is None else min(seconds, limit.total_seconds())

    def wait(
        self, trigger: ZillizTrigger, *, then: Callable[..., Any], defer_immediately: bool = False
    ) -> Any:
        """
        Wait in this worker. A deferrable task moves to the triggerer after ``defer_after``.

        :param then: the method of this task that gets the trigger's event
        :param defer_immediately: whether a deferrable task defers without a first poll here
        :return: the trigger's result
        """
        leave_after = self.hook.clock.time() + self.defer_after if self.deferrable else None
        if not (self.deferrable and defer_immediately):
            log: Any = self.log  # type: ignore[attr-defined]
            result = trigger.wait_in_worker(
                self.hook, note=log.info, warn=log.warning, leave_after=leave_after
            )
            if result is not None:
                return result
        if trigger.end_from_trigger and (lost := self.losses_in_trigger()):
            trigger.end_from_trigger = False
            self.log.info(  # type: ignore[attr-defined]
                "Ending in the triggerer would lose %s, so this task returns to a worker.",
                ", ".join(lost),
            )
        self.log.info("Waiting in the triggerer, which must run.")  # type: ignore[attr-defined]
        self.defer_to(trigger, then)

    def defer_to(self, trigger: ZillizTrigger, then: Callable[..., Any]) -> NoReturn:
        """Leave the wait to a trigger, whose event goes to a method of this task."""
        now = self.hook.clock.time()
        trigger.not_before = max(trigger.not_before or 0.0, now + EARLIEST_EVENT)
        trigger.deadline = max(trigger.deadline, trigger.not_before)
        remaining = max(0.0, trigger.latest_end - now)
        self.defer(  # type: ignore[attr-defined]
            trigger=trigger, method_name=then.__name__, timeout=timedelta(seconds=remaining + BACKSTOP)
        )
        raise AssertionError("defer() does not return")

    def losses_in_trigger(self) -> list[str]:
        """
        Return, in words, what this task would lose if a trigger ended it.

        These are all the things, except metrics, that Airflow does only in a worker when a task succeeds. A
        task that would lose one of them comes back to a worker, even with ``end_from_trigger``.
        """
        task: Any = self
        own = __name__.partition(".")[0]
        losses = {
            "outlets": task.outlets,
            "on_success_callback": task.on_success_callback,
            "post_execute": task._post_execute_hook
            or type(task).post_execute is not BaseOperator.post_execute,
            "execute_complete": type(task).execute_complete.__module__.partition(".")[0] != own,
            "do_xcom_push=False": not task.do_xcom_push,
            "multiple_outputs": task.multiple_outputs,
            "map_index_template": task.map_index_template,
            "the mapping of tasks over its result": task.has_dag() and any(task.iter_mapped_dependants()),
            "the result of the DAG": getattr(task, "returns_dag_result", False),
            "the XCom backend": has_backend(),
            "the form of its result": not can_push_from_trigger(),
            "listeners, such as OpenLineage's": has_success_listener(),
        }
        return [name for name, lost in losses.items() if lost]

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        try:
            return super().resume_execution(next_method, next_kwargs, context)  # type: ignore[misc]
        except Exception as error:
            if next_method != "__fail__":
                raise
            cause = str(error).rstrip(".")
            if _UNKNOWN_PACKAGE in str((next_kwargs or {}).get("traceback")):
                cause += f": the triggerer does not have {PACKAGE}. Install the same version there"
            text = f"{cause}. {self._what_is_known(context)} {NO_CANCEL}"
            log_and_raise(cast("BaseOperator", self), type(error)(text), error)

    def _what_is_known(self, context: Context) -> str:
        try:
            return self.describe_remote_work(context)
        except Exception:
            # The error that ended the deferral matters more than this addition to it.
            self.log.exception("Cannot tell what is running in Zilliz Cloud.")  # type: ignore[attr-defined]
            return "What this task started may still be running."

    def on_kill(self) -> None:
        self.log.warning("Killing this task stops nothing in Zilliz Cloud. %s", NO_CANCEL)  # type: ignore[attr-defined]
