"""Airflow's listeners: plugins that Airflow calls when a task begins or ends."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def has_success_listener() -> bool:
    """Tell whether a listener waits for a task's success. Airflow calls listeners in workers only."""
    return bool(listener_manager().hook.on_task_instance_success.get_hookimpls())


def listener_manager() -> Any:
    """Return Airflow's manager of listeners in workers."""
    try:
        return import_module("airflow.sdk.listener").get_listener_manager()
    except ImportError:
        # Airflow before 3.2
        return import_module("airflow.listeners.listener").get_listener_manager()
