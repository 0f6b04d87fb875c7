"""The forms of ids and times in the API: https://docs.zilliz.com/reference/restful/describe-backup-v2"""

from __future__ import annotations

import math
import re
import secrets
import string
from calendar import timegm
from datetime import UTC, datetime
from time import strptime
from typing import Any, TypeAlias

Json: TypeAlias = Any

DAY = 86_400
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
#: Milvus takes no other names of databases and collections.
_NAME = re.compile(r"[A-Za-z_]\w{0,254}", re.ASCII)


def iso_time(seconds: float) -> str:
    """Write seconds since the epoch as the API does: ISO 8601, UTC, whole seconds."""
    return datetime.fromtimestamp(math.floor(seconds), UTC).strftime(_TIME_FORMAT)


def parse_time(text: str) -> float:
    """
    Read a time such as ``2024-07-30T16:49:50Z``.

    :raises ValueError: for any other form.
    """
    return timegm(strptime(text, _TIME_FORMAT))


def is_name(text: str) -> bool:
    """Return whether a database or a collection can have this name."""
    return _NAME.fullmatch(text) is not None


def new_backup_id(number: int) -> str:
    """Return an id such as ``backup0_1e3c0988ecb7f0d``."""
    return f"backup{number}_{_hexadecimal(15)}"


def new_cluster_id() -> str:
    """Return the id of a Dedicated cluster, such as ``in01-31a6b840e50b72d``."""
    return f"in01-{_hexadecimal(15)}"


def new_job_id() -> str:
    """Return an id such as ``job-03e1eefbd82dmo2oeb8pe2``."""
    return "job-" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(22))


def _hexadecimal(length: int) -> str:
    return secrets.token_hex(length)[:length]
