"""
What many concurrent waits cost a triggerer: ours against the ways of the peers, over TLS on loopback.

Each case is a fresh process with one event loop and so many waits, all polling a server in a process of
its own; the process's CPU time is divided by the polls that were made. The peers' ways are written here as
their triggers have them, at their simplest:

- *session per poll*: a new aiohttp session for each look (dbt Cloud, Snowflake, http);
- *session per wait*: one aiohttp session for each trigger (Databricks);
- *thread per poll*: a look of a shared synchronous httpx client in a thread (Anthropic).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

INTERVAL = 10.0
PATH = "/v2/jobs/job-{}"
ANSWER = json.dumps(
    {"code": 0, "data": {"jobId": "job", "type": "BACKUP", "status": "IN_PROGRESS", "progress": ""}}
).encode()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 and its key."""
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
    """Answer every request alike, as cheaply as can be, and print the port."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(head + ANSWER)
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
    from airflow_provider_zbackup.zilliz.flows import waiting
    from airflow_provider_zbackup.zilliz.settings import ClientSettings

    class CountingClient(AsyncZillizClient):
        async def send(self, operation):  # type: ignore[no-untyped-def]
            reply = await super().send(operation)
            polled()
            return reply

    # The pace is that of the others, so that a poll is compared with a poll.
    waiting.poll_pause = lambda age, progress, longest: INTERVAL
    client = await CountingClient.open(ClientSettings("key", base_url, requests_per_second=1e6))

    async def wait(number: int) -> None:
        forever = waiting.Wait(deadline=time.time() + 3600)
        await client.run(waiting.wait_for_job(f"job-{number}", forever), note=lambda text: None)

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
            await asyncio.sleep(INTERVAL)

    return wait


async def session_per_wait(base_url: str, polled: Polled) -> Wait:
    import aiohttp

    async def wait(number: int) -> None:
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer key"}) as session:
            while True:
                async with session.get(base_url + PATH.format(number)) as response:
                    await response.json()
                polled()
                await asyncio.sleep(INTERVAL)

    return wait


async def thread_per_poll(base_url: str, polled: Polled) -> Wait:
    import httpx

    client = httpx.Client(headers={"Authorization": "Bearer key"})

    async def wait(number: int) -> None:
        while True:
            (await asyncio.to_thread(client.get, base_url + PATH.format(number))).json()
            polled()
            await asyncio.sleep(INTERVAL)

    return wait


WAYS = {
    "ours": ours,
    "session per poll": session_per_poll,
    "session per wait": session_per_wait,
    "thread per poll": thread_per_poll,
}


def memory_kb() -> float:
    """Return what this process holds at present."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024


async def watch(seconds: float) -> tuple[float, float]:
    """Return the CPU time of so many seconds, and the longest time for which the loop was blocked."""
    longest_block = 0.0
    cpu, begin = time.process_time(), time.perf_counter()
    while (at := time.perf_counter()) - begin < seconds:
        await asyncio.sleep(0.005)
        longest_block = max(longest_block, time.perf_counter() - at - 0.005)
    return time.process_time() - cpu, longest_block


async def measure(way: str, base_url: str, waits: int, seconds: float) -> dict[str, float]:
    """Run so many waits, and measure once each has looked for the first time."""
    polls = 0

    def polled() -> None:
        nonlocal polls
        polls += 1

    wait = await WAYS[way](base_url, polled)
    first = asyncio.ensure_future(wait(0))
    while not polls:
        await asyncio.sleep(0.01)
    first.cancel()
    memory = memory_kb()
    # What the watching itself costs.
    watching, _ = await watch(5.0)
    polls = 0
    tasks = []
    for number in range(waits):
        tasks.append(asyncio.ensure_future(wait(number)))
        # Triggers arrive over some time, not in one instant.
        await asyncio.sleep(INTERVAL / waits)
    while polls < waits:
        await asyncio.sleep(0.1)
    polls = 0
    cpu, longest_block = await watch(seconds)
    memory = memory_kb() - memory
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "polls": polls,
        "cpu_ms_per_poll": 1000 * (cpu - watching * seconds / 5.0) / max(polls, 1),
        "longest_block_ms": 1000 * longest_block,
        "memory_kb_per_wait": memory / waits,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waits", type=int, nargs="+", default=[1, 200, 1000, 5000])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--serve", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(*arguments.serve))
        return
    if arguments.case:
        way, base_url, waits = arguments.case
        print(json.dumps(asyncio.run(measure(way, base_url, int(waits), arguments.seconds))))
        return
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = make_certificate(Path(folder))
        command = [sys.executable, "-m", "benchmarks.waits"]
        environment = {"SSL_CERT_FILE": str(certificate), "PATH": ""}
        server = subprocess.Popen(
            [*command, "--serve", str(certificate), str(key)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout
            base_url = f"https://127.0.0.1:{server.stdout.readline().strip()}"
            print("| waits | way | CPU ms per poll | longest block, ms | memory kB per wait | polls |")
            print("|---|---|---|---|---|---|")
            for waits in arguments.waits:
                for way in WAYS:
                    done = subprocess.run(
                        [*command, "--seconds", str(arguments.seconds), "--case", way, base_url, str(waits)],
                        env=environment,
                        capture_output=True,
                        text=True,
                        check=True,
                    )
                    seen = json.loads(done.stdout)
                    print(
                        f"| {waits} | {way} | {seen['cpu_ms_per_poll']:.2f} | {seen['longest_block_ms']:.1f} "
                        f"| {seen['memory_kb_per_wait']:.0f} | {seen['polls']:.0f} |",
                        flush=True,
                    )
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
