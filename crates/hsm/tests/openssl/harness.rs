//! OpenSSL in a folder of its own, and an engine to talk to.

use std::path::PathBuf;
use std::process::Command as Process;
use std::time::Duration;

use claviger_hsm::seal::memory::MemorySeal;
use claviger_hsm::{Engine, Session, SystemEntropy, create_domain};
use claviger_hsm_proto::{
    Binding, Command, ImportTerms, MaterialId, RecipientKey, Reply, SYMMETRIC_DEFAULT, VERSION, WrappedKey,
};

/// The time of every command.
pub(crate) const NOW: Duration = Duration::ZERO;
/// Some time in milliseconds since the epoch.
pub(crate) const VALID_TO_MS: i64 = 1_790_000_000_000;
/// A binding of a symmetric key.
pub(crate) const A: Binding<'static> = Binding {
    account: "111122223333",
    region: "us-east-1",
    key_id: "1234abcd-12ab-34cd-56ef-1234567890ab",
    spec: "SYMMETRIC_DEFAULT",
    usage: "ENCRYPT_DECRYPT",
};

/// An engine with a domain of its own.
pub(crate) fn engine() -> Engine {
    let mut seal = MemorySeal::default();
    create_domain(&mut seal, Box::new(SystemEntropy::default())).unwrap();
    Engine::start(Box::new(seal), Box::new(SystemEntropy::default()), 16).unwrap()
}

/// A connection that said hello.
pub(crate) fn session(engine: &Engine) -> Session<'_> {
    let mut session = engine.session();
    assert!(matches!(session.answer(NOW, &Command::Hello { version: VERSION }), Reply::Hello { .. }));
    session
}

/// A folder in which OpenSSL works.
pub(crate) struct OpenSsl(tempfile::TempDir);

impl OpenSsl {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Path of a file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Reads a file.
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Runs `openssl` with these words as arguments and gives what it wrote to its standard output.
    pub(crate) fn run(&self, arguments: &str) -> Vec<u8> {
        let output = Process::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .output()
            .expect("these tests need OpenSSL 3");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {errors}");
        output.stdout
    }

    /// A key pair in `key.pem`; gives the public key in DER.
    pub(crate) fn key_pair(&self, bits: usize) -> Vec<u8> {
        self.run(&format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{bits} -out key.pem"));
        self.run("pkey -in key.pem -pubout -outform DER")
    }

    /// Opens an envelope with `key.pem`.
    pub(crate) fn open(&self, envelope: &[u8]) -> Vec<u8> {
        self.write("envelope", envelope);
        self.run("cms -decrypt -binary -inform DER -in envelope -inkey key.pem")
    }
}

/// A key of [`A`]: which material it is, and its token.
pub(crate) fn create(session: &mut Session<'_>) -> (MaterialId, Vec<u8>) {
    match session.answer(NOW, &Command::CreateKey { binding: A }) {
        Reply::KeyWrapped { material, token, .. } => (material, token.to_vec()),
        other => panic!("{other:?}"),
    }
}

/// Encrypts; gives the ciphertext.
pub(crate) fn encrypt(session: &mut Session<'_>, key: WrappedKey<'_>, plaintext: &[u8]) -> Vec<u8> {
    let command = Command::Encrypt { key, context: &[], plaintext, algorithm: SYMMETRIC_DEFAULT };
    match session.answer(NOW, &command) {
        Reply::Ciphertext { blob } => blob.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// Decrypts, for a recipient where there is one.
pub(crate) fn decrypt<'r>(
    session: &'r mut Session<'_>,
    key: WrappedKey<'_>,
    blob: &[u8],
    recipient: Option<&[u8]>,
) -> Reply<'r> {
    let recipient = recipient.map(RecipientKey);
    session
        .answer(NOW, &Command::Decrypt { key, context: &[], blob, algorithm: SYMMETRIC_DEFAULT, recipient })
}

/// What was enveloped.
pub(crate) fn enveloped(reply: Reply<'_>) -> Vec<u8> {
    match reply {
        Reply::Enveloped { content } => content.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// Imports what OpenSSL wrapped: it finds the wrapping key in `public`, and leaves the result in `wrapped`.
pub(crate) fn import(
    session: &mut Session<'_>,
    openssl: &OpenSsl,
    binding: Binding<'_>,
    terms: ImportTerms<'_>,
    wrap: impl Fn(),
) -> (MaterialId, Vec<u8>, Option<Vec<u8>>) {
    let reply = session.answer(NOW, &Command::ImportParameters { binding, terms });
    let Reply::ImportParameters { public, token } = reply else { panic!("{reply:?}") };
    openssl.write("public", public);
    let token = token.to_vec();
    wrap();
    let wrapped = openssl.read("wrapped");
    match session.answer(NOW, &Command::ImportKey { binding, terms, token: &token, material: &wrapped }) {
        Reply::KeyWrapped { material, token, public } => {
            (material, token.to_vec(), public.map(<[u8]>::to_vec))
        }
        other => panic!("{terms:?}: {other:?}"),
    }
}

/// Encrypts a file under the key in `public` with RSAES-OAEP.
pub(crate) fn encrypt_with_oaep(openssl: &OpenSsl, hash: &str, input: &str, output: &str) {
    openssl.run(&format!(
        "pkeyutl -encrypt -pubin -keyform DER -inkey public -in {input} -out {output} \
         -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:{hash} -pkeyopt rsa_mgf1_md:{hash}"
    ));
}

/// Wraps `material` under an AES key, and that under the key in `public`, into `wrapped`.
pub(crate) fn wrap_with_aes(openssl: &OpenSsl, hash: &str) {
    openssl.write("aes-key", &[0x42; 32]);
    encrypt_with_oaep(openssl, hash, "aes-key", "wrapped-key");
    let aes_key = "42".repeat(32);
    openssl.run(&format!(
        "enc -id-aes256-wrap-pad -iv A65959A6 -K {aes_key} -in material -out wrapped-material"
    ));
    let wrapped = [openssl.read("wrapped-key"), openssl.read("wrapped-material")].concat();
    openssl.write("wrapped", &wrapped);
}
