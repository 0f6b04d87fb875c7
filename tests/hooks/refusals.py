"""Connections that are refused."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from airflow_provider_zbackup.zilliz.errors import ZillizConfigurationError

KEY = "a-key-that-must-stay-secret-0123456789"


def refusal(define: Any, **fields: Any) -> str:
    """Return why a connection is refused, after checking that none of its values is shown anywhere."""
    with pytest.raises(ZillizConfigurationError) as caught:
        define(**fields)
    error = caught.value
    shown = "".join([str(error), repr(error), repr(error.to_dict()), *traceback.format_exception(error)])
    extra = fields.get("extra")
    values = extra.values() if isinstance(extra, dict) else [extra]
    for value in (KEY, fields.get("password"), fields.get("host"), *values):
        if isinstance(value, str) and len(value.strip()) > 8:
            assert value not in shown
    assert error.unprocessed
    assert str(error).startswith("Airflow connection 'zilliz_default': ")
    return str(error)
