"""Clients that take their time: heads and bodies that never end, handshakes not begun, thousands of idle connections.

The connections are opened before the first test of the session and looked at here, when the server's deadlines have
passed or soon will have, so that nobody sleeps for them. They have a server of their own.
"""

import socket

import pytest

from harness.oracle import CANARY
from harness.process import DEADLINE_SECONDS, tcp_sockets, wait_until
from harness.server import Server

IDLE = 2_000
# The longest of the server's deadlines is that of a request head, 60 s.
LONGEST_SECONDS = 60 + DEADLINE_SECONDS


def check_served(server: Server) -> None:
    """Other clients get their answers, plain and over TLS."""
    for tls in (False, True):
        kms = server.client(tls=tls)
        arn = kms.create_key()["KeyMetadata"]["Arn"]
        blob = kms.encrypt(KeyId=arn, Plaintext=CANARY)["CiphertextBlob"]
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == CANARY
        kms.close()


def test_two_thousand_idle_connections_keep_nobody_waiting(make_server):
    server: Server = make_server().start()
    check_served(server)
    # The connections of that check are closed by now, or soon.
    baseline = tcp_sockets(server.program.pid)
    idle = []
    for number in range(IDLE):
        port = server.tls_port if number % 2 else server.port
        idle.append(socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS))
    wait_until(lambda: tcp_sockets(server.program.pid) >= IDLE, "all connections accepted")
    check_served(server)
    assert all(not is_ended(connection) for connection in idle[::2]), "an idle connection was closed"
    for connection in idle:
        connection.close()
    wait_until(lambda: tcp_sockets(server.program.pid) <= baseline, "the connections given back")
    check_served(server)
    server.stop()


def is_ended(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False


@pytest.mark.slow_clients
def test_what_never_ends_is_ended_by_the_server(slow_clients):
    """A half-sent body is answered 408, all else is closed, also who takes no answers; others are served meanwhile."""
    server: Server = slow_clients.server
    check_served(server)
    for name, client in slow_clients.clients.items():
        client.settimeout(LONGEST_SECONDS)
        received = b""
        while chunk := client.recv(4096):
            received += chunk
        expected = b"HTTP/1.1 408 " if "body" in name else b""
        assert received[:13] == expected, (name, received)
        client.close()
    check_served(server)
    wait_until(lambda: tcp_sockets(server.program.pid) <= slow_clients.baseline, "the connections given back")
    slow_clients.deaf.close()
    # None of it was ever a request of somebody.
    names = {event["eventName"] for event in server.books.events()}
    assert names == {"CreateKey", "Encrypt", "Decrypt"}
    bodies = [line for line in server.books.security_lines() if line["status"] == 408]
    assert len(bodies) == sum("body" in name for name in slow_clients.clients)
