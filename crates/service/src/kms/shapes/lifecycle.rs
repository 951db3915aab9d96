//! Shapes of a key's life: imports and rotations.

use claviger_wire::codec::{self, Member, Notes, Path, WrongType};
use claviger_wire::json::Value;
use claviger_wire::{choice, text};
use serde::Serialize;
use serde::ser::SerializeMap;

use crate::moment::Moment;

text! {
    /// Names one generation of key material.
    pub struct KeyMaterialId: 64..=64, "^[a-f0-9]+$",
        |text| !text.is_empty() && text.bytes().all(|b| matches!(b, b'a'..=b'f' | b'0'..=b'9'))
}

text! {
    /// What is said of imported key material. Empty takes back what was said before: the model's least length is 0,
    /// although its pattern asks for a character.
    pub struct KeyMaterialDescription: 0..=256, "^[a-zA-Z0-9:/_\\s.-]+$",
        |text| text.bytes().all(|b| b.is_ascii_alphanumeric() || b":/_.- \t\n\r\x0b\x0c".contains(&b))
}

choice! {
    /// How key material is wrapped for its import.
    pub enum WrappingAlgorithm {
        /// RSAES-PKCS1-v1_5; refused since 2023-10-10.
        RsaesPkcs1V15 = "RSAES_PKCS1_V1_5",
        /// RSAES-OAEP with SHA-1.
        RsaesOaepSha1 = "RSAES_OAEP_SHA_1",
        /// RSAES-OAEP with SHA-256.
        RsaesOaepSha256 = "RSAES_OAEP_SHA_256",
        /// An AES key in RSAES-OAEP with SHA-1, and the material in AES-KWP (RFC 5649) under it.
        RsaAesKeyWrapSha1 = "RSA_AES_KEY_WRAP_SHA_1",
        /// An AES key in RSAES-OAEP with SHA-256, and the material in AES-KWP (RFC 5649) under it.
        RsaAesKeyWrapSha256 = "RSA_AES_KEY_WRAP_SHA_256",
        /// SM2 public key encryption.
        Sm2Pke = "SM2PKE",
    }
}

choice! {
    /// Kind of the key that wraps key material.
    pub enum WrappingKeySpec {
        /// RSA.
        Rsa2048 = "RSA_2048",
        /// RSA.
        Rsa3072 = "RSA_3072",
        /// RSA.
        Rsa4096 = "RSA_4096",
        /// SM2.
        Sm2 = "SM2",
    }
}

choice! {
    /// Whether imported key material expires.
    pub enum ExpirationModel {
        /// At a date.
        Expires = "KEY_MATERIAL_EXPIRES",
        /// Never.
        DoesNotExpire = "KEY_MATERIAL_DOES_NOT_EXPIRE",
    }
}

choice! {
    /// Whether an import brings material that the key has not had before.
    pub enum ImportType {
        /// It does.
        New = "NEW_KEY_MATERIAL",
        /// It brings back material that was deleted or expired, or changes its terms.
        Existing = "EXISTING_KEY_MATERIAL",
    }
}

choice! {
    /// What a list of rotations shows.
    pub enum IncludeKeyMaterial {
        /// Every material, also the first and one that waits for its rotation.
        All = "ALL_KEY_MATERIAL",
        /// Completed rotations.
        RotationsOnly = "ROTATIONS_ONLY",
    }
}

number! {
    /// Days between automatic rotations.
    RotationPeriodInDays(u16): 90..=2560
}

/// A date that a request gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp(pub Moment);

impl Member for Timestamp {
    fn decode(value: &Value<'_>, _at: Path<'_>, _notes: &mut Notes) -> Result<Option<Self>, WrongType> {
        Ok(Some(Self(Moment(codec::timestamp(value)?.saturating_mul(1000)))))
    }

    fn audit<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry(name, &self.0.trail_date())
    }
}
