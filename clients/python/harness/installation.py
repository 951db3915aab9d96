"""`claviger serve` with an HSM of its own, as an operator sets them up: configuration, certificates, secret."""

import datetime
import ipaddress
import json
import secrets
import shutil
import signal
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from harness.process import Program, free_ports
from harness.server import ACCOUNT, Books, Listening, binary
from harness.signing import Credentials


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for the loopback names that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    signed = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(key, hashes.SHA256())
    certificate, private = folder / "server.pem", folder / "server-key.pem"
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, private


def toml(value: object) -> str:
    """A value in TOML. Texts, lists of texts and numbers are written as JSON writes them."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(one) for one in value) + "]"
    return json.dumps(str(value) if isinstance(value, Path) else value)


class Installation(Listening):
    """A configuration, an HSM and a host, each started and stopped by itself."""

    def __init__(self, folder: Path, data: Path | None = None, **settings: object):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.data = data or folder / "data"
        self.books = Books(self.data, self.data)
        self.port = free_ports(3)
        self.tls_port, self.status_port = self.port + 1, self.port + 2
        self.ca, key = write_certificate(folder)
        self.seal = folder / "seal"
        self.seal.mkdir(mode=0o700)
        self.credentials = Credentials("AKIAINSTALLATIONTEST", secrets.token_urlsafe(30))
        self.secret = folder / "secret"
        self.secret.touch(mode=0o600)
        self.secret.write_text(self.credentials.secret_access_key + "\n")
        self.config = folder / "claviger.toml"
        self.settings: dict[str, object] = {
            "account": ACCOUNT,
            "regions": ["us-east-1", "eu-central-1"],
            "data_dir": self.data,
            "listener": [
                {"address": f"127.0.0.1:{self.port}"},
                {"address": f"127.0.0.1:{self.tls_port}", "tls": {"certificate": self.ca, "key": key}},
            ],
            "hsm": {"socket": folder / "hsm.sock"},
            "root": {"access_key_id": self.credentials.access_key_id, "secret_access_key_file": self.secret},
            "metrics": {"address": f"127.0.0.1:{self.status_port}"},
        } | settings
        self.hsm: Program | None = None
        self.host: Program | None = None

    def write_config(self, **changes: object) -> Path:
        """Writes the configuration, with changes that stay; `None` removes a setting."""
        self.settings |= changes
        lines = []
        for name, value in self.settings.items():
            if value is not None:
                lines.append(f"{name} = {toml(value)}")
        self.config.write_text("\n".join(lines) + "\n")
        return self.config

    def start_hsm(self, *options: str) -> "Installation":
        program = binary().with_name("claviger-hsm")
        argv = [program, "--socket", self.folder / "hsm.sock", "--seal-dir", self.seal, *options]
        self.hsm = Program(argv, self.folder / "hsm")
        self.hsm.wait_for_output("ready\n")
        return self

    def start(self, tls_address: str | None = None) -> "Installation":
        """Starts the host, which says that it serves plainly and at `tls_address`."""
        self.host = Program([binary(), "serve", "--config", self.write_config()], self.folder / "host")
        self.host.wait_for_output(f"ready {self.url} {tls_address or self.tls_url}\n")
        return self

    def stop(self) -> None:
        """Asks the host to end, which it must do in good order."""
        code = self.host.end(signal.SIGTERM)
        assert code == 0, self.host.stderr()

    def tls_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))

    def destroy(self) -> None:
        """Ends what runs and removes the folder."""
        for program in (self.host, self.hsm):
            if program is not None:
                program.destroy()
        shutil.rmtree(self.folder)
