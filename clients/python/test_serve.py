"""`claviger serve`: a configuration file, an HSM of its own, and what is refused before anything is served."""

import signal
import stat
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from harness.http import Connection
from harness.installation import Installation
from harness.oracle import CANARY
from harness.process import wait_until
from harness.server import run


def serve(config: Path, *options: str, **more: str) -> tuple[int, str]:
    """Runs `claviger serve` to its end; its exit code and what it complained of."""
    ended = run("serve", "--config", config, *options, **more)
    assert ended.stdout == ""
    return ended.returncode, ended.stderr


def test_an_installation_serves_on_all_its_listeners_and_again_after_a_restart(installation: Installation):
    installation.start()
    plain, secure = installation.client(), installation.client(tls=True)
    key = plain.create_key()["KeyMetadata"]
    blob = secure.encrypt(KeyId=key["Arn"], Plaintext=CANARY)["CiphertextBlob"]
    installation.stop()
    assert installation.hsm.process.poll() is None, "the host took an HSM along that it did not start"
    installation.start()
    assert secure.decrypt(CiphertextBlob=blob)["Plaintext"] == CANARY
    # The HSM may be restarted under a running host: no request is lost but those in flight.
    assert installation.hsm.end(signal.SIGTERM) == 0
    installation.start_hsm()
    wait_until(lambda: decrypts(plain, blob), "the host finds the HSM again")
    names = [(event["eventName"], "tlsDetails" in event) for event in installation.books.events()]
    assert names[:3] == [("CreateKey", False), ("Encrypt", True), ("Decrypt", True)]
    installation.stop()
    assert installation.books.verify().stdout.startswith(f"ok: {len(names)} events, 1 to {len(names)}, in ")


def decrypts(kms, blob: bytes) -> bool:
    try:
        return kms.decrypt(CiphertextBlob=blob)["Plaintext"] == CANARY
    except ClientError as error:
        assert error.response["Error"]["Code"] == "DependencyTimeoutException"
        return False


def test_the_host_knows_of_the_newest_domain_key(installation: Installation):
    installation.start()
    wait_until(lambda: installation.metric("claviger_domain_key_generation") == 1, "the domain key is known")
    installation.stop()


def test_only_the_configured_regions_are_served(installation: Installation):
    installation.start()
    assert installation.client(region="eu-central-1").create_key()["KeyMetadata"]["Arn"].split(":")[3] == "eu-central-1"
    with pytest.raises(ClientError) as caught:
        installation.client(region="eu-west-1").list_keys()
    expected = {"Code": "InvalidSignatureException", "Message": "Credential should be scoped to a valid region. "}
    assert caught.value.response["Error"] == expected
    assert [event["eventName"] for event in installation.books.events()] == ["CreateKey"]


def test_root_credentials_are_made_when_none_are_given_and_kept(installation: Installation):
    installation.write_config(root=None)
    installation.start()
    written = installation.data / "root-credentials"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    first = written.read_text()
    installation.stop()
    installation.start()
    assert written.read_text() == first
    values = dict(line.split(" = ") for line in first.splitlines()[1:])
    assert values["aws_secret_access_key"] not in installation.host.stderr()
    with Connection(installation.port) as connection:
        keys = type(installation.credentials)(values["aws_access_key_id"], values["aws_secret_access_key"])
        signer = installation.signer(credentials=keys)
        assert connection.exchange(signer.call("ListKeys")).status == 200


def test_a_good_configuration_is_checked_and_nothing_is_made(installation: Installation):
    assert serve(installation.write_config(), "--check-config") == (0, "")
    assert not installation.data.exists()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"acount": "111122223333"}, "unknown field `acount`"),
        ({"hsm": {"socket": "/x", "timeout": 5}}, "unknown field `timeout`"),
        ({"listener": [{"address": "127.0.0.1:1", "tsl": {}}]}, "unknown field `tsl`"),
        ({"root": {"access_key": "x"}}, "unknown field `access_key`"),
        ({"account": None}, "missing field `account`"),
        ({"account": "1234"}, "`account` must be twelve digits"),
        ({"regions": []}, "`regions` must name at least one Region"),
        ({"regions": ["Europe"]}, "`regions`: `Europe` is not a Region name"),
        ({"listener": []}, "there must be at least one `[[listener]]`"),
        ({"listener": [{"address": "localhost"}]}, "invalid socket address"),
        ({"listener": [{"address": "0.0.0.0:7080"}]}, "listener 0.0.0.0:7080 needs `tls`: it is not a loopback"),
        ({"listener": [{"address": "[::]:7080"}]}, "listener [::]:7080 needs `tls`"),
        ({"audit": {"segment_bytes": 4096}}, "`audit.segment_bytes` must be at least 1048576"),
        ({"threads": 0}, "`threads` must be at least 1"),
        ({"threads": "many"}, "invalid type"),
        ({"metrics": {"address": 5}}, "invalid type"),
    ],
)
def test_a_bad_configuration_is_refused_whether_checked_or_served(installation, changes, complaint):
    config = installation.write_config(**changes)
    for options in (["--check-config"], []):
        code, said = serve(config, *options)
        assert code == 1 and str(config) in said and complaint in said, said
    assert not installation.data.exists()


def test_a_configuration_that_is_none_is_refused(installation):
    code, said = serve(installation.folder / "nowhere.toml", "--check-config")
    assert code == 1 and "nowhere.toml" in said
    installation.config.write_text("account = [\n")
    code, said = serve(installation.config, "--check-config")
    assert code == 1 and str(installation.config) in said


WEAK = {
    "short": "fewer than 32 characters",
    "abababababababababababababababababababab": "fewer than 12 different characters",
    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY": "well-known default or example",
}


@pytest.mark.parametrize("secret", WEAK)
def test_a_weak_secret_is_refused_where_other_machines_could_reach_it(installation: Installation, secret):
    exposed = [{**installation.settings["listener"][1], "address": f"0.0.0.0:{installation.tls_port}"}]
    config = installation.write_config(listener=exposed)
    installation.secret.write_text(secret)
    code, said = serve(config)
    assert code == 1 and WEAK[secret] in said and secret not in said, said
    config = installation.write_config(root=None)
    given = {"CLAVIGER_ROOT_ACCESS_KEY_ID": "AKIAINSTALLATIONTEST", "CLAVIGER_ROOT_SECRET_ACCESS_KEY": secret}
    code, said = serve(config, **given)
    assert code == 1 and WEAK[secret] in said and secret not in said, said
    assert not installation.data.exists()


def test_a_strong_secret_is_accepted_there(installation: Installation):
    tls = {**installation.settings["listener"][1], "address": f"0.0.0.0:{installation.tls_port}"}
    installation.write_config(listener=[installation.settings["listener"][0], tls])
    installation.start(f"https://0.0.0.0:{installation.tls_port}")
    assert installation.client(tls=True).list_keys()["Keys"] == []
    installation.stop()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda i: i.secret.chmod(0o644), "must be a file that only its owner may read"),
        (lambda i: i.secret.unlink(), "No such file"),
        (lambda i: i.ca.write_text("nothing"), "server.pem"),
        (lambda i: (i.folder / "server-key.pem").write_text("nothing"), "server-key.pem"),
        (lambda i: i.write_config(root={"access_key_id": "x"}), "go together"),
    ],
)
def test_what_the_configuration_points_to_must_be_good(installation: Installation, spoil, complaint):
    installation.write_config()
    spoil(installation)
    code, said = serve(installation.config)
    assert code == 1 and complaint in said, said


def test_half_of_a_credential_in_the_environment_is_refused(installation: Installation):
    config = installation.write_config(root=None)
    code, said = serve(config, CLAVIGER_ROOT_ACCESS_KEY_ID="AKIAINSTALLATIONTEST")
    assert code == 1 and "go together" in said, said


def test_a_second_host_on_the_same_data_is_refused_and_the_first_goes_on(installation: Installation, tmp_path):
    installation.start()
    arn = installation.client().create_key()["KeyMetadata"]["Arn"]
    other = Installation(tmp_path / "other", data=installation.data)
    other.write_config(hsm=installation.settings["hsm"])
    before = installation.books.store_hash()
    code, said = serve(other.config)
    other.destroy()
    assert (code, said) == (1, "claviger: the store is in use by another process\n")
    assert installation.books.store_hash() == before
    assert installation.client().encrypt(KeyId=arn, Plaintext=CANARY)["KeyId"] == arn


def test_a_store_of_another_domain_is_refused_untouched(installation: Installation):
    """An HSM with a new seal cannot open what the old one sealed, and must not be taken for it."""
    installation.start()
    installation.client().create_key()
    installation.stop()
    assert installation.hsm.end() == 0
    installation.seal.rename(installation.folder / "old-seal")
    installation.seal.mkdir(mode=0o700)
    installation.start_hsm("--init")
    before = installation.books.store_hash()
    code, said = serve(installation.config)
    assert code == 1 and said.splitlines()[-1].startswith("claviger: "), said
    assert installation.books.store_hash() == before
