"""A program with its output in files, and conditions to wait for. Nothing here sleeps for luck."""

import itertools
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

# How long a condition may take. Generous: it bounds failures, not successes.
DEADLINE_SECONDS = 60
POLL_SECONDS = 0.01


def wait_until(condition: Callable[[], object], what: str, seconds: float = DEADLINE_SECONDS):
    """Waits until a condition holds and gives what it gave; fails with `what` at the deadline."""
    end = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(POLL_SECONDS)


def tcp_sockets(pid: int) -> int:
    """How many TCP sockets a program has. What else it opens as it goes, files and its lines to the HSM, does not count."""
    tables = [Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    inodes = {line.split()[9] for table in tables for line in table}
    count = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except FileNotFoundError:
            continue
        count += target.startswith("socket:[") and target[8:-1] in inodes
    return count


def check_stays(condition: Callable[[], object], otherwise: str, seconds: float = 0.5) -> None:
    """Looks for a while whether a condition that must not change does. A sound program never fails this."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), otherwise
        time.sleep(POLL_SECONDS)


def _ports_of_servers() -> range:
    """The larger part of the ports that the system gives to no client, or 15,000 to 32,000 where it gives away all."""
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    below, above = range(min(15_000, low), low), range(high + 1, 65_536)
    widest = max(below, above, key=len)
    return widest if len(widest) >= 5_000 else range(15_000, 32_000)


def _ports_in_turn() -> Iterator[int]:
    ports = _ports_of_servers()
    first = random.randrange(len(ports))
    while True:
        yield from ports[first:]
        yield from ports[:first]


_PORTS = _ports_in_turn()


def free_ports(count: int) -> int:
    """The first of `count` free ports in a row. What was given once, and is perhaps not yet used, comes again last."""
    row: list[int] = []
    for port in itertools.islice(_PORTS, 50_000):
        follows = not row or port == row[-1] + 1
        row = [*row, port] if follows and _is_free(port) else []
        if len(row) == count:
            return row[0]
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def is_running(pid: int) -> bool:
    """Whether a process lives; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def children(pid: int) -> list[int]:
    """The child processes of a process."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += map(int, (thread / "children").read_text().split())
        except FileNotFoundError:
            continue  # The thread has ended meanwhile.
    return found


def environment(**more: str) -> dict[str, str]:
    """An environment in which nothing of the tester's own AWS or Claviger settings is left."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", **more}


class Program:
    """A running program. Output goes to files, so that it never blocks and can be searched afterwards."""

    def __init__(self, argv: list[object], output: Path, reads_log: bool = True, **more: str):
        self.argv = [str(part) for part in argv]
        self.stdout_file = output.with_suffix(".out")
        self.stderr_file = output.with_suffix(".err")
        with self.stdout_file.open("ab") as out, self.stderr_file.open("ab") as err:
            self._from = out.tell()
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                # A pipe that nobody reads takes 64 KiB and then nothing.
                stderr=err if reads_log else subprocess.PIPE,
                env=environment(**more),
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def stdout(self) -> str:
        """What this run has printed so far."""
        return self.stdout_file.read_bytes()[self._from :].decode()

    def stderr(self) -> str:
        return self.stderr_file.read_text()

    def wait_for_output(self, text: str) -> None:
        """Waits until a text is printed; fails at once if the program ends before."""

        def printed() -> bool:
            ended = self.process.poll() is not None
            if text in self.stdout():
                return True
            assert not ended, f"{self.argv} ended with {self.process.returncode}:\n{self.stderr()}"
            return False

        wait_until(printed, f"{text!r} from {self.argv}")

    def end(self, how: int = signal.SIGTERM) -> int:
        """Sends a signal and gives the exit code."""
        self.process.send_signal(how)
        return self.process.wait(DEADLINE_SECONDS)

    def destroy(self) -> None:
        """Makes sure that nothing is left, whatever state the test left it in."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(DEADLINE_SECONDS)
