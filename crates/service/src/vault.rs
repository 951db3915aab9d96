//! The HSM as the service sees it: typed calls that take proof of authorization.

use std::sync::Arc;

use claviger_hsm_proto::{
    Binding, Command, CredentialBinding, Disclosed, HostKeyLabel, ImportTerms, MaterialId, MessageKind,
    RecipientKey, Refusal, Reply, WrappedCredential, WrappedKey, frame,
};
use claviger_wire::fault::Code;
use zeroize::Zeroizing;

use crate::BoxFuture;
use crate::attestation::Attested;
use crate::call::Authorized;
use crate::error::{Error, Result};
use crate::kms::key::{Key, Material, UsableKey};
use crate::kms::shapes::{DataKeyPairSpec, EncryptionAlgorithm, MacAlgorithm, SigningAlgorithm};
use crate::kms::spec;
use crate::quota;

/// The CBOR of one reply. Cleared when dropped: it may hold a plaintext.
pub type ReplyBody = Zeroizing<Vec<u8>>;

/// The HSM did not answer. What was asked may or may not have been done; none of it has an effect outside the HSM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultError(pub String);

/// The line to the HSM.
pub trait Vault: Send + Sync {
    /// Sends a command at once and resolves with the body of its reply. Commands may overlap.
    fn send(&self, command: &Command<'_>) -> BoxFuture<'static, Result<ReplyBody, VaultError>>;
}

/// A new key or generation of key material.
pub(crate) struct NewMaterial {
    pub(crate) id: MaterialId,
    pub(crate) token: Vec<u8>,
    /// DER of a SubjectPublicKeyInfo, for an asymmetric key.
    pub(crate) public: Option<Vec<u8>>,
}

/// What the API gives to its caller.
pub(crate) enum Disclosure {
    /// In the clear.
    Clear(Zeroizing<Vec<u8>>),
    /// Enveloped to an attested recipient: DER of a CMS ContentInfo (RFC 5652).
    Enveloped(Vec<u8>),
}

/// A data key, encrypted, and disclosed when that was asked for.
pub(crate) struct DataKey {
    pub(crate) blob: Vec<u8>,
    pub(crate) disclosure: Option<Disclosure>,
}

/// A data key pair: the private key encrypted, and disclosed when that was asked for.
pub(crate) struct DataKeyPair {
    pub(crate) blob: Vec<u8>,
    /// DER of a SubjectPublicKeyInfo.
    pub(crate) public: Vec<u8>,
    /// DER of a PKCS #8 PrivateKeyInfo.
    pub(crate) disclosure: Option<Disclosure>,
}

/// A new shared secret, and what opens to it under the key.
pub(crate) struct Encapsulated {
    pub(crate) secret: Zeroizing<Vec<u8>>,
    pub(crate) ciphertext: Vec<u8>,
}

/// A sealed secret access key; the secret itself when the HSM made it.
pub(crate) struct NewCredential {
    pub(crate) token: Vec<u8>,
    pub(crate) secret: Option<Zeroizing<Vec<u8>>>,
}

/// Sends a command and reads its reply with a pattern; any other reply is a fault of the HSM.
macro_rules! ask {
    ($vault:expr, $command:expr, $pattern:pat => $value:expr) => {{
        let body = $vault.send(&$command).await.map_err(|VaultError(cause)| Error::unavailable(cause))?;
        match frame::read::<Reply<'_>>(&body) {
            Ok($pattern) => Ok($value),
            Ok(Reply::Refused(refusal)) => Err(refused(refusal)),
            Ok(_) => Err(Error::internal("the HSM answered another command")),
            Err(error) => Err(Error::internal(format!("the HSM's reply: {error}"))),
        }
    }};
}

/// Like [`ask!`] for a command whose answer is enveloped where there is a recipient: then no other will do.
macro_rules! ask_for {
    ($recipient:expr, $vault:expr, $command:expr, $pattern:pat => $value:expr) => {
        match $recipient {
            None => ask!($vault, $command, $pattern => Disclosure::Clear(Zeroizing::new($value.0.to_vec()))),
            Some(_) => {
                ask!($vault, $command, Reply::Enveloped { content } => Disclosure::Enveloped(content.to_vec()))
            }
        }
    };
}

/// What stands beside an encrypted data key: enveloped where there is a recipient, and then not in the clear.
fn beside(
    recipient: Option<&Attested>,
    clear: Option<Disclosed<'_>>,
    enveloped: Option<&[u8]>,
) -> Option<Disclosure> {
    match recipient {
        None => clear.map(|bytes| Disclosure::Clear(Zeroizing::new(bytes.0.to_vec()))),
        Some(_) => enveloped.map(|content| Disclosure::Enveloped(content.to_vec())),
    }
}

fn key_of(recipient: Option<&Attested>) -> Option<RecipientKey<'_>> {
    recipient.map(|attested| RecipientKey(attested.public_key()))
}

/// Makes key material for a key that does not exist yet.
pub(crate) async fn create_key(vault: &dyn Vault, binding: Binding<'_>) -> Result<NewMaterial> {
    ask!(vault, Command::CreateKey { binding },
    Reply::KeyWrapped { material, token, public } => NewMaterial {
        id: material,
        token: token.to_vec(),
        public: public.map(<[u8]>::to_vec),
    })
}

/// What an import needs: a public key to wrap material with, and the HSM's token for it.
pub(crate) struct ImportParameters {
    /// DER of a SubjectPublicKeyInfo.
    pub(crate) public: Vec<u8>,
    pub(crate) token: Vec<u8>,
}

/// Makes a key pair that material for the key can be wrapped to.
pub(crate) async fn import_parameters(
    vault: &dyn Vault,
    key: &Authorized<Arc<Key>>,
    terms: ImportTerms<'_>,
) -> Result<ImportParameters> {
    ask!(vault, Command::ImportParameters { binding: key.binding(), terms },
    Reply::ImportParameters { public, token } => ImportParameters {
        public: public.to_vec(),
        token: token.to_vec(),
    })
}

/// Takes in material that was wrapped to such a key.
///
/// # Errors
/// `InvalidImportTokenException`, `InvalidCiphertextException`, `IncorrectKeyMaterialException`.
pub(crate) async fn import_key(
    vault: &dyn Vault,
    key: &Authorized<Arc<Key>>,
    terms: ImportTerms<'_>,
    token: &[u8],
    material: &[u8],
) -> Result<NewMaterial> {
    ask!(vault, Command::ImportKey { binding: key.binding(), terms, token, material },
    Reply::KeyWrapped { material, token, public } => NewMaterial {
        id: material,
        token: token.to_vec(),
        public: public.map(<[u8]>::to_vec),
    })
}

/// Wraps a material of a multi-Region key for the same key in another Region of this domain. Its effect is none until
/// what it answers is committed as part of a set that the caller may change.
pub(crate) async fn transfer(
    vault: &dyn Vault,
    key: &Key,
    material: &Material,
    domain: [u8; 16],
    region: &str,
) -> Result<Vec<u8>> {
    let command = Command::TransferOut { key: wrapped(key, material), domain, region };
    let package = ask!(vault, command, Reply::Transfer { package } => package.to_vec())?;
    let binding = Binding { region, ..key.binding() };
    let command =
        Command::TransferIn { binding, from: &key.region, material: material.id, package: &package };
    let (id, token) =
        ask!(vault, command, Reply::KeyWrapped { material, token, .. } => (material, token.to_vec()))?;
    if id == material.id { Ok(token) } else { Err(Error::internal("the HSM took in another material")) }
}

/// Encrypts under the key's current material. The context is empty for an asymmetric algorithm.
pub(crate) async fn encrypt(
    vault: &dyn Vault,
    key: &UsableKey,
    algorithm: EncryptionAlgorithm,
    context: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>> {
    let command = Command::Encrypt {
        key: wrapped(key, key.current()?),
        context,
        plaintext,
        algorithm: algorithm.as_str(),
    };
    ask!(vault, command, Reply::Ciphertext { blob } => blob.to_vec())
}

/// Opens a ciphertext.
pub(crate) async fn decrypt(
    vault: &dyn Vault,
    sealed: Sealed<'_>,
    recipient: Option<&Attested>,
) -> Result<Disclosure> {
    let command = Command::Decrypt {
        key: wrapped(sealed.key, sealed.material),
        context: sealed.context,
        blob: sealed.blob,
        algorithm: sealed.algorithm.as_str(),
        recipient: key_of(recipient),
    };
    ask_for!(recipient, vault, command, Reply::Plaintext { plaintext } => plaintext)
}

/// A ciphertext to be opened, with its key and the material it names: an asymmetric key has only one.
#[derive(Clone, Copy)]
pub(crate) struct Sealed<'a> {
    pub(crate) key: &'a UsableKey,
    pub(crate) material: &'a Material,
    pub(crate) algorithm: EncryptionAlgorithm,
    pub(crate) context: &'a [u8],
    pub(crate) blob: &'a [u8],
}

/// Opens a ciphertext and encrypts its content under another key, inside the HSM.
///
/// # Errors
/// Also `ValidationException`, for a content that is longer than the other key can encrypt.
pub(crate) async fn reencrypt(
    vault: &dyn Vault,
    source: Sealed<'_>,
    destination: &UsableKey,
    algorithm: EncryptionAlgorithm,
    destination_context: &[u8],
) -> Result<Vec<u8>> {
    let command = Command::ReEncrypt {
        source: wrapped(source.key, source.material),
        source_context: source.context,
        blob: source.blob,
        destination: wrapped(destination, destination.current()?),
        destination_context,
        source_algorithm: source.algorithm.as_str(),
        destination_algorithm: algorithm.as_str(),
    };
    let outcome = ask!(vault, command, Reply::Ciphertext { blob } => blob.to_vec());
    outcome.map_err(|error| match error.code {
        Code::Validation => spec::too_long(destination.spec, algorithm),
        _ => error,
    })
}

/// Makes a data key under the key's current material.
pub(crate) async fn data_key(
    vault: &dyn Vault,
    key: &UsableKey,
    context: &[u8],
    length: u16,
    disclose: bool,
    recipient: Option<&Attested>,
) -> Result<DataKey> {
    let command = Command::GenerateDataKey {
        key: wrapped(key, key.current()?),
        context,
        length,
        disclose,
        recipient: key_of(recipient),
    };
    ask!(vault, command, Reply::DataKey { blob, plaintext, enveloped } => DataKey {
        blob: blob.to_vec(),
        disclosure: beside(recipient, plaintext, enveloped),
    })
}

/// Makes a data key pair and encrypts its private key under the key's current material.
pub(crate) async fn data_key_pair(
    vault: &dyn Vault,
    key: &UsableKey,
    context: &[u8],
    pair: DataKeyPairSpec,
    disclose: bool,
    recipient: Option<&Attested>,
) -> Result<DataKeyPair> {
    let command = Command::GenerateDataKeyPair {
        key: wrapped(key, key.current()?),
        context,
        pair: pair.as_str(),
        disclose,
        recipient: key_of(recipient),
    };
    ask!(vault, command, Reply::DataKeyPair { blob, public, private, enveloped } => DataKeyPair {
        blob: blob.to_vec(),
        public: public.to_vec(),
        disclosure: beside(recipient, private, enveloped),
    })
}

/// Signs a message whose kind and length fit the algorithm.
pub(crate) async fn sign(
    vault: &dyn Vault,
    key: &UsableKey,
    algorithm: SigningAlgorithm,
    kind: MessageKind,
    message: &[u8],
) -> Result<Vec<u8>> {
    let key = wrapped(key, key.current()?);
    let command = Command::Sign { key, algorithm: algorithm.as_str(), kind, message };
    ask!(vault, command, Reply::Signature { signature } => signature.to_vec())
}

/// Whether a signature is one of the message.
pub(crate) async fn verify(
    vault: &dyn Vault,
    key: &UsableKey,
    algorithm: SigningAlgorithm,
    kind: MessageKind,
    message: &[u8],
    signature: &[u8],
) -> Result<bool> {
    let key = wrapped(key, key.current()?);
    let command = Command::Verify { key, algorithm: algorithm.as_str(), kind, message, signature };
    ask!(vault, command, Reply::Verified { valid } => valid)
}

/// Computes the message authentication code of a message.
pub(crate) async fn generate_mac(
    vault: &dyn Vault,
    key: &UsableKey,
    algorithm: MacAlgorithm,
    message: &[u8],
) -> Result<Vec<u8>> {
    let key = wrapped(key, key.current()?);
    let command = Command::GenerateMac { key, algorithm: algorithm.as_str(), message };
    ask!(vault, command, Reply::Mac { mac } => mac.to_vec())
}

/// Whether a message authentication code is the message's.
pub(crate) async fn verify_mac(
    vault: &dyn Vault,
    key: &UsableKey,
    algorithm: MacAlgorithm,
    message: &[u8],
    mac: &[u8],
) -> Result<bool> {
    let key = wrapped(key, key.current()?);
    let command = Command::VerifyMac { key, algorithm: algorithm.as_str(), message, mac };
    ask!(vault, command, Reply::Verified { valid } => valid)
}

/// Agrees on a secret with the owner of a public key.
///
/// # Errors
/// Also `ValidationException`, for a public key that is not one on the key's curve.
pub(crate) async fn derive_shared_secret(
    vault: &dyn Vault,
    key: &UsableKey,
    peer: &[u8],
    recipient: Option<&Attested>,
) -> Result<Disclosure> {
    let key = wrapped(key, key.current()?);
    let command = Command::DeriveSharedSecret { key, peer, recipient: key_of(recipient) };
    ask_for!(recipient, vault, command, Reply::SharedSecret { secret } => secret)
}

/// Makes a shared secret and encapsulates it to the key.
pub(crate) async fn encapsulate(vault: &dyn Vault, key: &UsableKey) -> Result<Encapsulated> {
    let command = Command::Encapsulate { key: wrapped(key, key.current()?) };
    ask!(vault, command, Reply::Encapsulated { secret, ciphertext } => Encapsulated {
        secret: Zeroizing::new(secret.0.to_vec()),
        ciphertext: ciphertext.to_vec(),
    })
}

/// Opens an encapsulated secret. One that was altered opens to another secret, not to an error.
pub(crate) async fn decapsulate(
    vault: &dyn Vault,
    key: &UsableKey,
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>> {
    let command = Command::Decapsulate { key: wrapped(key, key.current()?), ciphertext };
    ask!(vault, command, Reply::SharedSecret { secret } => Zeroizing::new(secret.0.to_vec()))
}

/// Random bytes.
pub(crate) async fn random(
    vault: &dyn Vault,
    length: u16,
    recipient: Option<&Attested>,
) -> Result<Disclosure> {
    let command = Command::GenerateRandom { length, recipient: key_of(recipient) };
    ask_for!(recipient, vault, command, Reply::Random { bytes } => bytes)
}

/// How many materials one command evicts: of more the frame might not hold the names.
const EVICTED_AT_ONCE: usize = 1024;
/// How often an eviction is asked for when the line to the HSM breaks meanwhile.
const EVICT_ATTEMPTS: usize = 3;

/// Forgets every unwrapped copy of the key's material. Returns when none is left. The change that made it necessary is
/// committed already, so a line that breaks is tried again before the caller is told to.
pub(crate) async fn evict(vault: &dyn Vault, key: &Key) -> Result<()> {
    for materials in key.material_ids().chunks(EVICTED_AT_ONCE) {
        evict_all(vault, materials).await?;
    }
    Ok(())
}

async fn evict_all(vault: &dyn Vault, materials: &[MaterialId]) -> Result<()> {
    let mut attempt = 1;
    loop {
        match evict_once(vault, materials.to_vec()).await {
            Err(error) if error.code == Code::DependencyTimeout && attempt < EVICT_ATTEMPTS => attempt += 1,
            outcome => return outcome,
        }
    }
}

async fn evict_once(vault: &dyn Vault, materials: Vec<MaterialId>) -> Result<()> {
    ask!(vault, Command::Evict { materials }, Reply::Evicted => ())
}

/// Seals a secret access key: a new one, or the one given.
pub(crate) async fn create_credential(
    vault: &dyn Vault,
    binding: CredentialBinding<'_>,
    secret: Option<&[u8]>,
) -> Result<NewCredential> {
    ask!(vault, Command::CreateCredential { binding, secret }, Reply::CredentialWrapped { token, secret } =>
    NewCredential {
        token: token.to_vec(),
        secret: secret.map(|secret| Zeroizing::new(secret.0.to_vec())),
    })
}

/// Derives the SigV4 signing key of a day, Region and service.
pub(crate) async fn signing_key(
    vault: &dyn Vault,
    credential: WrappedCredential<'_>,
    date: &str,
    region: &str,
    service: &str,
) -> Result<Zeroizing<[u8; 32]>> {
    let command = Command::SigningKey { credential, date, region, service };
    let key = ask!(vault, command, Reply::SigningKey { key } => <[u8; 32]>::try_from(key.0).ok())?;
    key.map(Zeroizing::new).ok_or_else(|| Error::internal("the HSM's signing key has a wrong length"))
}

/// A key for the host's own use.
pub(crate) async fn host_key(vault: &dyn Vault, label: HostKeyLabel) -> Result<Zeroizing<[u8; 32]>> {
    let key =
        ask!(vault, Command::HostKey { label }, Reply::HostKey { key } => <[u8; 32]>::try_from(key.0).ok())?;
    key.map(Zeroizing::new).ok_or_else(|| Error::internal("the HSM's host key has a wrong length"))
}

/// Makes a new domain key, unless the newest is another than this one; answers the number of the newest. None has number
/// 0, so that only asks.
pub(crate) async fn rotate_domain_key(vault: &dyn Vault, newest: u32) -> Result<u32> {
    ask!(vault, Command::RotateDomainKey { newest }, Reply::DomainKeyRotated { generation } => generation)
}

fn wrapped<'a>(key: &'a Key, material: &'a Material) -> WrappedKey<'a> {
    WrappedKey { binding: key.binding(), material: material.id, token: &material.token }
}

/// The one place where a refusal of the HSM becomes an error of the API.
fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Ciphertext => Error::bare(Code::InvalidCiphertext),
        Refusal::ImportToken => Error::bare(Code::InvalidImportToken),
        Refusal::Material => Error::bare(Code::IncorrectKeyMaterial),
        Refusal::Busy => quota::exceeded(true),
        // What the host cannot see beforehand: a content that another key cannot hold, a peer's key off its curve.
        Refusal::Length | Refusal::PublicKey => {
            Error::bare(Code::Validation).because(format!("the HSM refused: {refusal:?}"))
        }
        refusal => Error::internal(format!("the HSM refused: {refusal:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_the_hsm_are_errors_of_the_api() {
        for (refusal, code) in [
            (Refusal::Busy, Code::Throttling),
            (Refusal::Ciphertext, Code::InvalidCiphertext),
            (Refusal::Token, Code::KmsInternal),
        ] {
            assert_eq!(refused(refusal).code, code, "{refusal:?}");
        }
    }
}
