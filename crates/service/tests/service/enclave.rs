//! Attestation documents as an enclave would send them, under roots made for the purpose. Every part can be broken.
//! The fuzz target of attestation documents takes this file in, so it stands alone.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use claviger_service::Moment;
use claviger_service::attestation::Roots;
use coset::cbor::Value;
use coset::iana::Algorithm;
use coset::{CborSerializable, CoseSign1Builder, Header, HeaderBuilder, TaggedCborSerializable};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384, SignatureAlgorithm, date_time_ymd,
};

/// Milliseconds of an hour.
pub(crate) const HOUR_MS: i64 = 60 * 60 * 1000;

/// A certificate to be made.
pub(crate) struct Link {
    pub(crate) params: CertificateParams,
    pub(crate) algorithm: &'static SignatureAlgorithm,
}

impl Link {
    fn new(name: &str, from: Moment, until: Moment) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        let mut link = Self { params, algorithm: &PKCS_ECDSA_P384_SHA384 };
        link.valid(from, until);
        link
    }

    fn authority(name: &str, from: Moment, until: Moment, below: u8) -> Self {
        let mut link = Self::new(name, from, until);
        link.params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
        link.params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        link
    }

    /// Sets the validity, to the second.
    pub(crate) fn valid(&mut self, from: Moment, until: Moment) {
        let time = |moment: Moment| {
            let seconds = Duration::from_secs(moment.seconds().unsigned_abs());
            date_time_ymd(1970, 1, 1) + seconds
        };
        (self.params.not_before, self.params.not_after) = (time(from), time(until));
    }
}

/// The certificates above a document made at a moment, as AWS has them: a root, two authorities, and the leaf, which is
/// as old as the document.
pub(crate) fn links(at: Moment) -> [Link; 4] {
    let hours = |count: i64| Moment(at.0 + count * HOUR_MS);
    let mut leaf = Link::new("i-0123456789abcdef0-enc0123456789abcdef", at, hours(3));
    leaf.params.is_ca = IsCa::ExplicitNoCa;
    leaf.params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    [
        Link::authority("test.nitro-enclaves", hours(-100_000), hours(100_000), 2),
        Link::authority("region.test.nitro-enclaves", hours(-100), hours(400), 1),
        Link::authority("instance.region.test.nitro-enclaves", hours(-10), hours(14), 0),
        leaf,
    ]
}

/// Certificates that were made, root first, and the key of the last.
#[derive(Clone)]
pub(crate) struct Chain {
    pub(crate) certificates: Vec<Vec<u8>>,
    /// Nothing when it cannot make ES384 signatures.
    pub(crate) key: Option<Arc<EcdsaKeyPair>>,
}

impl Chain {
    /// A good one.
    pub(crate) fn new(at: Moment) -> Self {
        Self::of(links(at))
    }

    /// Makes each certificate under the one before; the first signs itself.
    pub(crate) fn of(links: impl IntoIterator<Item = Link>) -> Self {
        let mut made = Self { certificates: Vec::new(), key: None };
        let mut issuer: Option<Issuer<'static, KeyPair>> = None;
        for Link { params, algorithm } in links {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let certificate = match &issuer {
                Some(issuer) => params.signed_by(&key, issuer),
                None => params.self_signed(&key),
            };
            made.certificates.push(certificate.unwrap().der().to_vec());
            let key_der = key.serialize_der();
            made.key =
                EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &key_der).ok().map(Arc::new);
            issuer = Some(Issuer::new(params, key));
        }
        made
    }

    /// The root's certificate.
    pub(crate) fn root(&self) -> &[u8] {
        self.certificates.first().unwrap()
    }

    /// What a service that trusts the root holds.
    pub(crate) fn roots(&self) -> Roots {
        Roots::new([self.root().to_vec()]).unwrap()
    }

    /// What a service that trusts the root holds, when it knows no more than the root's fingerprint.
    pub(crate) fn pinned(&self) -> Roots {
        let fingerprint = digest::digest(&digest::SHA256, self.root());
        Roots::pinned(vec![fingerprint.as_ref().try_into().unwrap()])
    }
}

/// The key of a recipient, of 2048 bits. One for all tests, as it takes long to make.
pub(crate) fn recipient() -> &'static PrivateDecryptingKey {
    static KEY: OnceLock<PrivateDecryptingKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap())
}

/// Its public half, as it stands in a document.
pub(crate) fn recipient_spki() -> Vec<u8> {
    recipient().public_key().as_der().unwrap().as_ref().to_vec()
}

/// A document to be signed.
#[derive(Clone)]
pub(crate) struct Document {
    pub(crate) tagged: bool,
    pub(crate) protected: Header,
    pub(crate) unprotected: Header,
    pub(crate) fields: Vec<(Value, Value)>,
    pub(crate) key: Option<Arc<EcdsaKeyPair>>,
}

impl Document {
    /// What an enclave sends: registers 0 to 15, of which register n holds bytes n + 1.
    pub(crate) fn enclave(chain: &Chain, at: Moment) -> Self {
        Self::new(chain, at, "pcrs", 16)
    }

    /// What an instance with a NitroTPM sends, with registers 0 to 23.
    pub(crate) fn nitrotpm(chain: &Chain, at: Moment) -> Self {
        Self::new(chain, at, "nitrotpm_pcrs", 24)
    }

    fn new(chain: &Chain, at: Moment, registers: &str, count: u8) -> Self {
        let (leaf, bundle) = chain.certificates.split_last().unwrap();
        let pcrs = (0..count).map(|index| (Value::from(index), Value::from(vec![index + 1; 48])));
        let document = Self {
            tagged: false,
            protected: HeaderBuilder::new().algorithm(Algorithm::ES384).build(),
            unprotected: Header::default(),
            fields: Vec::new(),
            key: chain.key.clone(),
        };
        document
            .with("module_id", "i-0123456789abcdef0-enc0123456789abcdef")
            .with("digest", "SHA384")
            .with("timestamp", at.0)
            .with(registers, Value::Map(pcrs.collect()))
            .with("certificate", leaf.clone())
            .with("cabundle", bundle.iter().cloned().map(Value::from).collect::<Vec<_>>())
            .with("public_key", recipient_spki())
            .with("user_data", Value::Null)
            .with("nonce", Value::Null)
    }

    /// Sets a field, in its place when it is there.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        match self.fields.iter_mut().find(|(key, _)| key.as_text() == Some(name)) {
            Some((_, place)) => *place = value,
            None => self.fields.push((name.into(), value)),
        }
        self
    }

    /// Takes a field away.
    #[must_use]
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(key, _)| key.as_text() != Some(name));
        self
    }

    /// Writes a field once more.
    #[must_use]
    pub(crate) fn twice(mut self, name: &str) -> Self {
        let field = self.fields.iter().find(|(key, _)| key.as_text() == Some(name)).cloned();
        self.fields.push(field.unwrap());
        self
    }

    /// The payload.
    pub(crate) fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        coset::cbor::into_writer(&Value::Map(self.fields.clone()), &mut payload).unwrap();
        payload
    }

    /// The document, signed.
    pub(crate) fn sign(&self) -> Vec<u8> {
        self.sign_payload(self.payload())
    }

    /// Signs other bytes in the payload's place.
    pub(crate) fn sign_payload(&self, payload: Vec<u8>) -> Vec<u8> {
        let message = CoseSign1Builder::new()
            .protected(self.protected.clone())
            .unprotected(self.unprotected.clone())
            .payload(payload)
            .create_signature(&[], |signed| match &self.key {
                Some(key) => key.sign(&SystemRandom::new(), signed).unwrap().as_ref().to_vec(),
                None => vec![0; 96],
            })
            .build();
        if self.tagged { message.to_tagged_vec() } else { message.to_vec() }.unwrap()
    }
}
