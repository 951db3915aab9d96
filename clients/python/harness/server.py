"""Claviger as a user runs it: started, stopped, killed and started again, and its books."""

import configparser
import hashlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import boto3.session
import botocore.config

from harness.http import Connection
from harness.process import DEADLINE_SECONDS, Program, children, environment, free_ports, is_running, wait_until
from harness.signing import Credentials, Signer

ROOT = Path(__file__).resolve().parents[3]
ACCOUNT = "111122223333"
REGION = "us-east-1"


def binary() -> Path:
    """The program under test: `CLAVIGER_BIN`, or the newest kind of build that is there."""
    named = os.environ.get("CLAVIGER_BIN")
    candidates = [Path(named)] if named else [ROOT / f"target/{kind}/claviger" for kind in ("release", "debug")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    raise FileNotFoundError(f"none of {[str(path) for path in candidates]}; build first, or set CLAVIGER_BIN")


def run(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs the program to its end."""
    argv = [str(binary()), *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE_SECONDS, env=environment(**more))


class Books:
    """What a server writes down, in a data folder: its ledger, its security log and its store."""

    def __init__(self, folder: Path, data: Path):
        # What `claviger audit --data-dir` is given, and what holds the files.
        self.folder = folder
        self.data = data

    def events(self, first: int = 1) -> list[dict]:
        """The events of the ledger from a sequence number on."""
        shown = run("audit", "show", "--data-dir", self.folder, "--from", first)
        assert shown.returncode == 0, shown.stderr
        return [json.loads(line) for line in shown.stdout.splitlines()]

    def verify(self) -> subprocess.CompletedProcess[str]:
        """`claviger audit verify`."""
        return run("audit", "verify", "--data-dir", self.folder)

    def security_lines(self) -> list[dict]:
        """The requests that authenticated nobody."""
        log = self.data / "security.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def store_hash(self) -> str:
        """A hash of the whole store: equal means that nothing was changed."""
        return hashlib.sha256((self.data / "store.redb").read_bytes()).hexdigest()


class Listening:
    """What a client needs to know of a running server."""

    host: str
    port: int
    tls_port: int
    status_port: int
    ca: Path
    credentials: Credentials
    region: str = REGION
    books: Books

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"https://127.0.0.1:{self.tls_port}"

    def signer(self, **more) -> Signer:
        """Signs as the root user."""
        given = {"credentials": self.credentials, "host": f"127.0.0.1:{self.port}", "region": self.region}
        return Signer(**given | more)

    def connect(self) -> Connection:
        """A plain connection."""
        return Connection(self.port)

    def tls_context(self) -> ssl.SSLContext:
        """What trusts the server's authority and nothing else."""
        return ssl.create_default_context(cafile=str(self.ca))

    def client(self, service: str = "kms", **more):
        """A boto3 client of the root user."""
        return self.client_of(self.credentials.access_key_id, self.credentials.secret_access_key, service, **more)

    def client_of(
        self,
        access_key_id: str,
        secret: str,
        service: str = "kms",
        *,
        token: str | None = None,
        tls: bool = False,
        region: str | None = None,
        attempts: int = 1,
    ):
        """A boto3 client with these credentials."""
        session = boto3.session.Session(
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret,
            aws_session_token=token,
            region_name=region or self.region,
        )
        config = botocore.config.Config(
            retries={"total_max_attempts": attempts, "mode": "standard"},
            connect_timeout=10,
            read_timeout=DEADLINE_SECONDS,
            max_pool_connections=64,
        )
        url = self.tls_url if tls else self.url
        return session.client(service, endpoint_url=url, verify=str(self.ca) if tls else None, config=config)

    def status(self, path: str) -> tuple[int, str]:
        """What `/metrics` or `/healthz` answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.status_port}{path}", timeout=DEADLINE_SECONDS) as got:
                return got.status, got.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str) -> float:
        """A sample of `/metrics` by its name and labels; 0 where nothing was counted."""
        _, text = self.status("/metrics")
        found = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.rsplit(" ", 1)[0] == name]
        return float(found[0]) if found else 0.0


class Server(Listening):
    """`claviger dev` in a folder of its own. Starts again on the same folder and ports."""

    def __init__(self, folder: Path, *options: object):
        folder.mkdir(parents=True, exist_ok=True)
        self.output = folder / "claviger"
        self.dir = folder / "data"
        self.options = options
        self.port = free_ports(3)
        self.tls_port, self.status_port = self.port + 1, self.port + 2
        self.ca = self.dir / "tls/ca.pem"
        self.books = Books(self.dir, self.dir / "data")
        self.program: Program | None = None
        self.hsm_pid = 0

    def start(self, before: tuple[object, ...] = (), reads_log: bool = True) -> "Server":
        """Starts it, by the program that `before` names if there is one, which runs it in its own place."""
        listen = f"127.0.0.1:{self.port}"
        # The tests hold the store's bytes against what calls may change; last uses are not written meanwhile.
        seldom = ("--last-use-seconds", "86400")
        argv = [*before, binary(), "dev", "--data-dir", self.dir, "--listen", listen, *seldom, *self.options]
        self.program = Program(argv, self.output, reads_log)
        self.program.wait_for_output(f"ready http://{listen}\n")
        self.find_hsm()
        profile = configparser.ConfigParser()
        profile.read(self.dir / "aws/credentials")
        key = profile["claviger"]
        self.credentials = Credentials(key["aws_access_key_id"], key["aws_secret_access_key"])
        return self

    def find_hsm(self, after: int = 0) -> int:
        """The process of the HSM, the server's only child; another one than `after`, which has been killed."""
        assert self.program is not None
        self.hsm_pid = wait_until(lambda: self._running_hsm(after), "a running HSM")
        return self.hsm_pid

    def _running_hsm(self, after: int) -> int | None:
        for pid in children(self.program.pid):
            try:
                name = Path(f"/proc/{pid}/comm").read_text().strip()
            except (FileNotFoundError, ProcessLookupError):
                continue  # It has ended meanwhile.
            if name == "claviger-hsm" and pid != after and is_running(pid):
                return pid
        return None

    def example(self) -> str:
        """The commands that `dev` prints for the user to copy."""
        assert self.program is not None
        program = self.program
        program.wait_for_output("aws kms decrypt")
        return wait_until(lambda: program.stdout().endswith("\n") and program.stdout(), "the end of the example").split(
            "Copy and paste:\n"
        )[1]

    def stop(self) -> None:
        """Asks it to end; it must do so in good order and take the HSM along."""
        assert self.program is not None
        code = self.program.end(signal.SIGTERM)
        assert code == 0, self.program.stderr()
        assert not is_running(self.hsm_pid), "the HSM outlived an orderly stop"

    def kill(self) -> None:
        """Kills it as a crash would; the HSM notices and ends by itself."""
        assert self.program is not None
        assert self.program.end(signal.SIGKILL) == -signal.SIGKILL
        wait_until(lambda: not is_running(self.hsm_pid), "the HSM ends with its parent")

    def kill_hsm(self) -> int:
        """Kills the HSM alone; gives the process that was killed."""
        os.kill(self.hsm_pid, signal.SIGKILL)
        return self.hsm_pid

    def log(self) -> str:
        """Everything it has written to standard error, of all its runs."""
        return self.output.with_suffix(".err").read_text()

    def destroy(self) -> None:
        """Ends it and removes its folder."""
        if self.program is not None:
            self.program.destroy()
        shutil.rmtree(self.output.parent)
