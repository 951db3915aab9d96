//! Known-answer self-test: the HSM proves its primitives before it serves, as FIPS 140-3 asks of a module.

use claviger_hsm_proto::Refusal;

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
}

/// Sources: FIPS 180-4's `abc`; RFC 4231 section 4.3; NIST CAVP KDF108 counter mode (HMAC-SHA-256, counter of 32 bits
/// before the fixed data, count 0); test case 16 of the GCM specification by McGrew and Viega; the example secret of
/// AWS's documentation on deriving a signing key.
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
};

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
    gcm(known)
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
        let breaks: [fn(&mut KnownAnswers); 6] = [
            |known| known.sha256[31] ^= 1,
            |known| known.hmac_sha256[0] ^= 0x80,
            |known| known.kbkdf[15] ^= 1,
            |known| known.gcm_ciphertext[59] ^= 1,
            |known| known.gcm_tag[0] ^= 1,
            |known| known.signing_key[7] ^= 4,
        ];
        for (number, change) in breaks.iter().enumerate() {
            let mut known = KNOWN_ANSWERS;
            change(&mut known);
            assert_eq!(run(&known), Err(Refusal::Internal), "answer {number}");
        }
    }
}
