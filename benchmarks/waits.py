"""
What many concurrent waits cost an event loop: this provider against its peers, over TLS on loopback.

Each case is a new process with one event loop, whose waits all poll a server in another process. The waits
of the peers are written here: they do what the peers' triggers do, and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import resource
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.report import table, verdict

TITLE = "Concurrent waits in an event loop"
PATH = "/v2/jobs/job-{:05}"
#: How long the jobs have been running when the waits begin, in seconds.
AGE = 3600.0
#: The waits begin one after the other within this time, in seconds. It is the longest interval between two
#: polls, so that all polls are spread evenly.
ARRIVAL = 60.0
#: Later, the first wait does not work.
FIRST_POLL_SECONDS = 10.0
#: How long to watch for a blocked event loop, at most, in seconds.
BLOCK_SECONDS = 5.0
INTRODUCTION = """\
Each way polls as it does by default, for jobs that have been running for an hour. This provider polls a
job at most once every 60 s, and sends at most 10 requests a second for all waits together. The ways with a
session use aiohttp, whose parser is written in C; the other ways, and this provider, use httpx."""
#: Its length does not depend on the job.
ANSWER = json.dumps(
    {"code": 0, "data": {"jobId": "job-00000", "type": "BACKUP", "status": "IN_PROGRESS", "progress": ""}}
).encode()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 and its key, and return their paths."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


async def serve(certificate: Path, key: Path) -> None:
    """Print the port, and give every request the answer of its job, with as little work as possible."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                job_id = request.split(b" ", 2)[1].rpartition(b"/")[2]
                writer.write(head + ANSWER.replace(b"job-00000", job_id))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


Wait = Callable[[int], Awaitable[None]]
Polled = Callable[[], None]


async def ours(base_url: str, polled: Polled) -> Wait:
    from airflow_provider_zbackup.zilliz.client import AsyncZillizClient
    from airflow_provider_zbackup.zilliz.flows import polling, waiting
    from airflow_provider_zbackup.zilliz.operations import Operation
    from airflow_provider_zbackup.zilliz.settings import ClientSettings

    class CountingClient(AsyncZillizClient):
        async def send(self, operation: Operation[Any]) -> Any:
            reply = await super().send(operation)
            polled()
            return reply

    client = await CountingClient.open(ClientSettings("key", base_url))

    async def wait(number: int) -> None:
        now = time.time()
        how = polling.Wait(deadline=now + 36_000, since=now - AGE)
        await client.run(waiting.wait_for_job(f"job-{number:05}", how), note=lambda text: None)

    return wait


async def session_per_poll(base_url: str, polled: Polled) -> Wait:
    import aiohttp

    async def wait(number: int) -> None:
        while True:
            async with (
                aiohttp.ClientSession(headers={"Authorization": "Bearer key"}) as session,
                session.get(base_url + PATH.format(number)) as response,
            ):
                await response.json()
            polled()
            await asyncio.sleep(60)

    return wait


async def session_per_wait(base_url: str, polled: Polled) -> Wait:
    import aiohttp

    async def wait(number: int) -> None:
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer key"}) as session:
            while True:
                async with session.get(base_url + PATH.format(number)) as response:
                    await response.json()
                polled()
                await asyncio.sleep(30)

    return wait


async def thread_per_poll(base_url: str, polled: Polled) -> Wait:
    import httpx

    client = httpx.Client(headers={"Authorization": "Bearer key"})

    async def wait(number: int) -> None:
        while True:
            (await asyncio.to_thread(client.get, base_url + PATH.format(number))).json()
            polled()
            await asyncio.sleep(60)

    return wait


WAYS = {
    "ours": ours,
    "session per poll, as dbt-cloud (60 s)": session_per_poll,
    "session per wait, as databricks (30 s)": session_per_wait,
    "thread per poll, as anthropic (60 s)": thread_per_poll,
}


def memory_kb() -> float:
    """Return the memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024


async def longest_block(seconds: float) -> float:
    """Watch the event loop for some seconds, and return the longest time for which it was blocked."""
    longest = 0.0
    begin = time.perf_counter()
    while (at := time.perf_counter()) - begin < seconds:
        await asyncio.sleep(0.005)
        longest = max(longest, time.perf_counter() - at - 0.005)
    return longest


async def run_case(way: str, base_url: str, waits: int, seconds: float, arrival: float) -> dict[str, float]:
    """Start the waits within a time, and measure for so many seconds as soon as all of them have polled."""
    polls = 0

    def polled() -> None:
        nonlocal polls
        polls += 1

    wait = await WAYS[way](base_url, polled)
    first = asyncio.ensure_future(wait(0))
    async with asyncio.timeout(FIRST_POLL_SECONDS):
        while not polls:
            await asyncio.sleep(0.01)
    first.cancel()
    memory = memory_kb()
    polls = 0
    tasks = []
    for number in range(waits):
        tasks.append(asyncio.ensure_future(wait(number)))
        # In production, triggers do not start all at the same moment.
        await asyncio.sleep(arrival / waits)
    # With a limit of requests per second, the first poll of the last waits can take long. They count anyway.
    deadline = time.monotonic() + 10.0
    while polls < waits and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    polls = 0
    cpu = time.process_time()
    await asyncio.sleep(seconds)
    cpu = time.process_time() - cpu
    counted = polls
    memory = memory_kb() - memory
    # After the measurement, because this watch uses more CPU time than the waits.
    block = await longest_block(min(BLOCK_SECONDS, seconds))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "polls_per_second": counted / seconds,
        "cpu_ms_per_poll": 1000 * cpu / max(counted, 1),
        "cpu_ms_per_wait_minute": 60_000 * cpu / seconds / waits,
        "longest_block_ms": 1000 * block,
        "memory_kb_per_wait": memory / waits,
    }


@contextmanager
def server() -> Iterator[Callable[..., dict[str, float]]]:
    """Run the server, and give a function that runs a case against it in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = make_certificate(Path(folder))
        command = [sys.executable, "-m", "benchmarks.waits"]

        def run(way: str, waits: int, seconds: float, arrival: float = ARRIVAL) -> dict[str, float]:
            arguments = [way, base_url, str(waits), str(seconds), str(arrival)]
            done = subprocess.run(
                [*command, "case", *arguments],
                env={"SSL_CERT_FILE": str(certificate), "PATH": ""},
                capture_output=True,
                text=True,
                check=True,
            )
            seen: dict[str, float] = json.loads(done.stdout)
            print(way, waits, seen, file=sys.stderr)
            return seen

        with subprocess.Popen(
            [*command, "serve", str(certificate), str(key)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            base_url = f"https://127.0.0.1:{process.stdout.readline().strip()}"
            try:
                yield run
            finally:
                process.kill()


def measure(*, quick: bool) -> str:
    """Run all cases, and return the section."""
    seconds = 5.0 if quick else 15.0
    counts = (50,) if quick else (200, 1000, 5000)
    with server() as run:
        # The largest cases first: if something is wrong, they show it.
        cases = {(waits, way): run(way, waits, seconds) for waits in reversed(counts) for way in WAYS}
    rows = [
        [
            f"{waits:,}",
            way,
            f"{cases[waits, way]['cpu_ms_per_wait_minute']:.2f}",
            f"{cases[waits, way]['cpu_ms_per_poll']:.2f}",
            f"{cases[waits, way]['polls_per_second']:.1f}",
            f"{cases[waits, way]['longest_block_ms']:.1f}",
            f"{cases[waits, way]['memory_kb_per_wait']:.0f}",
        ]
        for waits in counts
        for way in WAYS
    ]
    header = ["waits", "way", "CPU ms per wait and minute", "CPU ms per poll", "polls a second"]
    ours_seen = {waits: cases[waits, "ours"] for waits in counts}
    least = all(
        ours_seen[waits]["cpu_ms_per_wait_minute"] < seen["cpu_ms_per_wait_minute"]
        for (waits, way), seen in cases.items()
        if way != "ours"
    )
    return "\n\n".join(
        [
            INTRODUCTION,
            table([*header, "longest block, ms", "kB per wait"], rows),
            verdict("less CPU per wait and minute than every peer", least),
            verdict(
                "no block above 10 ms", all(seen["longest_block_ms"] <= 10 for seen in ours_seen.values())
            ),
            verdict(
                "less than 30 kB per wait", all(it["memory_kb_per_wait"] < 30 for it in ours_seen.values())
            ),
        ]
    )


def main() -> None:
    """Run the server, or one case."""
    role, *arguments = sys.argv[1:]
    if role == "serve":
        certificate, key = arguments
        asyncio.run(serve(Path(certificate), Path(key)))
    else:
        way, base_url, waits, seconds, arrival = arguments
        case = run_case(way, base_url, int(waits), float(seconds), float(arrival))
        print(json.dumps(asyncio.run(case)))


if __name__ == "__main__":
    main()
