"""The test with real vectors that docs/test-your-dags.md shows."""

from __future__ import annotations

from pathlib import Path

from tests.documents import run_shown_test, shown_tests


def test_the_test_that_is_shown_passes_as_it_stands(tmp_path: Path) -> None:
    run_shown_test(tmp_path, shown_tests()[1])
