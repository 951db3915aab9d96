"""Every algorithm against libraries that are not ours: what is made inside holds outside, and the other way round."""

import hashlib
import hmac
import secrets

import nacl.bindings as sodium
import pytest
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, mlkem, padding, rsa
from nacl.exceptions import BadSignatureError

from harness.importing import import_material, imported_key, openssl, pkcs8
from harness.oracle import CANARY
from harness.server import Server

MESSAGE = b"a message of a caller " * 20
SHA = {"SHA_256": hashes.SHA256, "SHA_384": hashes.SHA384, "SHA_512": hashes.SHA512}
CURVES = {
    "ECC_NIST_P256": ec.SECP256R1,
    "ECC_NIST_P384": ec.SECP384R1,
    "ECC_NIST_P521": ec.SECP521R1,
    "ECC_SECG_P256K1": ec.SECP256K1,
}
RSA_SPECS = ["RSA_2048", "RSA_3072", "RSA_4096"]
ECDSA = {
    "ECC_NIST_P256": "ECDSA_SHA_256",
    "ECC_NIST_P384": "ECDSA_SHA_384",
    "ECC_NIST_P521": "ECDSA_SHA_512",
    "ECC_SECG_P256K1": "ECDSA_SHA_256",
}
ML_DSA = {"ML_DSA_44": mldsa.MLDSA44PrivateKey, "ML_DSA_65": mldsa.MLDSA65PrivateKey, "ML_DSA_87": mldsa.MLDSA87PrivateKey}
ML_KEM = {"ML_KEM_768": mlkem.MLKEM768PrivateKey, "ML_KEM_1024": mlkem.MLKEM1024PrivateKey}


@pytest.fixture(scope="module")
def kms(server: Server):
    return server.client()


def make(kms, spec: str, usage: str) -> tuple[str, object]:
    """A key made inside, and its public part as the other library reads it."""
    key_id = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
    return key_id, public_key(kms, key_id)


def public_key(kms, key_id: str):
    return serialization.load_der_public_key(kms.get_public_key(KeyId=key_id)["PublicKey"])


def own(spec: str):
    """A private key made outside."""
    if spec in CURVES:
        return ec.generate_private_key(CURVES[spec]())
    if spec in ML_DSA:
        return ML_DSA[spec].generate()
    if spec == "ECC_NIST_EDWARDS25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, int(spec.removeprefix("RSA_")))


def scheme(algorithm: str) -> tuple[padding.AsymmetricPadding, hashes.HashAlgorithm]:
    """An RSA signature algorithm in the other library's words."""
    chosen = SHA[algorithm[-7:]]()
    if "PSS" in algorithm:
        return padding.PSS(padding.MGF1(chosen), chosen.digest_size), chosen
    return padding.PKCS1v15(), chosen


def digest(algorithm: hashes.HashAlgorithm, message: bytes) -> bytes:
    return hashlib.new(algorithm.name, message).digest()


SIGNATURES = [
    *((spec, f"RSASSA_{kind}_{sha}") for spec in RSA_SPECS for kind in ("PSS", "PKCS1_V1_5") for sha in SHA),
    *ECDSA.items(),
    ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512"),
    *((spec, "ML_DSA_SHAKE_256") for spec in ML_DSA),
]


def sign_outside(key, algorithm: str, message: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, *scheme(algorithm))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(message, ec.ECDSA(SHA[algorithm[-7:]]()))
    return key.sign(message)


def verify_outside(key, algorithm: str, message: bytes, signature: bytes) -> None:
    """Raises where the other library does not accept the signature."""
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, message, *scheme(algorithm))
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, message, ec.ECDSA(SHA[algorithm[-7:]]()))
    else:
        key.verify(signature, message)


@pytest.fixture(scope="module")
def signing_keys(kms):
    """One key made inside and one imported for each spec, made when first asked for."""
    made: dict[tuple[str, bool], tuple] = {}

    def get(spec: str, imported: bool):
        if (spec, imported) not in made:
            if imported:
                outside = own(spec)
                made[spec, imported] = (imported_key(kms, pkcs8(outside), spec, "SIGN_VERIFY"), outside)
            else:
                made[spec, imported] = make(kms, spec, "SIGN_VERIFY")
        return made[spec, imported]

    return get


@pytest.mark.parametrize("spec, algorithm", SIGNATURES)
def test_signatures_made_inside_verify_outside(kms, signing_keys, spec, algorithm):
    key_id, outside = signing_keys(spec, imported=False)
    signed = kms.sign(KeyId=key_id, Message=MESSAGE, SigningAlgorithm=algorithm)
    verify_outside(outside, algorithm, MESSAGE, signed["Signature"])
    with pytest.raises(InvalidSignature):
        verify_outside(outside, algorithm, MESSAGE + b"x", signed["Signature"])
    if "SHA_" in algorithm and not algorithm.startswith("ED25519"):
        hashed = digest(SHA[algorithm[-7:]](), MESSAGE)
        signed = kms.sign(KeyId=key_id, Message=hashed, MessageType="DIGEST", SigningAlgorithm=algorithm)
        verify_outside(outside, algorithm, MESSAGE, signed["Signature"])


@pytest.mark.parametrize("spec, algorithm", SIGNATURES)
def test_signatures_made_outside_verify_inside(kms, signing_keys, spec, algorithm):
    """The key is imported, so that both sides have it; it is the same key on both."""
    key_id, outside = signing_keys(spec, imported=True)
    spki = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert kms.get_public_key(KeyId=key_id)["PublicKey"] == outside.public_key().public_bytes(*spki)
    signature = sign_outside(outside, algorithm, MESSAGE)
    verified = kms.verify(KeyId=key_id, Message=MESSAGE, Signature=signature, SigningAlgorithm=algorithm)
    assert verified["SignatureValid"] is True
    altered = bytes([signature[0], signature[1], signature[2] ^ 1, *signature[3:]])
    for wrong, message in ((altered, MESSAGE), (signature, MESSAGE + b"x")):
        with pytest.raises(ClientError) as caught:
            kms.verify(KeyId=key_id, Message=message, Signature=wrong, SigningAlgorithm=algorithm)
        assert caught.value.response["Error"]["Code"] == "KMSInvalidSignatureException"
    verify_outside(
        outside.public_key(),
        algorithm,
        MESSAGE,
        kms.sign(KeyId=key_id, Message=MESSAGE, SigningAlgorithm=algorithm)["Signature"],
    )


@pytest.mark.parametrize("spec", ML_DSA)
def test_the_representative_of_ml_dsa_may_be_made_outside(kms, signing_keys, spec):
    key_id, outside = signing_keys(spec, imported=False)
    tr = hashlib.shake_256(outside.public_bytes_raw()).digest(64)
    mu = hashlib.shake_256(tr + b"\0\0" + MESSAGE * 100).digest(64)
    signed = kms.sign(
        KeyId=key_id, Message=mu, MessageType="EXTERNAL_MU", SigningAlgorithm="ML_DSA_SHAKE_256"
    )
    outside.verify(signed["Signature"], MESSAGE * 100)


def ed25519ph(message: bytes) -> object:
    """What libsodium signs or verifies: Ed25519ph (RFC 8032) of a message."""
    state = sodium.crypto_sign_ed25519ph_state()
    sodium.crypto_sign_ed25519ph_update(state, message)
    return state


def test_ed25519_of_a_digest_both_ways(kms):
    """The digest that is given is what is signed, so it is hashed once more."""
    seed, digest_given = secrets.token_bytes(32), hashlib.sha512(MESSAGE).digest()
    private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    key_id = imported_key(kms, pkcs8(private), "ECC_NIST_EDWARDS25519", "SIGN_VERIFY")
    public, secret = sodium.crypto_sign_seed_keypair(seed)
    common = {
        "KeyId": key_id,
        "Message": digest_given,
        "MessageType": "DIGEST",
        "SigningAlgorithm": "ED25519_PH_SHA_512",
    }
    inside = kms.sign(**common)["Signature"]
    assert sodium.crypto_sign_ed25519ph_final_verify(ed25519ph(digest_given), inside, public)
    with pytest.raises(BadSignatureError):
        sodium.crypto_sign_ed25519ph_final_verify(ed25519ph(digest_given + b"x"), inside, public)
    outside = sodium.crypto_sign_ed25519ph_final_create(ed25519ph(digest_given), secret)
    assert kms.verify(**common, Signature=outside)["SignatureValid"] is True
    with pytest.raises(ClientError, match="KMSInvalidSignatureException"):
        kms.verify(**common, Signature=private.sign(digest_given))


OAEP = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]


@pytest.mark.parametrize("algorithm", OAEP)
@pytest.mark.parametrize("spec", RSA_SPECS)
def test_oaep_both_ways(kms, spec, algorithm):
    key_id, outside = make(kms, spec, "ENCRYPT_DECRYPT")
    chosen = hashes.SHA1() if algorithm.endswith("SHA_1") else hashes.SHA256()
    blocks = padding.OAEP(padding.MGF1(chosen), chosen, None)
    longest = outside.key_size // 8 - 2 * chosen.digest_size - 2
    for plaintext in (CANARY, b"x", secrets.token_bytes(longest)):
        opened = kms.decrypt(
            KeyId=key_id, CiphertextBlob=outside.encrypt(plaintext, blocks), EncryptionAlgorithm=algorithm
        )
        assert opened["Plaintext"] == plaintext
    with pytest.raises(ClientError):
        kms.encrypt(KeyId=key_id, Plaintext=b"x" * (longest + 1), EncryptionAlgorithm=algorithm)
    original = rsa.generate_private_key(65537, outside.key_size)
    imported = imported_key(kms, pkcs8(original), spec, "ENCRYPT_DECRYPT")
    sealed = kms.encrypt(KeyId=imported, Plaintext=CANARY, EncryptionAlgorithm=algorithm)
    assert original.decrypt(sealed["CiphertextBlob"], blocks) == CANARY


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"])
def test_key_agreement(kms, spec):
    key_id, outside = make(kms, spec, "KEY_AGREEMENT")
    peer = ec.generate_private_key(CURVES[spec]())
    spki = peer.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    inside = kms.derive_shared_secret(KeyId=key_id, KeyAgreementAlgorithm="ECDH", PublicKey=spki)
    assert inside["SharedSecret"] == peer.exchange(ec.ECDH(), outside)
    # An imported key agrees on what its original does.
    original = own(spec)
    imported = imported_key(kms, pkcs8(original), spec, "KEY_AGREEMENT")
    inside = kms.derive_shared_secret(KeyId=imported, KeyAgreementAlgorithm="ECDH", PublicKey=spki)
    assert inside["SharedSecret"] == original.exchange(ec.ECDH(), peer.public_key())


@pytest.mark.parametrize("spec", ML_KEM)
def test_encapsulation_both_ways(kms, spec):
    key_id, outside = make(kms, spec, "ENCAPSULATE_DECAPSULATE")
    secret, ciphertext = outside.encapsulate()
    opened = kms.decapsulate(KeyId=key_id, SharedSecretCiphertextBlob=ciphertext, EncapsulationAlgorithm="ML_KEM")
    assert opened["SharedSecret"] == secret
    # What opens the other library's secrets opens those that are made inside: they are of one kind.
    made = kms.encapsulate(KeyId=key_id, EncapsulationAlgorithm="ML_KEM")
    assert len(made["SharedSecretCiphertextBlob"]) == len(ciphertext)
    opened = kms.decapsulate(
        KeyId=key_id,
        SharedSecretCiphertextBlob=made["SharedSecretCiphertextBlob"],
        EncapsulationAlgorithm="ML_KEM",
    )
    assert opened["SharedSecret"] == made["SharedSecret"] != secret
    original = ML_KEM[spec].generate()
    pair = kms.create_key()["KeyMetadata"]["KeyId"]
    made = kms.generate_data_key_pair(KeyId=pair, KeyPairSpec=spec)
    loaded = serialization.load_der_private_key(made["PrivateKeyPlaintext"], None)
    assert isinstance(loaded, type(original))
    secret, ciphertext = serialization.load_der_public_key(made["PublicKey"]).encapsulate()
    assert loaded.decapsulate(ciphertext) == secret


@pytest.mark.parametrize("bits, name", [(224, "sha224"), (256, "sha256"), (384, "sha384"), (512, "sha512")])
def test_message_authentication_codes(kms, bits, name):
    algorithm = f"HMAC_SHA_{bits}"
    for length in (bits // 8, 128):
        material = secrets.token_bytes(length)
        key_id = imported_key(kms, material, f"HMAC_{bits}", "GENERATE_VERIFY_MAC")
        expected = hmac.new(material, MESSAGE, name).digest()
        assert kms.generate_mac(KeyId=key_id, Message=MESSAGE, MacAlgorithm=algorithm)["Mac"] == expected
        assert kms.verify_mac(KeyId=key_id, Message=MESSAGE, MacAlgorithm=algorithm, Mac=expected)["MacValid"]
        wrong = bytes([expected[0] ^ 1, *expected[1:]])
        with pytest.raises(ClientError) as caught:
            kms.verify_mac(KeyId=key_id, Message=MESSAGE, MacAlgorithm=algorithm, Mac=wrong)
        assert caught.value.response["Error"]["Code"] == "KMSInvalidMacException"


@pytest.mark.parametrize("spec", [*RSA_SPECS, *CURVES, "ECC_NIST_EDWARDS25519"])
def test_data_key_pairs(kms, spec):
    """The private key loads, matches the public one, and is what the blob holds."""
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    context = {"purpose": "pair"}
    made = kms.generate_data_key_pair(KeyId=key_id, KeyPairSpec=spec, EncryptionContext=context)
    private = serialization.load_der_private_key(made["PrivateKeyPlaintext"], None)
    spki = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert private.public_key().public_bytes(*spki) == made["PublicKey"]
    opened = kms.decrypt(CiphertextBlob=made["PrivateKeyCiphertextBlob"], EncryptionContext=context)
    assert opened["Plaintext"] == made["PrivateKeyPlaintext"]
    blind = kms.generate_data_key_pair_without_plaintext(KeyId=key_id, KeyPairSpec=spec)
    assert "PrivateKeyPlaintext" not in blind and blind["PublicKey"] != made["PublicKey"]
    opened = kms.decrypt(CiphertextBlob=blind["PrivateKeyCiphertextBlob"])["Plaintext"]
    private = serialization.load_der_private_key(opened, None)
    assert private.public_key().public_bytes(*spki) == blind["PublicKey"]


WRAPPINGS = [
    (key, algorithm)
    for key in RSA_SPECS
    for algorithm in (
        "RSAES_OAEP_SHA_1",
        "RSAES_OAEP_SHA_256",
        "RSA_AES_KEY_WRAP_SHA_1",
        "RSA_AES_KEY_WRAP_SHA_256",
    )
]


@pytest.mark.parametrize("wrapping_key, algorithm", WRAPPINGS)
def test_every_way_to_import(kms, wrapping_key, algorithm):
    """The same material in two keys: what one MAC key computes, the original computes."""
    material = secrets.token_bytes(32)
    key_id = imported_key(kms, material, "HMAC_256", "GENERATE_VERIFY_MAC", algorithm, wrapping_key)
    expected = hmac.new(material, MESSAGE, "sha256").digest()
    assert kms.generate_mac(KeyId=key_id, Message=MESSAGE, MacAlgorithm="HMAC_SHA_256")["Mac"] == expected
    symmetric = imported_key(kms, secrets.token_bytes(32), algorithm=algorithm, wrapping_key=wrapping_key)
    sealed = kms.encrypt(KeyId=symmetric, Plaintext=CANARY)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == CANARY


def weak_rsa() -> bytes:
    """An RSA key whose public exponent is 3."""
    return openssl(
        *("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
        *("-pkeyopt", "rsa_keygen_pubexp:3", "-outform", "DER"),
    )


def off_the_curve() -> bytes:
    """A P-256 key whose PKCS #8 has a public point that does not lie on the curve."""
    der = pkcs8(ec.generate_private_key(ec.SECP256R1()))
    return der[:-1] + bytes([der[-1] ^ 1])


def at_infinity() -> bytes:
    """A P-256 key whose scalar is 0: its public point is at infinity."""
    der = pkcs8(ec.generate_private_key(ec.SECP256R1()))
    scalar = der.index(b"\x04\x20") + 2
    return der[:scalar] + bytes(32) + der[scalar + 32 :]


RSA = ("RSA_2048", "SIGN_VERIFY")
P256 = ("ECC_NIST_P256", "SIGN_VERIFY")
NOT_THE_MATERIAL = {
    "a modulus of another size": (*RSA, lambda: pkcs8(own("RSA_3072"))),
    "a public exponent of 3": (*RSA, weak_rsa),
    "an RSA key with trailing bytes": (*RSA, lambda: pkcs8(own("RSA_2048")) + b"\0"),
    "an EC key for an RSA key": (*RSA, lambda: pkcs8(own("ECC_NIST_P256"))),
    "another curve": (*P256, lambda: pkcs8(own("ECC_NIST_P384"))),
    "another curve of as many bits": (*P256, lambda: pkcs8(own("ECC_SECG_P256K1"))),
    "a point off the curve": (*P256, off_the_curve),
    "a point at infinity": (*P256, at_infinity),
    "an EC key with trailing bytes": (*P256, lambda: pkcs8(own("ECC_NIST_P256")) + b"\0"),
    "an EC key cut short": (*P256, lambda: pkcs8(own("ECC_NIST_P256"))[:-1]),
    "a public key": (*P256, lambda: spki(own("ECC_NIST_P256"))),
    "an Ed25519 seed without its frame": ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY", lambda: secrets.token_bytes(32)),
    "too short a key for HMAC": ("HMAC_512", "GENERATE_VERIFY_MAC", lambda: secrets.token_bytes(63)),
    "too long a key for HMAC": ("HMAC_224", "GENERATE_VERIFY_MAC", lambda: secrets.token_bytes(129)),
    "a symmetric key of 16 bytes": ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", lambda: secrets.token_bytes(16)),
}


def spki(key) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def refusal(kms, key_id: str, material: bytes) -> str:
    with pytest.raises(ClientError) as caught:
        import_material(kms, key_id, material, "RSA_AES_KEY_WRAP_SHA_256", "RSA_2048")
    return caught.value.response["Error"]["Code"]


@pytest.mark.parametrize("what", NOT_THE_MATERIAL)
def test_what_is_no_material_of_the_key_changes_nothing(kms, what):
    spec, usage, make_material = NOT_THE_MATERIAL[what]
    key_id = kms.create_key(KeySpec=spec, KeyUsage=usage, Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    before = kms.describe_key(KeyId=key_id)["KeyMetadata"]
    assert before["KeyState"] == "PendingImport"
    assert refusal(kms, key_id, make_material()) == "IncorrectKeyMaterialException"
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"] == before


REIMPORTED = {
    "RSA_2048": lambda: pkcs8(own("RSA_2048")),
    "ECC_NIST_P256": lambda: pkcs8(own("ECC_NIST_P256")),
    "ECC_NIST_EDWARDS25519": lambda: pkcs8(own("ECC_NIST_EDWARDS25519")),
    "ML_DSA_44": lambda: pkcs8(own("ML_DSA_44")),
    "HMAC_256": lambda: secrets.token_bytes(32),
}


@pytest.mark.parametrize("spec", REIMPORTED)
def test_a_key_takes_its_own_material_again_and_no_other(kms, spec):
    usage = "GENERATE_VERIFY_MAC" if spec.startswith("HMAC") else "SIGN_VERIFY"
    material, other = REIMPORTED[spec](), REIMPORTED[spec]()
    key_id = imported_key(kms, material, spec, usage)
    before = kms.describe_key(KeyId=key_id)["KeyMetadata"]
    assert refusal(kms, key_id, other) == "IncorrectKeyMaterialException"
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"] == before
    kms.delete_imported_key_material(KeyId=key_id)
    waiting = kms.describe_key(KeyId=key_id)["KeyMetadata"]
    assert waiting["KeyState"] == "PendingImport"
    assert refusal(kms, key_id, other) == "IncorrectKeyMaterialException"
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"] == waiting
    import_material(kms, key_id, material, "RSA_AES_KEY_WRAP_SHA_256", "RSA_2048")
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"] == before


def test_sm2_against_openssl(server: Server, tmp_path):
    """SM2 is served where the partition is China's."""
    kms = server.client(region="cn-north-1")
    key_id = kms.create_key(KeySpec="SM2", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    (tmp_path / "public.der").write_bytes(kms.get_public_key(KeyId=key_id)["PublicKey"])
    openssl("pkey", "-pubin", "-inform", "DER", "-in", tmp_path / "public.der", "-out", tmp_path / "public.pem")
    signed = kms.sign(KeyId=key_id, Message=MESSAGE, SigningAlgorithm="SM2DSA")["Signature"]
    (tmp_path / "signature").write_bytes(signed)
    (tmp_path / "message").write_bytes(MESSAGE)
    identity = ("-pkeyopt", "distid:1234567812345678")
    answer = openssl(
        *("pkeyutl", "-verify", "-rawin", "-digest", "sm3", "-pubin", "-inkey", tmp_path / "public.pem"),
        *("-sigfile", tmp_path / "signature", "-in", tmp_path / "message", *identity),
    )
    assert b"Signature Verified Successfully" in answer

    key_id = kms.create_key(KeySpec="SM2", KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["KeyId"]
    (tmp_path / "public.der").write_bytes(kms.get_public_key(KeyId=key_id)["PublicKey"])
    openssl("pkey", "-pubin", "-inform", "DER", "-in", tmp_path / "public.der", "-out", tmp_path / "public.pem")
    sealed = openssl("pkeyutl", "-encrypt", "-pubin", "-inkey", tmp_path / "public.pem", given=CANARY)
    opened = kms.decrypt(KeyId=key_id, CiphertextBlob=sealed, EncryptionAlgorithm="SM2PKE")
    assert opened["Plaintext"] == CANARY

    wrapping = kms.create_key()["KeyMetadata"]["KeyId"]
    made = kms.generate_data_key_pair(KeyId=wrapping, KeyPairSpec="SM2")
    (tmp_path / "private.der").write_bytes(made["PrivateKeyPlaintext"])
    load = ("pkey", "-inform", "DER", "-in", tmp_path / "private.der")
    assert openssl(*load, "-pubout", "-outform", "DER") == made["PublicKey"]
    assert kms.decrypt(CiphertextBlob=made["PrivateKeyCiphertextBlob"])["Plaintext"] == made["PrivateKeyPlaintext"]


# The curve of SM2 (GB/T 32918.5): y^2 = x^3 - 3x + b over the field of P elements, as the standard prints it.
SM2_P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
SM2_B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
SM2_G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)


def sm2_add(one, other):
    """The sum of two points, or of a point with itself, none of them the point at infinity."""
    (x, y), (u, v) = one, other
    if one == other:
        slope = 3 * (x * x - 1) * pow(2 * y, -1, SM2_P)
    else:
        slope = (v - y) * pow(u - x, -1, SM2_P)
    sum_x = (slope * slope - x - u) % SM2_P
    return sum_x, (slope * (x - sum_x) - y) % SM2_P


def sm2_multiply(scalar: int, point):
    """Double and add, from the second bit on."""
    product = point
    for bit in f"{scalar:b}"[1:]:
        product = sm2_add(product, product)
        product = sm2_add(product, point) if bit == "1" else product
    return product


def test_sm2_agreement_against_the_standards_arithmetic(server: Server):
    """Neither OpenSSL nor the other libraries here offer Diffie-Hellman on this curve: the oracle is its definition."""
    kms = server.client(region="cn-north-1")
    key_id = kms.create_key(KeySpec="SM2", KeyUsage="KEY_AGREEMENT")["KeyMetadata"]["KeyId"]
    shown = kms.get_public_key(KeyId=key_id)
    assert shown["KeyAgreementAlgorithms"] == ["ECDH"]
    head, point = shown["PublicKey"][:-64], shown["PublicKey"][-64:]
    theirs = int.from_bytes(point[:32], "big"), int.from_bytes(point[32:], "big")
    assert (theirs[1] ** 2 - theirs[0] ** 3 + 3 * theirs[0] - SM2_B) % SM2_P == 0

    for scalar in [2, 3, secrets.randbits(255) | 1]:
        ours = sm2_multiply(scalar, SM2_G)
        peer = head + b"".join(part.to_bytes(32, "big") for part in ours)
        derived = kms.derive_shared_secret(KeyId=key_id, KeyAgreementAlgorithm="ECDH", PublicKey=peer)
        assert derived["SharedSecret"] == sm2_multiply(scalar, theirs)[0].to_bytes(32, "big")


def test_what_sm2_wraps_is_taken_in(server: Server, tmp_path):
    """In China's Regions, where AES key wrap is not offered, SM2 wraps material of every kind, RSA keys included."""
    kms = server.client(region="cn-north-1")
    material = secrets.token_bytes(32)
    mac = imported_key(kms, material, "HMAC_256", "GENERATE_VERIFY_MAC", "SM2PKE", "SM2")
    expected = hmac.new(material, MESSAGE, "sha256").digest()
    assert kms.generate_mac(KeyId=mac, Message=MESSAGE, MacAlgorithm="HMAC_SHA_256")["Mac"] == expected

    private = rsa.generate_private_key(65537, 4096)
    signing = imported_key(kms, pkcs8(private), "RSA_4096", "SIGN_VERIFY", "SM2PKE", "SM2")
    signed = kms.sign(KeyId=signing, Message=MESSAGE, SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256")["Signature"]
    private.public_key().verify(signed, MESSAGE, padding.PKCS1v15(), hashes.SHA256())

    made = openssl("pkcs8", "-topk8", "-nocrypt", "-outform", "DER", given=openssl("genpkey", "-algorithm", "SM2"))
    own = imported_key(kms, made, "SM2", "SIGN_VERIFY", "SM2PKE", "SM2")
    public = openssl("pkey", "-inform", "DER", "-pubout", "-outform", "DER", given=made)
    assert kms.get_public_key(KeyId=own)["PublicKey"] == public
    key, message = tmp_path / "key.pem", tmp_path / "message"
    key.write_bytes(openssl("pkey", "-inform", "DER", given=made))
    message.write_bytes(MESSAGE)
    sign = ("pkeyutl", "-sign", "-rawin", "-digest", "sm3", "-inkey", key, "-in", message)
    signature = openssl(*sign, "-pkeyopt", "distid:1234567812345678")
    verified = kms.verify(KeyId=own, Message=MESSAGE, Signature=signature, SigningAlgorithm="SM2DSA")
    assert verified["SignatureValid"] is True
    with pytest.raises(ClientError, match="KMSInvalidSignatureException"):
        kms.verify(KeyId=own, Message=MESSAGE + b"x", Signature=signature, SigningAlgorithm="SM2DSA")
    own = imported_key(kms, made, "SM2", "ENCRYPT_DECRYPT", "SM2PKE", "SM2")
    sealed = kms.encrypt(KeyId=own, Plaintext=CANARY, EncryptionAlgorithm="SM2PKE")["CiphertextBlob"]
    assert openssl("pkeyutl", "-decrypt", "-inkey", key, given=sealed) == CANARY

    with pytest.raises(ClientError, match="RSA_AES_KEY_WRAP_SHA_256 is not supported in this Region"):
        imported_key(kms, material, algorithm="RSA_AES_KEY_WRAP_SHA_256")
