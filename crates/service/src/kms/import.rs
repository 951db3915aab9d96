//! What imported material may become in a key.

use claviger_hsm_proto::MaterialId;
use claviger_wire::fault::Code;

use crate::error::{Error, Result};
use crate::kms::key::{Imported, Key, Material};
use crate::kms::shapes::{ImportType, KeySpec, WrappingAlgorithm, WrappingKeySpec};
use crate::kms::spec;
use crate::moment::Moment;

/// Whether material of a key can be wrapped so ("Select a wrapping algorithm" and "Encrypt the key material" of the AWS
/// KMS Developer Guide). What RSAES-OAEP takes at once is shorter than an RSA private key, and with 2,048 bits shorter
/// than one of P-521; those of ML-DSA and ML-KEM are seeds. SM2 is only for China's Regions, and AES key wrap only for
/// all others.
///
/// # Errors
/// `UnsupportedOperationException`.
pub(crate) fn check_fit(
    algorithm: WrappingAlgorithm,
    wrapping_key: WrappingKeySpec,
    spec: KeySpec,
    partition: &str,
) -> Result<()> {
    use WrappingAlgorithm::{
        RsaAesKeyWrapSha1, RsaAesKeyWrapSha256, RsaesOaepSha1, RsaesOaepSha256, RsaesPkcs1V15, Sm2Pke,
    };
    let in_china = spec::is_china(partition);
    let wraps_with_rsa = wrapping_key != WrappingKeySpec::Sm2;
    let refused = match algorithm {
        RsaesPkcs1V15 => format!("WrappingAlgorithm {} is not supported.", algorithm.as_str()),
        Sm2Pke if !in_china => spec::not_here("WrappingAlgorithm", algorithm.as_str()),
        _ if !wraps_with_rsa && !in_china => spec::not_here("WrappingKeySpec", wrapping_key.as_str()),
        RsaAesKeyWrapSha1 | RsaAesKeyWrapSha256 if in_china => {
            spec::not_here("WrappingAlgorithm", algorithm.as_str())
        }
        RsaAesKeyWrapSha1 | RsaAesKeyWrapSha256 if wraps_with_rsa => return Ok(()),
        RsaesOaepSha1 | RsaesOaepSha256 if wraps_with_rsa && fits_oaep(spec, wrapping_key) => return Ok(()),
        Sm2Pke if !wraps_with_rsa => return Ok(()),
        _ => format!(
            "WrappingAlgorithm {} with WrappingKeySpec {} is not valid for key spec {}.",
            algorithm.as_str(),
            wrapping_key.as_str(),
            spec.as_str()
        ),
    };
    Err(Error::new(Code::UnsupportedOperation, refused))
}

fn fits_oaep(spec: KeySpec, wrapping_key: WrappingKeySpec) -> bool {
    match spec {
        KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => false,
        KeySpec::EccNistP521 => wrapping_key != WrappingKeySpec::Rsa2048,
        _ => true,
    }
}

/// Material that has been unwrapped, found to be of the key's spec, and wrapped as the key's.
pub(crate) struct Offer<'a> {
    pub(crate) material: MaterialId,
    pub(crate) token: Vec<u8>,
    pub(crate) public: Option<Vec<u8>>,
    pub(crate) kind: Option<ImportType>,
    pub(crate) description: Option<&'a str>,
    pub(crate) expires: Option<Moment>,
    /// When it comes in.
    pub(crate) now: Moment,
}

/// The key with the material in it. What has expired of the key is no longer in `key`.
///
/// # Errors
/// `IncorrectKeyMaterialException` where the material is not what the key must get, `KMSInvalidStateException` where
/// other material waits for its rotation, `UnsupportedOperationException` for new material of a replica.
pub(crate) fn taken_in(key: &Key, offer: &Offer<'_>) -> Result<Key> {
    if key.is_replica() && offer.kind == Some(ImportType::New) {
        return Err(key.not_primary());
    }
    let mut after = key.clone();
    let never_imported = key.all_materials().next().is_none();
    let usual = if never_imported { ImportType::New } else { ImportType::Existing };
    let is_known = key.all_materials().any(|material| material.id == offer.material);
    match (offer.kind.unwrap_or(usual), is_known) {
        (ImportType::Existing, true) => {
            let known = after.materials.iter_mut().chain(after.pending.as_deref_mut());
            known.filter(|material| material.id == offer.material).for_each(|material| offer.renew(material));
        }
        (ImportType::New, false) if never_imported => after.materials.push(offer.first()),
        (ImportType::New, false) => after.pending = Some(Box::new(offer.waiting(key)?)),
        // Neither a material that the key has can be new to it, nor can another be the one it had.
        (ImportType::New, true) | (ImportType::Existing, false) => {
            return Err(Error::bare(Code::IncorrectKeyMaterial));
        }
    }
    if after.public.is_none() {
        after.public.clone_from(&offer.public);
    }
    Ok(after.settled())
}

impl Offer<'_> {
    fn first(&self) -> Material {
        let mut material = Material::new(self.material, Vec::new(), self.now);
        self.renew(&mut material);
        material
    }

    /// A further generation of a symmetric key. One at a time waits for its rotation.
    fn waiting(&self, key: &Key) -> Result<Material> {
        // What only replicas of this primary key have waits as well.
        let Some(other) = key.pending.as_deref() else { return Ok(self.first()) };
        let message = format!(
            "New key material (id: {}) cannot be imported into KMS key {}, because another key material (id: {}) is \
             pending rotation.",
            self.material.to_hex(),
            key.arn,
            other.id.to_hex()
        );
        Err(Error::new(Code::KmsInvalidState, message))
    }

    /// What is not said of it anew stays as it was said.
    fn renew(&self, material: &mut Material) {
        let said = material.imported.take().and_then(|imported| imported.description);
        let description = self.description.map(str::to_owned).or(said).filter(|text| !text.is_empty());
        material.token.clone_from(&self.token);
        material.imported = Some(Box::new(Imported { description, expires: self.expires }));
    }
}
