//! Shapes of signatures, message authentication codes, key agreement, key encapsulation and data key pairs.

use claviger_wire::choice;
use claviger_wire::codec::{self, Member, Notes, Path, WrongType};
use claviger_wire::json::Value;

choice! {
    /// How to sign.
    pub enum SigningAlgorithm {
        /// RSASSA-PSS (RFC 8017); the salt is as long as the digest.
        RsassaPssSha256 = "RSASSA_PSS_SHA_256",
        /// RSASSA-PSS (RFC 8017); the salt is as long as the digest.
        RsassaPssSha384 = "RSASSA_PSS_SHA_384",
        /// RSASSA-PSS (RFC 8017); the salt is as long as the digest.
        RsassaPssSha512 = "RSASSA_PSS_SHA_512",
        /// RSASSA-PKCS1-v1_5 (RFC 8017).
        RsassaPkcs1V15Sha256 = "RSASSA_PKCS1_V1_5_SHA_256",
        /// RSASSA-PKCS1-v1_5 (RFC 8017).
        RsassaPkcs1V15Sha384 = "RSASSA_PKCS1_V1_5_SHA_384",
        /// RSASSA-PKCS1-v1_5 (RFC 8017).
        RsassaPkcs1V15Sha512 = "RSASSA_PKCS1_V1_5_SHA_512",
        /// ECDSA (FIPS 186-5).
        EcdsaSha256 = "ECDSA_SHA_256",
        /// ECDSA (FIPS 186-5).
        EcdsaSha384 = "ECDSA_SHA_384",
        /// ECDSA (FIPS 186-5).
        EcdsaSha512 = "ECDSA_SHA_512",
        /// SM2 signatures with SM3 (GB/T 32918.2).
        Sm2Dsa = "SM2DSA",
        /// ML-DSA (FIPS 204) with an empty context.
        MlDsaShake256 = "ML_DSA_SHAKE_256",
        /// Ed25519 (FIPS 186-5).
        Ed25519Sha512 = "ED25519_SHA_512",
        /// Ed25519ph (FIPS 186-5), which hashes what it is given.
        Ed25519PhSha512 = "ED25519_PH_SHA_512",
    }
}

choice! {
    /// What a message to be signed is.
    pub enum MessageType {
        /// The message itself.
        Raw = "RAW",
        /// Its digest.
        Digest = "DIGEST",
        /// The representative of FIPS 204, made outside.
        ExternalMu = "EXTERNAL_MU",
    }
}

choice! {
    /// How to authenticate a message.
    pub enum MacAlgorithm {
        /// HMAC (FIPS 198-1).
        HmacSha224 = "HMAC_SHA_224",
        /// HMAC (FIPS 198-1).
        HmacSha256 = "HMAC_SHA_256",
        /// HMAC (FIPS 198-1).
        HmacSha384 = "HMAC_SHA_384",
        /// HMAC (FIPS 198-1).
        HmacSha512 = "HMAC_SHA_512",
    }
}

choice! {
    /// How to agree on a secret.
    pub enum KeyAgreementAlgorithm {
        /// Elliptic curve cofactor Diffie-Hellman (NIST SP 800-56A).
        Ecdh = "ECDH",
    }
}

choice! {
    /// How to encapsulate a secret.
    pub enum EncapsulationAlgorithm {
        /// ML-KEM (FIPS 203).
        MlKem = "ML_KEM",
    }
}

choice! {
    /// Kind of a data key pair.
    pub enum DataKeyPairSpec {
        /// RSA.
        Rsa2048 = "RSA_2048",
        /// RSA.
        Rsa3072 = "RSA_3072",
        /// RSA.
        Rsa4096 = "RSA_4096",
        /// NIST P-256.
        EccNistP256 = "ECC_NIST_P256",
        /// NIST P-384.
        EccNistP384 = "ECC_NIST_P384",
        /// NIST P-521.
        EccNistP521 = "ECC_NIST_P521",
        /// secp256k1.
        EccSecgP256k1 = "ECC_SECG_P256K1",
        /// SM2.
        Sm2 = "SM2",
        /// Ed25519 (RFC 8032).
        EccNistEdwards25519 = "ECC_NIST_EDWARDS25519",
        /// ML-KEM (FIPS 203).
        MlKem512 = "ML_KEM_512",
        /// ML-KEM (FIPS 203).
        MlKem768 = "ML_KEM_768",
        /// ML-KEM (FIPS 203).
        MlKem1024 = "ML_KEM_1024",
    }
}

blob! {
    /// Another's public key: DER of a SubjectPublicKeyInfo (RFC 5280).
    PublicKey(Vec<u8>): 1..=8192
}
