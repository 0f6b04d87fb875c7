"""The test with real vectors that docs/test-your-dags.md shows."""

from __future__ import annotations

import re
from pathlib import Path

from tests.documents import run_pytest, shown_tests, write_shown_test


def test_the_test_that_is_shown_passes_as_it_stands(tmp_path: Path) -> None:
    write_shown_test(tmp_path, shown_tests()[1])
    said = run_pytest(tmp_path)
    assert re.search(r"^1 passed", said, re.M), said[-9000:]
