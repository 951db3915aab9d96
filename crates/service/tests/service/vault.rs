//! The real HSM engine behind a line that counts, can be cut, and can be held up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use claviger_hsm::seal::memory::MemorySeal;
use claviger_hsm::seal::{DomainSecrets, Seal};
use claviger_hsm::{Engine, SystemEntropy, create_domain};
use claviger_hsm_proto::{Command, Reply, VERSION};
use claviger_service::{BoxFuture, ReplyBody, Vault, VaultError};
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::world::lock;

/// Materials that an engine caches here.
const CACHE_LEN: usize = 64;

/// An engine and the line to it.
pub(crate) struct EngineVault {
    seal: MemorySeal,
    engine: Mutex<Arc<Engine>>,
    sent: Mutex<Vec<&'static str>>,
    /// How many commands still get through, once the line is to break.
    left: Mutex<Option<usize>>,
    /// Answers to this command wait until it is `None` again.
    held: watch::Sender<Option<&'static str>>,
}

fn start(seal: &MemorySeal) -> Arc<Engine> {
    Arc::new(Engine::start(Box::new(seal.clone()), Box::new(SystemEntropy::default()), CACHE_LEN).unwrap())
}

impl EngineVault {
    /// A new domain and its engine.
    pub(crate) fn new() -> Self {
        let mut seal = MemorySeal::default();
        create_domain(&mut seal, Box::new(SystemEntropy::default())).unwrap();
        Self::behind(seal)
    }

    /// The engine of a domain that there is.
    pub(crate) fn of(secrets: &DomainSecrets) -> Self {
        let mut seal = MemorySeal::default();
        seal.save(secrets).unwrap();
        Self::behind(seal)
    }

    fn behind(seal: MemorySeal) -> Self {
        let engine = Mutex::new(start(&seal));
        Self { seal, engine, sent: Mutex::default(), left: Mutex::default(), held: watch::Sender::default() }
    }

    /// A new engine of the same domain, with nothing in its cache.
    pub(crate) fn restart(&self) {
        *lock(&self.engine) = start(&self.seal);
    }

    /// The domain's id.
    pub(crate) fn domain(&self) -> [u8; 16] {
        let engine = Arc::clone(&lock(&self.engine));
        match engine.session().answer(Duration::ZERO, &Command::Hello { version: VERSION }) {
            Reply::Hello { domain, .. } => domain,
            other => panic!("{other:?}"),
        }
    }

    /// Number of the newest domain key.
    pub(crate) fn newest_domain_key(&self) -> u32 {
        let reply = self.answer(&Command::RotateDomainKey { newest: 0 }).unwrap();
        match minicbor::decode(&reply).unwrap() {
            Reply::DomainKeyRotated { generation } => generation,
            other => panic!("{other:?}"),
        }
    }

    /// What the seal keeps now.
    pub(crate) fn seal(&self) -> DomainSecrets {
        self.seal.clone().load().unwrap()
    }

    /// Puts an older state of the seal back, and starts the HSM anew.
    pub(crate) fn put_back(&self, secrets: &DomainSecrets) {
        self.seal.clone().save(secrets).unwrap();
        self.restart();
    }

    /// Forgets which commands were sent.
    pub(crate) fn forget_sent(&self) {
        lock(&self.sent).clear();
    }

    /// The commands sent, in their order, without those that authentication needs.
    pub(crate) fn sent(&self) -> Vec<&'static str> {
        lock(&self.sent).iter().copied().filter(|name| *name != "SigningKey").collect()
    }

    /// Cuts the line, or mends it.
    pub(crate) fn cut(&self, cut: bool) {
        *lock(&self.left) = cut.then_some(0);
    }

    /// Lets so many commands through, then cuts the line.
    pub(crate) fn cut_after(&self, commands: usize) {
        *lock(&self.left) = Some(commands);
    }

    /// Holds back the answers to a command; `None` lets them all go.
    pub(crate) fn hold(&self, command: Option<&'static str>) {
        self.held.send_replace(command);
    }

    fn answer(&self, command: &Command<'_>) -> Result<ReplyBody, VaultError> {
        if let Some(left) = &mut *lock(&self.left) {
            *left = left.checked_sub(1).ok_or_else(|| VaultError("the line is cut".to_owned()))?;
        }
        let engine = Arc::clone(&lock(&self.engine));
        let mut session = engine.session();
        assert!(!matches!(
            session.answer(Duration::ZERO, &Command::Hello { version: VERSION }),
            Reply::Refused(_)
        ));
        Ok(Zeroizing::new(minicbor::to_vec(session.answer(Duration::ZERO, command)).unwrap()))
    }
}

impl Vault for EngineVault {
    fn send(&self, command: &Command<'_>) -> BoxFuture<'static, Result<ReplyBody, VaultError>> {
        let name = name(command);
        lock(&self.sent).push(name);
        let outcome = self.answer(command);
        let mut held = self.held.subscribe();
        Box::pin(async move {
            held.wait_for(|held| *held != Some(name)).await.unwrap();
            outcome
        })
    }
}

fn name(command: &Command<'_>) -> &'static str {
    match command {
        Command::Hello { .. } => "Hello",
        Command::CreateKey { .. } => "CreateKey",
        Command::Encrypt { .. } => "Encrypt",
        Command::Decrypt { .. } => "Decrypt",
        Command::ReEncrypt { .. } => "ReEncrypt",
        Command::GenerateDataKey { .. } => "GenerateDataKey",
        Command::GenerateRandom { .. } => "GenerateRandom",
        Command::CreateCredential { .. } => "CreateCredential",
        Command::SigningKey { .. } => "SigningKey",
        Command::Evict { .. } => "Evict",
        Command::HostKey { .. } => "HostKey",
        Command::RotateDomainKey { .. } => "RotateDomainKey",
        Command::Rewrap { .. } => "Rewrap",
        Command::Sign { .. } => "Sign",
        Command::Verify { .. } => "Verify",
        Command::GenerateMac { .. } => "GenerateMac",
        Command::VerifyMac { .. } => "VerifyMac",
        Command::DeriveSharedSecret { .. } => "DeriveSharedSecret",
        Command::Encapsulate { .. } => "Encapsulate",
        Command::Decapsulate { .. } => "Decapsulate",
        Command::GenerateDataKeyPair { .. } => "GenerateDataKeyPair",
        Command::ImportParameters { .. } => "ImportParameters",
        Command::ImportKey { .. } => "ImportKey",
        Command::TransferOut { .. } => "TransferOut",
        Command::TransferIn { .. } => "TransferIn",
    }
}
