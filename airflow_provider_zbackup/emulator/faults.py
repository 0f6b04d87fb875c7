"""What can be made to go wrong, request by request."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Self

from pydantic import Field, field_validator, model_validator

from airflow_provider_zbackup.emulator.checked_model import CheckedModel
from airflow_provider_zbackup.emulator.formats import Json
from airflow_provider_zbackup.emulator.jobs import JobPlan

ANY_OPERATION = "*"
_BODILESS = frozenset({*range(100, 200), 204, 304})
# What starts jobs without a request of its own; a rule with a ``job`` can name these too.
BACKGROUND_OPERATIONS = frozenset({"automatic_backup", "copy_backup"})


class FaultRule(CheckedModel):
    """
    One thing that goes wrong, with exactly one effect.

    :param operation: the operation it is about, such as ``create_backup``, or ``*``.
    :param skip: how many matching requests go by unharmed first.
    :param times: how often it then happens; None for ever.
    :param after: for ``status``, ``code``, ``delay`` and ``drop``: do the work first.
    :param status: effect: answer with this HTTP status ...
    :param headers: ... and these headers ...
    :param body: ... and this body: text is sent as HTML, anything else as JSON.
    :param code: effect: answer HTTP 200 with this application code ...
    :param message: ... and this message.
    :param delay: effect: wait this many real seconds.
    :param drop: effect: close the connection without a byte of an answer.
    :param truncate: effect: do the work and cut the answer in the middle.
    :param garbage: effect: do the work and answer valid JSON of a wrong shape.
    :param job: effect: what happens to the job that the operation starts.
    :param fired: how often it has happened.
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
    delay: float | None = Field(default=None, ge=0)
    drop: bool = False
    truncate: bool = False
    garbage: bool = False
    job: JobPlan | None = None
    fired: int = 0

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
    def is_answer(self) -> bool:
        """Whether it takes the place of the answer, rather than slowing it down or shaping a job."""
        return self.delay is None and self.job is None

    @property
    def lets_work_happen(self) -> bool:
        """Whether the operation itself is carried out."""
        return self.after or self.truncate or self.garbage or not self.is_answer


class Faults:
    """
    The list of rules. For each request the first one that applies counts, once for its answer, once for its
    delay, once for its job; the others wait for their turn.
    """

    def __init__(self) -> None:
        self.rules: list[FaultRule] = []

    def add(self, operation: str, **effect: Json) -> FaultRule:
        """
        Add a rule at the end of the list.

        :param operation: the operation it is about, or ``*``.
        :param effect: the other fields of :class:`FaultRule`; ``job`` may be a dict of :class:`JobPlan`'s.
        :raises ValueError: when the fields make no rule.
        """
        rule = FaultRule(operation=operation, **effect)
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Remove all rules."""
        self.rules.clear()

    def take_answer(self, operation: str) -> FaultRule | None:
        """Return the rule that spoils this request's answer, and count it."""
        return self._take(operation, lambda rule: rule.is_answer)

    def take_delay(self, operation: str) -> FaultRule | None:
        """Return the rule that slows this request down, and count it."""
        return self._take(operation, lambda rule: rule.delay is not None)

    def take_job(self, operation: str) -> JobPlan:
        """Return what is going to happen to the job that starts now, and count the rule that says so."""
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

    def answer(self) -> list[dict[str, Json]]:
        """Draw the rules for the admin API."""
        return [rule.model_dump() for rule in self.rules]
