"""Key material made outside, wrapped as AWS KMS wants it and imported."""

from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import padding
import secrets
import subprocess
import tempfile

HASHES = {"SHA_1": hashes.SHA1, "SHA_256": hashes.SHA256}


def oaep(public: bytes, hash_name: str, secret: bytes) -> bytes:
    """RSAES-OAEP under a wrapping key (DER), both hashes the same, no label."""
    chosen = HASHES[hash_name]()
    key = serialization.load_der_public_key(public)
    return key.encrypt(secret, padding.OAEP(padding.MGF1(chosen), chosen, None))


def openssl(*arguments: object, given: bytes | None = None) -> bytes:
    """What OpenSSL's command line writes."""
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, input=given, capture_output=True, check=True, timeout=60).stdout


def sm2pke(public: bytes, secret: bytes) -> bytes:
    """SM2 encryption under a wrapping key (DER)."""
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(openssl("pkey", "-pubin", "-inform", "DER", given=public))
        file.flush()
        return openssl("pkeyutl", "-encrypt", "-pubin", "-inkey", file.name, given=secret)


def wrap(public: bytes, algorithm: str, material: bytes) -> bytes:
    """Wraps key material with one of the wrapping algorithms."""
    if algorithm == "SM2PKE":
        return sm2pke(public, material)
    hash_name = "SHA_1" if algorithm.endswith("SHA_1") else "SHA_256"
    if algorithm.startswith("RSAES_OAEP"):
        return oaep(public, hash_name, material)
    key = secrets.token_bytes(32)
    return oaep(public, hash_name, key) + keywrap.aes_key_wrap_with_padding(key, material)


def pkcs8(key) -> bytes:
    """A private key as DER of a PKCS #8 PrivateKeyInfo."""
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def imported_key(
    kms,
    material: bytes,
    spec: str = "SYMMETRIC_DEFAULT",
    usage: str = "ENCRYPT_DECRYPT",
    algorithm: str = "RSA_AES_KEY_WRAP_SHA_256",
    wrapping_key: str = "RSA_2048",
) -> str:
    """Makes a key whose material comes from outside; answers its id."""
    key_id = kms.create_key(KeySpec=spec, KeyUsage=usage, Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    import_material(kms, key_id, material, algorithm, wrapping_key)
    return key_id


def import_material(kms, key_id: str, material: bytes, algorithm: str, wrapping_key: str, **more) -> dict:
    """Imports material into a key that waits for it."""
    asked = kms.get_parameters_for_import(
        KeyId=key_id, WrappingAlgorithm=algorithm, WrappingKeySpec=wrapping_key
    )
    more.setdefault("ExpirationModel", "KEY_MATERIAL_DOES_NOT_EXPIRE")
    wrapped = wrap(asked["PublicKey"], algorithm, material)
    return kms.import_key_material(
        KeyId=key_id, ImportToken=asked["ImportToken"], EncryptedKeyMaterial=wrapped, **more
    )
