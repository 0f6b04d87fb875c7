"""Fault rules: they decide which requests and jobs go wrong, and how."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Self

from pydantic import Field, field_validator, model_validator

from airflow_provider_zbackup.emulator.checked_model import CheckedModel, Seconds
from airflow_provider_zbackup.emulator.formats import Json
from airflow_provider_zbackup.emulator.jobs import JobPlan

ANY_OPERATION = "*"
_BODILESS = frozenset({*range(100, 200), 204, 304})
# These start jobs without a request. Only rules with a ``job`` apply to them.
BACKGROUND_OPERATIONS = frozenset({"automatic_backup", "copy_backup"})


class FaultRule(CheckedModel):
    """
    One thing that goes wrong.

    A rule has exactly one effect: ``status``, ``code``, ``delay``, ``drop``, ``truncate``, ``garbage`` or
    ``job``.

    :param operation: such as ``create_backup``; ``*`` means all operations.
    :param skip: the rule ignores this many requests first.
    :param times: then it applies this many times; None means always.
    :param after: the operation does its work before the ``status``, ``code``, ``delay`` or ``drop``.
    :param status: the answer has this HTTP status.
    :param headers: the headers for ``status``.
    :param body: the body for ``status``. A text is sent as HTML, everything else as JSON.
    :param code: the answer is HTTP 200 with this code of the API.
    :param message: the message for ``code``.
    :param delay: the answer comes after this many real seconds.
    :param drop: the connection closes without an answer.
    :param truncate: the operation does its work, but the answer breaks off in the middle.
    :param garbage: the operation does its work, but the answer is JSON of a wrong form.
    :param job: the plan of the job that the operation starts.
    :param fired: how often the rule has applied.
    """

    operation: str
    skip: int = Field(default=0, ge=0)
    times: int | None = Field(default=None, ge=0)
    after: bool = False
    status: int | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    body: Json = None
    code: int | None = None
    message: str = ""
    delay: Seconds | None = None
    drop: bool = False
    truncate: bool = False
    garbage: bool = False
    job: JobPlan | None = None
    fired: int = 0

    @field_validator("operation")
    @classmethod
    def _operation_exists(cls, operation: str) -> str:
        # The operations need the control plane, which needs this module.
        from airflow_provider_zbackup.emulator.api import OPERATIONS

        known = {each.name for each in OPERATIONS} | BACKGROUND_OPERATIONS | {ANY_OPERATION}
        if operation not in known:
            raise ValueError(f"must be one of {', '.join(sorted(known))}")
        return operation

    @field_validator("status")
    @classmethod
    def _status_has_a_body(cls, status: int | None) -> int | None:
        if status is not None and (status not in set(HTTPStatus) or status in _BODILESS):
            raise ValueError("must be an HTTP status that comes with a body")
        return status

    @model_validator(mode="after")
    def _has_one_effect(self) -> Self:
        chosen = [
            self.status is not None,
            self.code is not None,
            self.delay is not None,
            self.drop,
            self.truncate,
            self.garbage,
            self.job is not None,
        ]
        if sum(chosen) != 1:
            raise ValueError(
                "a rule has exactly one effect: status, code, delay, drop, truncate, garbage or job"
            )
        return self

    @property
    def words(self) -> str:
        """The rule for people, such as ``all requests: HTTP 503, applied 2 of 5 times``."""
        effects = {
            f"HTTP {self.status}": self.status is not None,
            f"code {self.code}": self.code is not None,
            f"{self.delay:g} s late" if self.delay is not None else "": self.delay is not None,
            "no answer": self.drop,
            "half an answer": self.truncate,
            "a wrong answer": self.garbage,
            f"the job ends as {self.job.status}" if self.job else "": self.job is not None,
        }
        effect = next(words for words, is_chosen in effects.items() if is_chosen)
        what = "all requests" if self.operation == ANY_OPERATION else self.operation
        limit = "" if self.times is None else f" of {self.times}"
        return f"{what}: {effect}, applied {self.fired}{limit} times"

    @property
    def is_answer(self) -> bool:
        """Whether the rule changes the answer, and does not only delay it or plan a job."""
        return self.delay is None and self.job is None

    @property
    def lets_work_happen(self) -> bool:
        """Whether the operation does its work."""
        return self.after or self.truncate or self.garbage or not self.is_answer


class Faults:
    """
    All fault rules, in their order.

    For each request, the first rule for the answer applies, the first for the delay and the first for the
    job. The next rules wait until these have applied ``times`` times.
    """

    def __init__(self) -> None:
        self.rules: list[FaultRule] = []

    def add(self, operation: str, **effect: Json) -> FaultRule:
        """
        Add a rule at the end.

        :param operation: such as ``create_backup``; ``*`` means all operations.
        :param effect: the other fields of :class:`FaultRule`. ``job`` may be a dict.
        :raises ValueError: for a wrong field.
        """
        rule = FaultRule(operation=operation, **effect)
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Remove all rules."""
        self.rules.clear()

    def take_answer(self, operation: str) -> FaultRule | None:
        """Return the rule for the answer to this request, and count it as applied."""
        return self._take(operation, lambda rule: rule.is_answer)

    def take_delay(self, operation: str) -> FaultRule | None:
        """Return the rule for the delay of this request, and count it as applied."""
        return self._take(operation, lambda rule: rule.delay is not None)

    def take_job(self, operation: str) -> JobPlan:
        """Return the plan for the job that starts now, and count its rule as applied."""
        rule = self._take(operation, lambda rule: rule.job is not None)
        return (rule and rule.job) or JobPlan()

    def _take(self, operation: str, kind: Callable[[FaultRule], bool]) -> FaultRule | None:
        for rule in self.rules:
            if rule.operation not in (operation, ANY_OPERATION) or not kind(rule):
                continue
            if rule.skip > 0:
                rule.skip -= 1
            elif rule.times is None or rule.fired < rule.times:
                rule.fired += 1
                return rule
        return None

    def to_json(self) -> list[dict[str, Json]]:
        """Return the rules for the admin API."""
        return [rule.model_dump() for rule in self.rules]
