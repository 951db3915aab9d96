//! The certificates above a document: what leads to a trusted root, and what does not.

use aws_lc_rs::digest::{SHA256, digest};
use claviger_service::Moment;
use claviger_service::attestation::{Refusal, RootError, Roots};
use coset::cbor::Value;
use rcgen::{
    BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};

use super::{check_accepted, check_refused, check_refused_by, document, good, unverified};
use crate::enclave::{Chain, Document, HOUR_MS, Link, links};
use crate::world::START;

/// What a chain that is broken in one place leads to, a minute after the document was made.
fn check_chain(what: &str, expected: Refusal, break_it: impl FnOnce(&mut [Link; 4])) {
    let mut links = links(START);
    break_it(&mut links);
    let chain = Chain::of(links);
    let document = Document::enclave(&chain, START).sign();
    let now = Moment(START.0 + 60_000);
    check_refused_by(&chain.roots(), now, what, &document, expected.clone());
    check_refused_by(&chain.pinned(), now, &format!("{what}, pinned"), &document, expected);
}

#[test]
fn certificates_are_valid_when_the_document_is_made_and_when_it_is_presented() {
    let later = |ms: i64| Moment(START.0 + ms);
    let names = ["root", "region", "instance", "leaf"];
    for (place, name) in names.into_iter().enumerate() {
        let expected = |other: &str| if place == 0 { Refusal::NoRoot } else { unverified(other) };
        check_chain(&format!("{name} expired before"), expected("CertExpired"), |links| {
            links[place].valid(later(-HOUR_MS), later(-1000));
        });
        check_chain(&format!("{name} begins later"), expected("CertNotValidYet"), |links| {
            links[place].valid(later(1000), later(HOUR_MS));
        });
        let since = if place == 0 { Refusal::NoRoot } else { Refusal::Expired };
        check_chain(&format!("{name} expired since"), since, |links| {
            links[place].valid(later(-HOUR_MS), later(30_000));
        });
    }
}

#[test]
fn certificates_say_what_their_keys_are_for() {
    check_chain("a leaf for certificates", Refusal::KeyUsage, |links| {
        links[3].params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    });
    check_chain("a leaf for anything", Refusal::KeyUsage, |links| links[3].params.key_usages.clear());
    check_chain("an authority for documents", Refusal::KeyUsage, |links| {
        links[2].params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    });
    check_chain("an authority for anything", Refusal::KeyUsage, |links| links[1].params.key_usages.clear());
    check_chain("an authority that is none", unverified("EndEntityUsedAsCa"), |links| {
        links[2].params.is_ca = IsCa::ExplicitNoCa;
    });
    check_chain("a leaf that is an authority", unverified("CaUsedAsEndEntity"), |links| {
        links[3].params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    check_chain("a path too long", unverified("PathLenConstraintViolated"), |links| {
        links[1].params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    check_chain("a critical extension", unverified("UnsupportedCriticalExtension"), |links| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 55_555], vec![5, 0]);
        extension.set_criticality(true);
        links[3].params.custom_extensions.push(extension);
    });
    check_chain("a leaf without P-384", Refusal::LeafKey, |links| {
        links[3].algorithm = &PKCS_ECDSA_P256_SHA256
    });
    check_chain("a leaf for TLS servers", unverified("RequiredEkuNotFoundContext"), |links| {
        links[3].params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
}

/// Attack: a chain of one's own, or parts of a true one.
#[test]
fn only_a_trusted_root_counts() {
    let (chain, roots) = good();
    let mut links = links(START);
    links[2].algorithm = &PKCS_ECDSA_P256_SHA256;
    let weak = Chain::of(links);
    let document_of = |chain: &Chain| Document::enclave(chain, START).sign();
    let expected = unverified("UnsupportedSignatureAlgorithmContext");
    check_refused_by(&weak.roots(), START, "an authority without P-384", &document_of(&weak), expected);
    let strange = Chain::new(START);
    let strangers = Document::enclave(&strange, START);
    check_refused("a root of the same name", &strangers.sign(), unverified("InvalidSignatureForPublicKey"));
    assert_eq!(chain.pinned().verify(&strangers.sign(), START), Err(Refusal::NoRoot));
    assert_eq!(Roots::default().verify(&document().sign(), START), Err(Refusal::NoRoot));
    assert_eq!(Roots::pinned(Vec::new()).verify(&document().sign(), START), Err(Refusal::NoRoot));

    let [root, region, instance] = [0, 1, 2].map(|place| Value::from(chain.certificates[place].clone()));
    let bundle = |certificates: &[&Value]| {
        document().with("cabundle", certificates.iter().copied().cloned().collect::<Vec<_>>()).sign()
    };
    check_refused("no authorities", &bundle(&[&root]), unverified("UnknownIssuer"));
    check_refused("an authority is missing", &bundle(&[&root, &instance]), unverified("UnknownIssuer"));
    // A root that is trusted need not be sent, and the order does not matter to it; a pinned one stands first.
    for (what, bundle, pinned) in [
        ("without the root", bundle(&[&region, &instance]), Err(Refusal::NoRoot)),
        ("root last", bundle(&[&instance, &region, &root]), Err(Refusal::NoRoot)),
        ("mixed", bundle(&[&root, &instance, &region]), Ok(())),
    ] {
        check_accepted(what, &bundle);
        assert_eq!(chain.pinned().verify(&bundle, START).map(|_| ()), pinned, "{what}");
    }
    let foreign = document().with("certificate", strange.certificates[3].clone());
    check_refused("a leaf of another chain", &foreign.sign(), unverified("InvalidSignatureForPublicKey"));
    check_refused(
        "no certificate",
        &document().with("certificate", vec![7; 500]).sign(),
        unverified("TrailingData"),
    );
    let both = strange.roots().and(chain.pinned());
    assert!(both.verify(&document().sign(), START).is_ok() && both.verify(&strangers.sign(), START).is_ok());
    assert!(roots.clone().and(strange.pinned()).verify(&strangers.sign(), START).is_ok());
}

/// Trailing bytes are no part of a certificate.
#[test]
fn certificates_are_exact() {
    let (chain, _) = good();
    let longer = [&chain.certificates[3][..], &[0]].concat();
    let document = document().with("certificate", longer);
    check_refused("a byte after the leaf", &document.sign(), unverified("TrailingData"));
}

#[test]
fn roots_are_checked_when_they_are_given() {
    let check = |what: &str, certificate: Vec<u8>, expected| {
        assert_eq!(Roots::new([certificate.clone()]).map(|_| ()), Err(expected), "{what}");
        // Pinned, it is refused when a document brings it.
        let fingerprint = digest(&SHA256, &certificate);
        let pinned = Roots::pinned(vec![fingerprint.as_ref().try_into().unwrap()]);
        let (chain, _) = good();
        let bundle = [&certificate, &chain.certificates[1], &chain.certificates[2]];
        let bundle: Vec<_> = bundle.into_iter().cloned().map(Value::from).collect();
        let document = document().with("cabundle", bundle).sign();
        assert_eq!(pinned.verify(&document, START), Err(Refusal::NoRoot), "{what}");
    };
    let (chain, _) = good();
    let root = chain.root().to_vec();
    check("no certificate", vec![1, 2, 3], RootError::NotACertificate);
    check("a byte after it", [&root[..], &[0]].concat(), RootError::NotACertificate);
    check("an authority below another", chain.certificates[1].clone(), RootError::NotSelfSigned);
    check("a leaf", chain.certificates[3].clone(), RootError::NotAnAuthority);
    let mut forged = root.clone();
    *forged.last_mut().unwrap() ^= 1;
    check("a signature of nobody", forged, RootError::NotSelfSigned);
    let made = |break_it: &dyn Fn(&mut Link)| {
        let [mut root, ..] = links(START);
        break_it(&mut root);
        Chain::of([root]).root().to_vec()
    };
    check("no authority", made(&|root| root.params.is_ca = IsCa::ExplicitNoCa), RootError::NotAnAuthority);
    check("a key for anything", made(&|root| root.params.key_usages.clear()), RootError::NotAnAuthority);
    check("a P-256 key", made(&|root| root.algorithm = &PKCS_ECDSA_P256_SHA256), RootError::NotSelfSigned);
}
