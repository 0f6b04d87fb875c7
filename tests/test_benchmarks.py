"""The benchmark with a server of its own, for whose answers it would wait for ever if they were wrong."""

from __future__ import annotations

from benchmarks import waits


def test_a_wait_polls() -> None:
    with waits.server() as run:
        assert run("ours", 3, 0.1, arrival=0.1)["longest_block_ms"] > 0
