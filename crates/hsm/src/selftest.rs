//! Known-answer self-test: the HSM proves its primitives before it serves, as FIPS 140-3 asks of a module.

use claviger_hsm_proto::Refusal;

use crate::algorithms::{Material, Message, SigningAlgorithm, Spec, import, verifying};
use crate::credential::derive_signing_key;
use crate::primitives::{self, Key};

/// The answers that are known. A value, so that tests can show that a wrong one is noticed.
#[derive(Debug, Clone)]
pub(crate) struct KnownAnswers {
    pub(crate) sha256: [u8; 32],
    pub(crate) hmac_sha256: [u8; 32],
    pub(crate) kbkdf: [u8; 16],
    pub(crate) gcm_ciphertext: [u8; 60],
    pub(crate) gcm_tag: [u8; 16],
    pub(crate) signing_key: [u8; 32],
    pub(crate) rsa: [u8; 256],
    pub(crate) p256: [u8; 72],
    pub(crate) secp256k1: [u8; 71],
    pub(crate) ed25519: [u8; 64],
    pub(crate) sm2: [u8; 72],
    pub(crate) ml_dsa: [u8; 32],
    pub(crate) ml_kem: [u8; 32],
}

/// Sources: FIPS 180-4's `abc`; RFC 4231 section 4.3; NIST CAVP KDF108 counter mode (HMAC-SHA-256, counter of 32 bits
/// before the fixed data, count 0); test case 16 of the GCM specification by McGrew and Viega; the example secret of
/// AWS's documentation on deriving a signing key. Signatures: the first of Project Wycheproof's for each algorithm, and
/// GB/T 32918.5 annex A for SM2. ML-DSA-44 and ML-KEM-512: SHA-256 of the public keys of Project Wycheproof's first seeds.
pub(crate) const KNOWN_ANSWERS: KnownAnswers = KnownAnswers {
    sha256: hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    hmac_sha256: hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    kbkdf: hex("10621342bfb0fd40046c0e29f2cfdbf0"),
    gcm_ciphertext: hex(concat!(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa",
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
    )),
    gcm_tag: hex("76fc6ece0f4e1768cddf8853bb2d551b"),
    signing_key: hex("f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"),
    rsa: hex(concat!(
        "8a1b220cb2ab415dc760eb7f5bb10335a3cca269d7dbbf7d0962ba79f9cf7b43a5fc09c99a1584f07403473d6c189a83",
        "6897a5b6f8ea9fa22d601e6ba5f7411fe27c638b81b1a22363583a80fce8c7df3e40fb51bd0e60d0a6653f79f3bcb7ec",
        "3e9dc14cfb5b31ab1735bca692d50ac03f979dda92747c6430f8045efa3513ba6e0ce3e9e35570e1c30c8ebe589b4419",
        "2e1344ca83dfa576fc6fdc7bf1cd7cee875b001c8c02ce8d602769e4bd9d241c4857182a0089a8b67644e73eef105c55",
        "0efa47a40874289395ac0c4e02fd4ba98e130a4c2d1b95521c6af4a002ac3bdc6e52122ae4c08cc3da1c896e059acbdd",
        "ec574ac0432f6103dd97273d8803c102"
    )),
    p256: hex(concat!(
        "3046022100a8ea150cb80125d7381c4c1f1da8e9de2711f9917060406a73d7904519e51388022100f3ab9fa68bd47973",
        "a73b2d40480c2ba50c22c9d76ec217257288293285449b86"
    )),
    secp256k1: hex(concat!(
        "3045022100d035ee1f17fdb0b2681b163e33c359932659990af77dca632012b30b27a057b302201939d9f3b2858bc13e",
        "3474cb50e6a82be44faa71940f876c1cba4c3e989202b6"
    )),
    ed25519: hex(concat!(
        "7c38e026f29e14aabd059a0f2db8b0cd783040609a8be684db12f82a27774ab07a9155711ecfaf7f99f277bad0c6ae7e",
        "39d4eef676573336a5c51eb6f946b30d"
    )),
    sm2: hex(concat!(
        "3046022100f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3022100b1b6aa29df212fd8",
        "763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
    )),
    ml_dsa: hex("d87f8ca136ac1aa55e2d6c4521680efb3a378cbb9bc0bfb446e9c60893931ea3"),
    ml_kem: hex("852523749efd2b78d1074e5de629060312cd9397933a19ddb7482cfda5e92614"),
};

const RSA_PUBLIC: [u8; 294] = hex(concat!(
    "30820122300d06092a864886f70d01010105000382010f003082010a0282010100a2b451a07d0aa5f96e455671513550",
    "514a8a5b462ebef717094fa1fee82224e637f9746d3f7cafd31878d80325b6ef5a1700f65903b469429e89d6eac88450",
    "97b5ab393189db92512ed8a7711a1253facd20f79c15e8247f3d3e42e46e48c98e254a2fe9765313a03eff8f17e1a029",
    "397a1fa26a8dce26f490ed81299615d9814c22da610428e09c7d9658594266f5c021d0fceca08d945a12be82de4d1ece",
    "6b4c03145b5d3495d4ed5411eb878daf05fd7afc3e09ada0f1126422f590975a1969816f48698bcbba1b4d9cae79d460",
    "d8f9f85e7975005d9bc22c4e5ac0f7c1a45d12569a62807d3b9a02e5a530e773066f453d1f5b4c2e9cf7820283f742b9",
    "d50203010001"
));
const P256_PUBLIC: [u8; 91] = hex(concat!(
    "3059301306072a8648ce3d020106082a8648ce3d0301070342000404aaec73635726f213fb8a9e64da3b8632e41495a9",
    "44d0045b522eba7240fad587d9315798aaa3a5ba01775787ced05eaaf7b4e09fc81d6d1aa546e8365d525d"
));
const SECP256K1_PUBLIC: [u8; 88] = hex(concat!(
    "3056301006072a8648ce3d020106052b8104000a03420004782c8ed17e3b2a783b5464f33b09652a71c678e05ec51e84",
    "e2bcfc663a3de963af9acb4280b8c7f7c42f4ef9aba6245ec1ec1712fd38a0fa96418d8cd6aa6152"
));
const ED25519_PUBLIC: [u8; 44] =
    hex("302a300506032b65700321007d4d0e7f6153a69b6242b522abbee685fda4420f8834b108c3bdae369ef549fa");
const SM2_PUBLIC: [u8; 91] = hex(concat!(
    "3059301306072a8648ce3d020106082a811ccf5501822d0342000409f9df311e5421a150dd7d161e4bc5c672179fad18",
    "33fc076bb08ff356f35020ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
));
const ML_DSA_PRIVATE: [u8; 54] = hex(concat!(
    "3034020100300b0609608648016503040311042280202a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a",
    "2a2a2a2a2a2a"
));
const ML_KEM_PRIVATE: [u8; 86] = hex(concat!(
    "3054020100300b0609608648016503040401044280407c9935a0b07694aa0c6d10e4db6b1add2fd81a25ccb148032dcd",
    "739936737f2d8626ed79d451140800e03b59b956f8210e556067407d13dc90fa9e8b872bfb8f"
));

const KDF_SECRET: [u8; 32] = hex("dd1d91b7d90b2bd3138533ce92b272fbf8a369316aefe242e659cc0ae238afe0");
const KDF_INFO: [u8; 60] = hex(concat!(
    "01322b96b30acd197979444e468e1c5c6859bf1b1cf951b7e725303e237e46b8",
    "64a145fab25e517b08f8683d0315bb2911d80a0e8aba17f3b413faac"
));
const GCM_KEY: [u8; 32] = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
const GCM_IV: [u8; 12] = hex("cafebabefacedbaddecaf888");
const GCM_ASSOCIATED: [u8; 20] = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
const GCM_PLAINTEXT: [u8; 60] = hex(concat!(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72",
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
));

/// Runs every primitive once and compares.
///
/// # Errors
/// [`Refusal::Internal`] for any difference.
pub(crate) fn run(known: &KnownAnswers) -> Result<(), Refusal> {
    same(&primitives::sha256(b"abc"), &known.sha256)?;
    let hmac = primitives::hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
    same(&*hmac, &known.hmac_sha256)?;
    let mut derived = [0; 16];
    primitives::kbkdf(&KDF_SECRET, &KDF_INFO, &mut derived)?;
    same(&derived, &known.kbkdf)?;
    let secret = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    same(&*derive_signing_key(secret, ["20120215", "us-east-1", "iam"])?, &known.signing_key)?;
    gcm(known)?;
    signatures(known)?;
    let ml_dsa = import("ML_DSA_44", "SIGN_VERIFY", &ML_DSA_PRIVATE)?;
    same(&public_sha256(&ml_dsa)?, &known.ml_dsa)?;
    let ml_kem = import("ML_KEM_512", "ENCAPSULATE_DECAPSULATE", &ML_KEM_PRIVATE)?;
    same(&public_sha256(&ml_kem)?, &known.ml_kem)
}

fn public_sha256(material: &Material) -> Result<[u8; 32], Refusal> {
    // The key itself, behind the 22 bytes of its algorithm.
    let public = material.public.as_deref().and_then(|public| public.get(22..)).ok_or(Refusal::Internal)?;
    Ok(primitives::sha256(public))
}

/// Verifies a signature of each family, and that it is none of another message.
fn signatures(known: &KnownAnswers) -> Result<(), Refusal> {
    use SigningAlgorithm::{EcdsaSha256, Ed25519Sha512, Pkcs1Sha256, Sm2Dsa};
    type Answer<'a> = (Spec, SigningAlgorithm, &'a [u8], &'a [u8], &'a [u8]);
    let answers: [Answer<'_>; 5] = [
        (Spec::Rsa2048, Pkcs1Sha256, &RSA_PUBLIC, &[0; 20], &known.rsa),
        (Spec::EccNistP256, EcdsaSha256, &P256_PUBLIC, b"123400", &known.p256),
        (Spec::EccSecgP256k1, EcdsaSha256, &SECP256K1_PUBLIC, b"123400", &known.secp256k1),
        (Spec::EccNistEdwards25519, Ed25519Sha512, &ED25519_PUBLIC, b"Test", &known.ed25519),
        (Spec::Sm2, Sm2Dsa, &SM2_PUBLIC, b"message digest", &known.sm2),
    ];
    for (spec, algorithm, public, message, signature) in answers {
        let key = verifying(spec, public).ok_or(Refusal::Internal)?;
        let is_right = key.verify(algorithm, Message::Raw(message), signature);
        let is_wrong = key.verify(algorithm, Message::Raw(b"another message"), signature);
        if !is_right || is_wrong {
            return Err(Refusal::Internal);
        }
    }
    Ok(())
}

fn gcm(known: &KnownAnswers) -> Result<(), Refusal> {
    let mut key = Key::blank();
    key.bytes_mut().copy_from_slice(&GCM_KEY);
    let mut text = GCM_PLAINTEXT;
    let tag = primitives::encrypt(&key, &GCM_IV, &GCM_ASSOCIATED, &mut text)?;
    same(&text, &known.gcm_ciphertext)?;
    same(&tag, &known.gcm_tag)?;
    let mut opened = [0; 60];
    primitives::decrypt(&key, &GCM_IV, &GCM_ASSOCIATED, &text, &tag, &mut opened).ok_or(Refusal::Internal)?;
    same(&opened, &GCM_PLAINTEXT)?;
    // A decryption that accepts a wrong tag would pass everything above.
    let [first, ..] = &mut text;
    *first ^= 1;
    match primitives::decrypt(&key, &GCM_IV, &GCM_ASSOCIATED, &text, &tag, &mut opened) {
        None => Ok(()),
        Some(()) => Err(Refusal::Internal),
    }
}

fn same(got: &[u8], known: &[u8]) -> Result<(), Refusal> {
    if got == known { Ok(()) } else { Err(Refusal::Internal) }
}

/// Reads hexadecimal digits at compile time, where a mistake stops the build.
const fn hex<const N: usize>(digits: &str) -> [u8; N] {
    let (mut left, mut out, mut rest) = (digits.as_bytes(), [0; N], N);
    let mut places: &mut [u8] = &mut out;
    while let ([high, low, after @ ..], [place, next @ ..]) = (left, places) {
        *place = nibble(*high) * 16 + nibble(*low);
        (left, places) = (after, next);
        rest -= 1;
    }
    assert!(rest == 0 && left.is_empty(), "the digits do not fill the array");
    out
}

const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_answers_are_met() {
        assert_eq!(run(&KNOWN_ANSWERS), Ok(()));
    }

    /// Attack D21: one wrong bit anywhere.
    #[test]
    fn each_wrong_answer_is_noticed() {
        let breaks: [fn(&mut KnownAnswers); 13] = [
            |known| known.sha256[31] ^= 1,
            |known| known.hmac_sha256[0] ^= 0x80,
            |known| known.kbkdf[15] ^= 1,
            |known| known.gcm_ciphertext[59] ^= 1,
            |known| known.gcm_tag[0] ^= 1,
            |known| known.signing_key[7] ^= 4,
            |known| known.rsa[255] ^= 1,
            |known| known.p256[71] ^= 1,
            |known| known.secp256k1[70] ^= 1,
            |known| known.ed25519[0] ^= 1,
            |known| known.sm2[71] ^= 1,
            |known| known.ml_dsa[0] ^= 1,
            |known| known.ml_kem[31] ^= 1,
        ];
        for (number, change) in breaks.iter().enumerate() {
            let mut known = KNOWN_ANSWERS;
            change(&mut known);
            assert_eq!(run(&known), Err(Refusal::Internal), "answer {number}");
        }
    }
}
