//! The HSM as the service sees it: typed calls that take proof of authorization.

use std::sync::Arc;

use claviger_hsm_proto::{
    Binding, Command, CredentialBinding, HostKeyLabel, ImportTerms, MaterialId, Refusal, Reply,
    SYMMETRIC_DEFAULT, WrappedCredential, WrappedKey, frame,
};
use claviger_wire::fault::Code;
use zeroize::Zeroizing;

use crate::BoxFuture;
use crate::call::Authorized;
use crate::error::{Error, Result};
use crate::kms::key::{Key, Material, UsableKey};

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

/// A data key, encrypted, and in the clear when it was asked for.
pub(crate) struct DataKey {
    pub(crate) blob: Vec<u8>,
    pub(crate) plaintext: Option<Zeroizing<Vec<u8>>>,
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

/// Encrypts under the key's current material.
pub(crate) async fn encrypt(
    vault: &dyn Vault,
    key: &UsableKey,
    context: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>> {
    let command = Command::Encrypt {
        key: wrapped(key, key.current()?),
        context,
        plaintext,
        algorithm: SYMMETRIC_DEFAULT,
    };
    ask!(vault, command, Reply::Ciphertext { blob } => blob.to_vec())
}

/// Opens a blob that names `material` of the key.
pub(crate) async fn decrypt(
    vault: &dyn Vault,
    key: &UsableKey,
    material: &Material,
    context: &[u8],
    blob: &[u8],
) -> Result<Zeroizing<Vec<u8>>> {
    let command = Command::Decrypt {
        key: wrapped(key, material),
        context,
        blob,
        algorithm: SYMMETRIC_DEFAULT,
        recipient: None,
    };
    ask!(vault, command, Reply::Plaintext { plaintext } => Zeroizing::new(plaintext.0.to_vec()))
}

/// A blob to be opened, with the key it names.
pub(crate) struct Sealed<'a> {
    pub(crate) key: &'a UsableKey,
    pub(crate) material: &'a Material,
    pub(crate) context: &'a [u8],
    pub(crate) blob: &'a [u8],
}

/// Opens a blob and encrypts its content under another key, inside the HSM.
pub(crate) async fn reencrypt(
    vault: &dyn Vault,
    source: Sealed<'_>,
    destination: &UsableKey,
    destination_context: &[u8],
) -> Result<Vec<u8>> {
    let command = Command::ReEncrypt {
        source: wrapped(source.key, source.material),
        source_context: source.context,
        blob: source.blob,
        destination: wrapped(destination, destination.current()?),
        destination_context,
        source_algorithm: SYMMETRIC_DEFAULT,
        destination_algorithm: SYMMETRIC_DEFAULT,
    };
    ask!(vault, command, Reply::Ciphertext { blob } => blob.to_vec())
}

/// Makes a data key under the key's current material.
pub(crate) async fn data_key(
    vault: &dyn Vault,
    key: &UsableKey,
    context: &[u8],
    length: u16,
    disclose: bool,
) -> Result<DataKey> {
    let command = Command::GenerateDataKey {
        key: wrapped(key, key.current()?),
        context,
        length,
        disclose,
        recipient: None,
    };
    ask!(vault, command, Reply::DataKey { blob, plaintext, .. } => DataKey {
        blob: blob.to_vec(),
        plaintext: plaintext.map(|plaintext| Zeroizing::new(plaintext.0.to_vec())),
    })
}

/// Random bytes.
pub(crate) async fn random(vault: &dyn Vault, length: u16) -> Result<Zeroizing<Vec<u8>>> {
    ask!(vault, Command::GenerateRandom { length, recipient: None }, Reply::Random { bytes } => Zeroizing::new(bytes.0.to_vec()))
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

fn wrapped<'a>(key: &'a Key, material: &'a Material) -> WrappedKey<'a> {
    WrappedKey { binding: key.binding(), material: material.id, token: &material.token }
}

/// The one place where a refusal of the HSM becomes an error of the API.
fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Ciphertext => Error::bare(Code::InvalidCiphertext),
        Refusal::ImportToken => Error::bare(Code::InvalidImportToken),
        Refusal::Material => Error::bare(Code::IncorrectKeyMaterial),
        refusal => Error::internal(format!("the HSM refused: {refusal:?}")),
    }
}
