"""The HSM killed under load: only errors that clients retry, never a wrong answer, and all goes on by itself."""

import base64
import threading
from concurrent.futures import ThreadPoolExecutor

from harness.oracle import error
from harness.process import wait_until
from harness.server import Server

CLIENTS = 6
KILLS = 5
TIMED_OUT = error(
    "DependencyTimeoutException",
    "The system timed out while trying to fulfill the request. You can retry the request.",
)


class Client:
    """Encrypts and decrypts values of its own, and notices any answer that is somebody else's."""

    def __init__(self, server: Server, key: str, number: int, stop: threading.Event):
        self.server, self.key, self.number, self.stop = server, key, number, stop
        self.answered: list[str] = []
        self.refused: list[str] = []

    def call(self, connection, operation: str, body: dict) -> dict | None:
        reply = connection.exchange(self.server.signer().call(operation, body))
        if reply.status == 200:
            self.answered.append(reply.request_id)
            return reply.json()
        assert (reply.status, reply.json()) == (500, TIMED_OUT), reply.body
        self.refused.append(reply.request_id)
        return None

    def run(self) -> None:
        with self.server.connect() as connection:
            while not self.stop.is_set():
                plain = base64.b64encode(f"{self.number}/{len(self.answered)}".encode()).decode()
                sealed = self.call(connection, "Encrypt", {"KeyId": self.key, "Plaintext": plain})
                opened = sealed and self.call(connection, "Decrypt", {"CiphertextBlob": sealed["CiphertextBlob"]})
                assert opened is None or opened["Plaintext"] == plain, "the answer to somebody else's request"


def test_clients_see_only_retryable_errors_while_the_hsm_is_killed_again_and_again(make_server):
    server: Server = make_server().start()
    key = server.client().create_key()["KeyMetadata"]["KeyId"]
    stop = threading.Event()
    clients = [Client(server, key, number, stop) for number in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(client.run) for client in clients]
        try:
            for _ in range(KILLS):
                seen = [len(client.answered) for client in clients]
                server.find_hsm(after=server.kill_hsm())

                def progressed() -> bool:
                    for one in running:
                        if one.done():
                            one.result()
                    return all(len(client.answered) > before for client, before in zip(clients, seen))

                wait_until(progressed, "every client is served by the new HSM")
        finally:
            stop.set()
        for one in running:
            one.result()
    # An SDK that retries notices nothing.
    patient = server.client(attempts=8)
    killed = server.kill_hsm()
    assert patient.encrypt(KeyId=key, Plaintext=b"x")["KeyId"].endswith(key)
    wait_until(lambda: server.status("/healthz")[0] == 200, "health")
    server.find_hsm(after=killed)
    events = server.books.events()[1:]
    recorded = {event["requestID"]: event.get("errorCode") for event in events}
    answered = {request for client in clients for request in client.answered}
    refused = {request for client in clients for request in client.refused}
    assert {request for request in answered | refused if request not in recorded} == set()
    assert {recorded[request] for request in answered} == {None}
    assert {recorded[request] for request in refused} <= {"DependencyTimeoutException"}
    server.stop()
    assert server.books.verify().returncode == 0


def test_what_a_killed_hsm_never_did_is_not_in_the_store(make_server):
    """CreateKey needs the HSM before it commits: refused means that there is no key."""
    server: Server = make_server().start()
    made: set[str] = set()
    with server.connect() as connection:
        for _ in range(KILLS):
            killed = server.kill_hsm()
            replies = [connection.exchange(server.signer().call("CreateKey")) for _ in range(4)]
            for reply in replies:
                assert reply.status == 200 or (reply.status, reply.json()) == (500, TIMED_OUT), reply.body
            made |= {reply.json()["KeyMetadata"]["KeyId"] for reply in replies if reply.status == 200}
            server.find_hsm(after=killed)
    assert {key["KeyId"] for key in server.client().list_keys()["Keys"]} == made
    server.stop()
