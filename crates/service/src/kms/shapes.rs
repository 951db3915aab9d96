//! The shapes of AWS's model that requests are made of, each with its constraints and what the trail may show of it.

use claviger_wire::codec::{self, Member, Notes, Path, WrongType};
use claviger_wire::json::Value;
use claviger_wire::{choice, shape, text};
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

mod multi_region;

pub use multi_region::{MultiRegionKeyType, RegionName, TrackedOperation};

text! {
    /// A key id, key ARN, alias name or alias ARN, as sent.
    pub struct KeyIdentifier: 1..=2048
}

text! {
    /// An alias name, `alias/` included.
    pub struct AliasName: 1..=256, "^[a-zA-Z0-9:/_-]+$",
        |text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b":/_-".contains(&b))
}

text! {
    /// A key's description.
    pub struct Description: 0..=8192
}

text! {
    /// The text of a key policy.
    pub struct PolicyText: 1..=131072, "[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+",
        |text| !text.is_empty() && text.chars().all(|c| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{FF}'))
}

text! {
    /// Name of a key policy; only `default` exists.
    pub struct PolicyName: 1..=128, "[\\w]+",
        |text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

text! {
    /// Key of a tag.
    pub struct TagKey: 1..=128
}

text! {
    /// Value of a tag.
    pub struct TagValue: 0..=256
}

text! {
    /// Where a list goes on.
    pub struct Marker: 1..=1024, "[\\u0020-\\u00FF]*",
        |text| text.chars().all(|c| matches!(c, '\u{20}'..='\u{FF}'))
}

text! {
    /// Id of a custom key store.
    pub struct CustomKeyStoreId: 1..=64
}

text! {
    /// Id of a key in an external key manager.
    pub struct XksKeyId: 1..=128, "^[a-zA-Z0-9-_.]+$",
        |text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

choice! {
    /// Kind of key material.
    pub enum KeySpec {
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
        /// AES-256 in Galois/Counter Mode.
        SymmetricDefault = "SYMMETRIC_DEFAULT",
        /// HMAC.
        Hmac224 = "HMAC_224",
        /// HMAC.
        Hmac256 = "HMAC_256",
        /// HMAC.
        Hmac384 = "HMAC_384",
        /// HMAC.
        Hmac512 = "HMAC_512",
        /// SM2.
        Sm2 = "SM2",
        /// ML-DSA (FIPS 204).
        MlDsa44 = "ML_DSA_44",
        /// ML-DSA (FIPS 204).
        MlDsa65 = "ML_DSA_65",
        /// ML-DSA (FIPS 204).
        MlDsa87 = "ML_DSA_87",
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

choice! {
    /// The older name of [`KeySpec`], without the specs that came after it.
    pub enum CustomerMasterKeySpec {
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
        /// AES-256 in Galois/Counter Mode.
        SymmetricDefault = "SYMMETRIC_DEFAULT",
        /// HMAC.
        Hmac224 = "HMAC_224",
        /// HMAC.
        Hmac256 = "HMAC_256",
        /// HMAC.
        Hmac384 = "HMAC_384",
        /// HMAC.
        Hmac512 = "HMAC_512",
        /// SM2.
        Sm2 = "SM2",
    }
}

choice! {
    /// What a key is for.
    pub enum KeyUsage {
        /// Signatures.
        SignVerify = "SIGN_VERIFY",
        /// Encryption.
        EncryptDecrypt = "ENCRYPT_DECRYPT",
        /// Message authentication codes.
        GenerateVerifyMac = "GENERATE_VERIFY_MAC",
        /// Key agreement.
        KeyAgreement = "KEY_AGREEMENT",
        /// Key encapsulation.
        EncapsulateDecapsulate = "ENCAPSULATE_DECAPSULATE",
    }
}

choice! {
    /// Where key material comes from.
    pub enum Origin {
        /// Made in the HSM.
        AwsKms = "AWS_KMS",
        /// Imported.
        External = "EXTERNAL",
        /// In a PKCS #11 custom key store.
        AwsCloudHsm = "AWS_CLOUDHSM",
        /// In an external key store.
        ExternalKeyStore = "EXTERNAL_KEY_STORE",
    }
}

choice! {
    /// State of a key.
    pub enum KeyState {
        /// Being made.
        Creating = "Creating",
        /// Usable.
        Enabled = "Enabled",
        /// Switched off.
        Disabled = "Disabled",
        /// Waits to be deleted.
        PendingDeletion = "PendingDeletion",
        /// Waits for key material.
        PendingImport = "PendingImport",
        /// Waits for its replicas to be deleted.
        PendingReplicaDeletion = "PendingReplicaDeletion",
        /// Its key store is not connected.
        Unavailable = "Unavailable",
        /// Being changed.
        Updating = "Updating",
    }
}

choice! {
    /// How to encrypt.
    pub enum EncryptionAlgorithm {
        /// AES-256-GCM under a key derived for each message.
        SymmetricDefault = "SYMMETRIC_DEFAULT",
        /// RSAES-OAEP.
        RsaesOaepSha1 = "RSAES_OAEP_SHA_1",
        /// RSAES-OAEP.
        RsaesOaepSha256 = "RSAES_OAEP_SHA_256",
        /// SM2 public key encryption.
        Sm2Pke = "SM2PKE",
    }
}

choice! {
    /// Length of a data key.
    pub enum DataKeySpec {
        /// 32 bytes.
        Aes256 = "AES_256",
        /// 16 bytes.
        Aes128 = "AES_128",
    }
}

choice! {
    /// What a dry run leaves out.
    pub enum DryRunModifier {
        /// Decides without a ciphertext.
        IgnoreCiphertext = "IGNORE_CIPHERTEXT",
    }
}

choice! {
    /// Whose keys to list.
    pub enum ResourceOwner {
        /// The caller's account's.
        Own = "SELF",
        /// Those shared with it.
        Others = "OTHER_ACCOUNTS_VIA_RAM",
    }
}

choice! {
    /// How a recipient's key protects the answer.
    pub enum KeyEncryptionMechanism {
        /// RSAES-OAEP.
        RsaesOaepSha256 = "RSAES_OAEP_SHA_256",
    }
}

/// Declares a blob member: its bounds in bytes. Blobs never stand in the trail or in messages.
macro_rules! blob {
    ($(#[$meta:meta])* $name:ident($inner:ty): $min:literal..=$max:literal) => {
        $(#[$meta])*
        #[derive(Clone)]
        pub struct $name(pub $inner);

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({} bytes)"), self.0.len())
            }
        }

        impl Member for $name {
            fn decode(value: &Value<'_>, at: Path<'_>, notes: &mut Notes) -> Result<Option<Self>, WrongType> {
                let bytes = codec::blob(value, false)?;
                let fits = codec::check_blob_length(bytes.len(), $min, $max, at, notes);
                Ok(fits.then(|| Self(bytes.into())))
            }
        }
    };
}

blob! {
    /// What to encrypt. Cleared when dropped.
    Plaintext(Zeroizing<Vec<u8>>): 1..=4096
}

blob! {
    /// A ciphertext.
    CiphertextBlob(Vec<u8>): 1..=6144
}

blob! {
    /// A signed attestation document.
    AttestationDocument(Vec<u8>): 1..=262144
}

mod crypto;

pub use crypto::*;

/// Declares an integer member with its bounds.
macro_rules! number {
    ($(#[$meta:meta])* $name:ident($inner:ty): $min:literal..=$max:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        pub struct $name(pub $inner);

        impl Member for $name {
            fn decode(value: &Value<'_>, at: Path<'_>, notes: &mut Notes) -> Result<Option<Self>, WrongType> {
                let number = codec::integer(value)?;
                let fits = codec::check_range(number, $min, $max, at, notes);
                Ok(fits.then(|| <$inner>::try_from(number).ok()).flatten().map(Self))
            }

            fn audit<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
                map.serialize_entry(name, self)
            }
        }
    };
}

number! {
    /// Most entries of a page.
    Limit(u16): 1..=1000
}

number! {
    /// Length of a data key or of random bytes.
    NumberOfBytes(u16): 1..=1024
}

number! {
    /// Days before a key is deleted.
    PendingWindowInDays(u16): 1..=365
}

mod lifecycle;

pub use lifecycle::*;

/// Declares a list member: its bounds in elements, and whether the trail shows it.
macro_rules! list {
    ($(#[$meta:meta])* $name:ident($element:ty): $min:literal..=$max:expr, $shown:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Serialize)]
        pub struct $name(pub Vec<$element>);

        impl Member for $name {
            fn decode(value: &Value<'_>, at: Path<'_>, notes: &mut Notes) -> Result<Option<Self>, WrongType> {
                let items = codec::list(value)?;
                let fits = codec::check_blob_length(items.len(), $min, $max, at, notes);
                let mut elements = Vec::new();
                for (index, item) in items.iter().enumerate().take(if fits { items.len() } else { 0 }) {
                    elements.extend(<$element>::decode(item, at.element(index), notes)?);
                }
                Ok(fits.then_some(Self(elements)))
            }

            fn audit<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
                if $shown { map.serialize_entry(name, self) } else { Ok(()) }
            }
        }
    };
}

/// The model bounds no tag list; a body of 1 MiB could hold a hundred thousand. The quota is 50 for each key.
const MAX_LISTED: usize = 1000;

list! {
    /// Tags.
    Tags(Tag): 0..=MAX_LISTED, true
}

list! {
    /// Keys of tags.
    TagKeys(TagKey): 0..=MAX_LISTED, true
}

list! {
    /// Modifiers of a dry run.
    DryRunModifiers(DryRunModifier): 0..=MAX_LISTED, true
}

list! {
    /// Whose keys to list.
    ResourceOwners(ResourceOwner): 1..=2, true
}

list! {
    /// Grant tokens. Not shown in the trail.
    GrantTokens(GrantToken): 0..=10, false
}

mod grants;

pub use grants::*;

/// One grant token. It does not print.
#[derive(Clone)]
pub struct GrantToken(pub Zeroizing<String>);

impl std::fmt::Debug for GrantToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GrantToken(..)")
    }
}

impl Serialize for GrantToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl Member for GrantToken {
    fn decode(value: &Value<'_>, at: Path<'_>, notes: &mut Notes) -> Result<Option<Self>, WrongType> {
        const RULE: codec::TextRule = codec::TextRule { min: 1, max: 8192, pattern: None, shown: false };
        let text = codec::text(value)?;
        Ok(RULE.check(text, at, notes).then(|| Self(Zeroizing::new(text.to_owned()))))
    }
}

shape! {
    /// A tag of a key.
    #[derive(Debug, Clone)]
    pub struct Tag {
        /// Its key.
        required key: TagKey = "tagKey",
        /// Its value.
        required value: TagValue = "tagValue",
    }
}

/// An attested recipient. Decoded so that its constraints hold; not shown in the trail.
#[derive(Debug, Clone)]
pub struct Recipient(RecipientInfo);

shape! {
    #[derive(Debug, Clone)]
    struct RecipientInfo {
        optional algorithm: KeyEncryptionMechanism = "keyEncryptionAlgorithm",
        optional document: AttestationDocument = "attestationDocument",
    }
}

impl Recipient {
    /// The attestation document, where the mechanism is named too.
    pub fn document(&self) -> Option<&[u8]> {
        let RecipientInfo { algorithm, document } = &self.0;
        document.as_ref().filter(|_| algorithm.is_some()).map(|document| document.0.as_slice())
    }
}

impl Member for Recipient {
    fn decode(value: &Value<'_>, at: Path<'_>, notes: &mut Notes) -> Result<Option<Self>, WrongType> {
        Ok(RecipientInfo::decode(value, at, notes)?.map(Self))
    }
}

/// Bytes of an answer, in base64.
#[derive(Debug, Clone)]
pub struct Blob(pub Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        base64(&self.0, serializer)
    }
}

/// Writes bytes in base64. They go as JSON, not as a string: whether a string has to be escaped is asked of each character
/// by itself, which costs more than the encoding; JSON is looked through eight at a time.
fn base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let mut json = Zeroizing::new(String::with_capacity(bytes.len().div_ceil(3) * 4 + 2));
    json.push('"');
    base64_simd::STANDARD.encode_append(bytes, &mut *json);
    json.push('"');
    serde_json::from_str::<&RawValue>(&json).map_err(S::Error::custom)?.serialize(serializer)
}

/// Secret bytes that the API gives to its caller, in base64. Does not print; cleared when dropped.
pub struct Disclosed(pub Zeroizing<Vec<u8>>);

impl Serialize for Disclosed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        base64(&self.0, serializer)
    }
}
