"""Ciphertexts that are not what was made: every bit flipped, cut, extended, of another key, in another context."""

import base64
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.http import Reply
from harness.oracle import CANARY, error
from harness.server import Server

CONTEXT = {"tenant": "a", "purpose": "test"}
BROKEN = error("InvalidCiphertextException")
HIDDEN = error(
    "AccessDeniedException",
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are "
    "not allowed to access.",
)
OTHER_KEY = error(
    "IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation."
)
# Where a blob names the material that opens it.
MATERIAL_BITS = range(5 * 8, 37 * 8)
CONNECTIONS = 8


@pytest.fixture(scope="module")
def blob(kms, key) -> bytes:
    return kms.encrypt(KeyId=key["Arn"], Plaintext=CANARY, EncryptionContext=CONTEXT)["CiphertextBlob"]


def decrypts(blob: bytes, **more: object) -> dict:
    return {"CiphertextBlob": base64.b64encode(blob).decode(), "EncryptionContext": CONTEXT, **more}


def exchange_all(server: Server, operation: str, bodies: list[dict]) -> list[Reply]:
    """Sends many calls over a few connections; gives their replies in the order of the calls."""
    signer = server.signer()

    def share(part: int) -> list[Reply]:
        with server.connect() as connection:
            return [connection.exchange(signer.call(operation, body)) for body in bodies[part::CONNECTIONS]]

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        shares = list(pool.map(share, range(CONNECTIONS)))
    return [shares[index % CONNECTIONS][index // CONNECTIONS] for index in range(len(bodies))]


def check_all(
    server: Server, witness, bodies: list[dict], expected: Iterable[dict], operation: str = "Decrypt"
) -> None:
    """Each call is refused as expected, and each leaves exactly one event with that error; nothing changes."""
    before = witness.standing()
    replies = exchange_all(server, operation, bodies)
    events = {event["requestID"]: event for event in witness.new_events(before)}
    assert events.keys() == {reply.request_id for reply in replies} and len(events) == len(replies)
    for index, (reply, body) in enumerate(zip(replies, expected, strict=True)):
        assert (reply.status, reply.json()) == (400, body), f"case {index}"
        event = events[reply.request_id]
        assert event["errorCode"] == ("AccessDenied" if body is HIDDEN else body["__type"])
    after = witness.standing()
    assert (after.store, after.security_lines) == (before.store, before.security_lines)


def flipped(blob: bytes, bit: int) -> bytes:
    changed = bytearray(blob)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


@pytest.mark.parametrize("named", [False, True])
def test_every_flipped_bit_is_noticed(server, witness, key, blob, named):
    about = {"KeyId": key["Arn"]} if named else {}
    bits = range(len(blob) * 8)
    material = OTHER_KEY if named else HIDDEN
    expected = [material if bit in MATERIAL_BITS else BROKEN for bit in bits]
    check_all(server, witness, [decrypts(flipped(blob, bit), **about) for bit in bits], expected)


def test_flipped_bits_are_noticed_by_reencrypt_too(server, witness, key, blob):
    """A sample in each part of the blob: what opens it is the same."""
    bits = [0, 39, 40, 295, 296, 303, 304, 431, 432, 463, 464, 600, len(blob) * 8 - 128, len(blob) * 8 - 1]
    bodies = [
        {
            "CiphertextBlob": base64.b64encode(flipped(blob, bit)).decode(),
            "SourceEncryptionContext": CONTEXT,
            "DestinationKeyId": key["Arn"],
        }
        for bit in bits
    ]
    expected = [HIDDEN if bit in MATERIAL_BITS else BROKEN for bit in bits]
    check_all(server, witness, bodies, expected, "ReEncrypt")


def test_a_blob_that_is_cut_or_extended_does_not_open(server, witness, key, blob):
    cut = [blob[:length] for length in range(1, len(blob))]
    longer = [blob + b"\0", b"\0" + blob, blob + blob, blob[1:], b"\0" * len(blob), b"\xff" * 6144]
    bodies = [decrypts(changed, KeyId=key["Arn"]) for changed in cut + longer]
    check_all(server, witness, bodies, [BROKEN] * len(bodies))


def test_a_blob_opens_in_its_own_context_only(server, witness, blob):
    contexts = [
        {},
        {"tenant": "a"},
        {"tenant": "b", "purpose": "test"},
        {"tenant": "test", "purpose": "a"},
        {"a": "tenant", "test": "purpose"},
        {"Tenant": "a", "purpose": "test"},
        {"tenant": "A", "purpose": "test"},
        {"tenant": "a", "purpose": "test", "": ""},
        {"tenant": "a", "purpose": "test", "more": "x"},
        {"tenant": "a ", "purpose": "test"},
        {"tenan": "ta", "purpose": "test"},
        {"tenant": "apurposetest"},
        {"tenant": "a\0", "purpose": "test"},
    ]
    check_all(server, witness, [decrypts(blob, EncryptionContext=one) for one in contexts], [BROKEN] * len(contexts))
    without = decrypts(blob)
    del without["EncryptionContext"]
    check_all(server, witness, [without], [BROKEN])


def test_no_context_and_an_empty_one_are_the_same(kms, key):
    bare = kms.encrypt(KeyId=key["Arn"], Plaintext=CANARY)["CiphertextBlob"]
    empty = kms.encrypt(KeyId=key["Arn"], Plaintext=CANARY, EncryptionContext={})["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=bare, EncryptionContext={})["Plaintext"] == CANARY
    assert kms.decrypt(CiphertextBlob=empty)["Plaintext"] == CANARY


def test_a_blob_of_another_key_does_not_open_with_this_one(server, witness, new_key, key, blob):
    other = new_key()
    check_all(server, witness, [decrypts(blob, KeyId=other["Arn"])], [OTHER_KEY])
    # Nor does it when its header is made to name this key: the header is bound to what it heads.
    grafted = blob[:5] + bytes.fromhex(other["CurrentKeyMaterialId"]) + blob[37:]
    check_all(server, witness, [decrypts(grafted), decrypts(grafted, KeyId=other["Arn"])], [BROKEN, BROKEN])


def test_parts_of_two_blobs_make_no_third(server, witness, kms, key, blob):
    twin = kms.encrypt(KeyId=key["Arn"], Plaintext=CANARY, EncryptionContext=CONTEXT)["CiphertextBlob"]
    assert len(twin) == len(blob)
    spliced = [blob[:cut] + twin[cut:] for cut in (38, 54, 58, len(blob) // 2, len(blob) - 16)]
    differ = [one for one in spliced if one not in (blob, twin)]
    assert differ
    check_all(server, witness, [decrypts(one) for one in differ], [BROKEN] * len(differ))


def test_the_blob_itself_opens_after_all_this(kms, key, blob):
    opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT, KeyId=key["KeyId"])
    assert opened["Plaintext"] == CANARY
