//! What may be imported and what may not. The keys in `keys/` were made for these tests with OpenSSL 3.0; those of wrong
//! factors, of primes that it made.

use der::{Decode, asn1::UintRef};
use proptest::prelude::*;

use super::*;

const ED25519: &[u8] = include_bytes!("keys/ed25519.der");
const P256: &[u8] = include_bytes!("keys/p256.der");
const P256_ENCRYPTED: &[u8] = include_bytes!("keys/p256_encrypted.der");
const P256_EXPLICIT: &[u8] = include_bytes!("keys/p256_explicit.der");
const RSA_E3: &[u8] = include_bytes!("keys/rsa_2048_e3.der");
const RSA_E65535: &[u8] = include_bytes!("keys/rsa_2048_e65535.der");
const RSA_E65539: &[u8] = include_bytes!("keys/rsa_2048_e65539.der");
const RSA_COMPOSITE: &[u8] = include_bytes!("keys/rsa_2048_composite.der");
const RSA_UNBALANCED: &[u8] = include_bytes!("keys/rsa_2048_unbalanced.der");
const RSA_SMALL_FACTOR: &[u8] = include_bytes!("keys/rsa_2048_small_factor.der");
const RSA_CLOSE: &[u8] = include_bytes!("keys/rsa_2048_close.der");
const RSA_CLOSE_APART: &[u8] = include_bytes!("keys/rsa_2048_close_apart.der");
const RSA_THREE_PRIMES: &[u8] = include_bytes!("keys/rsa_2048_three_primes.der");
const RSA_PSS: &[u8] = include_bytes!("keys/rsa_pss_2048.der");
const SECP256K1: &[u8] = include_bytes!("keys/secp256k1.der");
const SM2: &[u8] = include_bytes!("keys/sm2.der");

fn take(spec: &str, given: &[u8]) -> Result<Material, Refusal> {
    import(spec, kind(Spec::parse(spec).unwrap()).usage.name(), given)
}

fn refuses(spec: &str, given: &[u8], what: &str) {
    assert_eq!(take(spec, given).err(), Some(Refusal::Material), "{spec}: {what}");
}

fn concat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn keys_made_by_openssl_are_taken() {
    for (spec, given) in [
        ("ECC_NIST_P256", P256),
        ("ECC_SECG_P256K1", SECP256K1),
        ("SM2", SM2),
        ("ECC_NIST_EDWARDS25519", ED25519),
        ("RSA_2048", RSA_E65539),
    ] {
        let taken = take(spec, given).unwrap();
        let again = take(spec, &taken.private).unwrap();
        assert_eq!((&taken.private, &taken.public), (&again.private, &again.public), "{spec}");
    }
}

#[test]
fn each_spec_takes_its_own_keys_only() {
    let all: Vec<_> = Spec::ALL
        .iter()
        .map(|spec| {
            let made = &key_of(*spec).private;
            let given =
                if spec.name().starts_with("ML_") { seed_private(spec.name(), made) } else { made.to_vec() };
            (spec.name(), given)
        })
        .collect();
    for (spec, given) in &all {
        assert!(take(spec, given).is_ok(), "{spec}");
        for (other, _) in all.iter().filter(|(other, _)| other != spec) {
            let is_longer_hmac =
                other.starts_with("HMAC_") && given.len() <= 128 && take(other, given).is_ok();
            if !is_longer_hmac {
                let taken = take(other, given).is_ok();
                // 32 bytes are a symmetric key whatever they were made for.
                assert!(!taken || (*other == "SYMMETRIC_DEFAULT" && given.len() == 32), "{spec} as {other}");
            }
        }
        if !spec.starts_with("HMAC_") {
            refuses(spec, &concat(&[given, &[0]]), "a byte more");
            refuses(spec, &given[..given.len() - 1], "a byte less");
            refuses(spec, &[], "nothing");
        }
    }
    let strangers =
        [("RSA_2048", "KEY_AGREEMENT"), ("RSA_1024", "SIGN_VERIFY"), ("ECC_SECG_P256K1", "KEY_AGREEMENT")];
    for (spec, usage) in strangers {
        assert_eq!(import(spec, usage, &all[5].1).err(), Some(Refusal::Usage));
    }
}

/// "Requirements for imported key material": n to 1,024 bits for HMAC_n, 256 bits for symmetric keys.
#[test]
fn secrets_have_the_lengths_of_the_developer_guide() {
    for (spec, shortest, longest) in [
        ("SYMMETRIC_DEFAULT", 32, 32),
        ("HMAC_224", 28, 128),
        ("HMAC_256", 32, 128),
        ("HMAC_384", 48, 128),
        ("HMAC_512", 64, 128),
    ] {
        for length in 0..200 {
            let taken = take(spec, &vec![7; length]);
            assert_eq!(taken.is_ok(), (shortest..=longest).contains(&length), "{spec} {length}");
            assert!(taken.is_err() || *taken.unwrap().private == vec![7; length]);
        }
    }
}

/// A PKCS #8 RSA key of these parts: version, then the eight integers of RFC 8017.
fn rsa_of(version: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let mut inner = version.to_der().unwrap();
    parts.iter().for_each(|part| inner.extend(UintRef::new(part).unwrap().to_der().unwrap()));
    let inner = der::Any::new(der::Tag::Sequence, inner).unwrap().to_der().unwrap();
    let algorithm =
        AlgorithmIdentifierRef { oid: encoding::RSA_ENCRYPTION, parameters: Some(der::AnyRef::NULL) };
    PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&inner).unwrap()).to_der().unwrap()
}

fn rsa_parts(given: &[u8]) -> Vec<Vec<u8>> {
    let info = PrivateKeyInfoRef::from_der(given).unwrap();
    let inner = der::AnyRef::from_der(info.private_key.as_bytes()).unwrap();
    let mut reader = der::SliceReader::new(inner.value()).unwrap();
    u8::decode(&mut reader).unwrap();
    (0..8).map(|_| UintRef::decode(&mut reader).unwrap().as_bytes().to_vec()).collect()
}

#[test]
fn rsa_keys_are_of_two_primes_and_whole() {
    refuses("RSA_2048", RSA_E3, "the exponent 3");
    refuses("RSA_2048", RSA_E65535, "the exponent 65,535");
    refuses("RSA_2048", RSA_THREE_PRIMES, "three primes");
    refuses("RSA_2048", RSA_PSS, "a key of RSASSA-PSS");
    // All their parts belong together.
    refuses("RSA_2048", RSA_COMPOSITE, "a factor of two primes");
    refuses("RSA_2048", RSA_UNBALANCED, "primes of 1,280 and 768 bits");
    refuses("RSA_2048", RSA_SMALL_FACTOR, "the factor 7,919");
    refuses("RSA_2048", RSA_CLOSE, "primes that follow each other");
    refuses("RSA_2048", RSA_CLOSE_APART, "primes that are close and begin differently");
    refuses("RSA_3072", RSA_E65539, "2,048 bits");
    let parts = rsa_parts(RSA_E65539);
    assert!(take("RSA_2048", &rsa_of(0, &parts)).is_ok());
    refuses("RSA_2048", &rsa_of(1, &parts), "the version of more primes");
    let info = PrivateKeyInfoRef::from_der(RSA_E65539).unwrap();
    refuses("RSA_2048", info.private_key.as_bytes(), "PKCS #1 without PKCS #8");
    let names = ["n", "e", "d", "p", "q", "dp", "dq", "qInv"];
    for (at, name) in names.iter().enumerate() {
        for (change, what) in [(0x02, "another"), (0x01, "an even")] {
            let mut changed = parts.clone();
            *changed[at].last_mut().unwrap() ^= change;
            refuses("RSA_2048", &rsa_of(0, &changed), &format!("{what} {name}"));
        }
        let mut zero = parts.clone();
        zero[at] = vec![0];
        refuses("RSA_2048", &rsa_of(0, &zero), &format!("no {name}"));
    }
    let mut stripped = parts.clone();
    stripped[3..].iter_mut().for_each(|part| *part = vec![0]);
    refuses("RSA_2048", &rsa_of(0, &stripped), "no primes at all");
    let mut swapped = parts;
    swapped.swap(3, 4);
    refuses("RSA_2048", &rsa_of(0, &swapped), "the primes in another order than their exponents");
}

/// Order of each curve (SEC 2, NIST SP 800-186, GB/T 32918.5).
const ORDERS: [(&str, &str); 5] = [
    ("ECC_NIST_P256", "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
    (
        "ECC_NIST_P384",
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    ),
    (
        "ECC_NIST_P521",
        concat!(
            "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa",
            "51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409"
        ),
    ),
    ("ECC_SECG_P256K1", "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"),
    ("SM2", "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123"),
];

#[test]
fn scalars_are_in_range() {
    for (spec, order) in ORDERS {
        let order = hex(order);
        let minus = |less: u8| {
            let mut scalar = order.clone();
            *scalar.last_mut().unwrap() -= less;
            scalar
        };
        let mut above = order.clone();
        *above.last_mut().unwrap() += 1;
        let largest = if spec == "SM2" { 2 } else { 1 };
        assert!(take(spec, &ec_private(spec, &minus(largest))).is_ok(), "{spec}: the largest");
        refuses(spec, &ec_private(spec, &minus(largest - 1)), "one more than the largest");
        refuses(spec, &ec_private(spec, &above), "n + 1");
        refuses(spec, &ec_private(spec, &vec![0xff; order.len()]), "all ones");
        refuses(spec, &ec_private(spec, &vec![0; order.len()]), "zero");
        refuses(spec, &ec_private(spec, &[]), "no scalar");
        refuses(spec, &ec_private(spec, &concat(&[&[1], &order])), "a byte too long");
    }
}

/// A PKCS #8 key on this curve whose inner structure says this.
fn ec_of(spec: &str, scalar: &[u8], point: Option<&[u8]>, inner_curve: Option<&str>) -> Vec<u8> {
    let parameters = inner_curve.map(|name| sec1::EcParameters::NamedCurve(curve(name)));
    let inner = EcPrivateKey { private_key: scalar, parameters, public_key: point }.to_der().unwrap();
    let inner = OctetStringRef::new(&inner).unwrap();
    PrivateKeyInfoRef::new(ec_algorithm(&curve(spec)), inner).to_der().unwrap()
}

#[test]
fn points_and_curves_belong_to_the_scalar() {
    for (spec, order) in ORDERS {
        let length = order.len() / 2;
        let scalar = concat(&[&vec![0; length - 1], &[7]]);
        let taken = take(spec, &ec_private(spec, &scalar)).unwrap();
        let public = taken.public.as_ref().unwrap();
        let point = &public[public.len() - 2 * length - 1..];
        let other =
            take(spec, &ec_private(spec, &concat(&[&vec![0; length - 1], &[9]]))).unwrap().public.unwrap();
        let other = &other[other.len() - 2 * length - 1..];
        let same = |given: &[u8], what: &str| {
            let again = take(spec, given).unwrap_or_else(|_| panic!("{spec}: {what}"));
            assert_eq!((&again.private, &again.public), (&taken.private, &taken.public), "{spec}: {what}");
        };
        same(&ec_of(spec, &scalar, Some(point), None), "with its point");
        same(&ec_of(spec, &scalar, None, Some(spec)), "with its curve inside too");
        refuses(spec, &ec_of(spec, &scalar, Some(other), None), "another point");
        refuses(spec, &ec_of(spec, &scalar, Some(&[0]), None), "the point at infinity");
        refuses(spec, &ec_of(spec, &scalar, Some(&[]), None), "an empty point");
        let mut off_curve = point.to_vec();
        *off_curve.last_mut().unwrap() ^= 1;
        refuses(spec, &ec_of(spec, &scalar, Some(&off_curve), None), "a point off the curve");
        let elsewhere = if spec == "ECC_NIST_P256" { "ECC_NIST_P384" } else { "ECC_NIST_P256" };
        refuses(spec, &ec_of(spec, &scalar, None, Some(elsewhere)), "another curve inside");
        refuses(spec, &ec_of(elsewhere, &scalar, None, None), "another curve");
        let inner =
            EcPrivateKey { private_key: &scalar, parameters: None, public_key: None }.to_der().unwrap();
        refuses(spec, &inner, "RFC 5915 without PKCS #8");
        let mut info = PrivateKeyInfoRef::from_der(&taken.private).unwrap();
        info.public_key = Some(BitStringRef::from_bytes(other).unwrap());
        refuses(spec, &info.to_der().unwrap(), "another point in version 2 of PKCS #8");
    }
    refuses("ECC_NIST_P256", P256_EXPLICIT, "parameters spelled out");
    refuses("ECC_NIST_P256", P256_ENCRYPTED, "encrypted PKCS #8");
}

/// Zeros in front of a scalar, which some writers leave away, make no other key.
#[test]
fn one_key_has_one_stored_form() {
    for (spec, order) in ORDERS.into_iter().take(3) {
        let length = order.len() / 2;
        let full = concat(&[&vec![0; length - 24], &[7; 24]]);
        let taken = take(spec, &ec_private(spec, &full)).unwrap();
        for zeros in [0, 1] {
            let short = take(spec, &ec_private(spec, &concat(&[&vec![0; zeros], &[7; 24]]))).unwrap();
            assert_eq!(short.private, taken.private, "{spec}");
        }
    }
}

#[test]
fn edwards_keys_are_of_this_algorithm_and_whole() {
    let spec = "ECC_NIST_EDWARDS25519";
    let taken = take(spec, ED25519).unwrap();
    assert_eq!(&**taken.private, ED25519);
    let mut x25519 = ED25519.to_vec();
    x25519[11] = 0x6e;
    refuses(spec, &x25519, "a key of X25519");
    let public = taken.public.unwrap();
    let with_public = |key: &[u8]| {
        let mut info = PrivateKeyInfoRef::from_der(ED25519).unwrap();
        info.public_key = Some(BitStringRef::from_bytes(key).unwrap());
        info.to_der().unwrap()
    };
    assert_eq!(take(spec, &with_public(&public[12..])).unwrap().private, taken.private);
    refuses(spec, &with_public(&[7; 32]), "another public key");
    refuses(spec, &ED25519[ED25519.len() - 32..], "a bare seed");
}

#[test]
fn lattice_keys_are_seeds() {
    for spec in ["ML_DSA_44", "ML_DSA_65", "ML_DSA_87", "ML_KEM_512", "ML_KEM_768", "ML_KEM_1024"] {
        let length = if spec.starts_with("ML_DSA") { 32 } else { 64 };
        let seed = vec![7; length];
        assert_eq!(*take(spec, &seed_private(spec, &seed)).unwrap().private, seed, "{spec}");
        refuses(spec, &seed, "a bare seed");
        for wrong in [0, length - 1, length + 1] {
            refuses(spec, &seed_private(spec, &vec![7; wrong]), "a seed of another length");
        }
        let info = PrivateKeyInfoRef::from_der;
        let given = seed_private(spec, &seed);
        let with = |inner: &[u8], parameters: Option<der::AnyRef<'_>>| {
            let mut algorithm = info(&given).unwrap().algorithm;
            algorithm.parameters = parameters;
            PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(inner).unwrap()).to_der().unwrap()
        };
        let inner = info(&given).unwrap().private_key.as_bytes();
        assert_eq!(with(inner, None), given);
        refuses(spec, &with(inner, Some(der::AnyRef::NULL)), "parameters");
        refuses(spec, &with(&concat(&[inner, &[0]]), None), "bytes after the seed");
        let expanded = OctetStringRef::new(&[7; 2560]).unwrap().to_der().unwrap();
        refuses(spec, &with(&expanded, None), "an expanded key");
        let seed = OctetStringRef::new(&seed).unwrap().to_der().unwrap();
        let both = der::Any::new(der::Tag::Sequence, concat(&[&seed, &expanded])).unwrap().to_der().unwrap();
        refuses(spec, &with(&both, None), "a seed and an expanded key");
        refuses(spec, &with(&seed, None), "a seed without its tag");
    }
}

/// Whatever is changed in a key: it is refused, or what is taken is a key with one stored form.
fn check_taken(spec: &str, given: &[u8]) {
    match take(spec, given) {
        Err(refusal) => assert_eq!(refusal, Refusal::Material),
        Ok(taken) if spec.starts_with("HMAC_") || spec == "SYMMETRIC_DEFAULT" => {
            assert_eq!(*taken.private, given);
        }
        Ok(taken) => {
            let stored = if spec.starts_with("ML_") {
                seed_private(spec, &taken.private)
            } else {
                taken.private.to_vec()
            };
            let again = take(spec, &stored).unwrap();
            assert_eq!((again.private, again.public), (taken.private, taken.public));
        }
    }
}

#[test]
fn bit_flips_and_truncations_make_no_unsound_key() {
    let kem = seed_private("ML_KEM_512", &[7; 64]);
    let dsa = seed_private("ML_DSA_44", &[7; 32]);
    for (spec, given) in [
        ("ECC_NIST_P256", P256),
        ("ECC_SECG_P256K1", SECP256K1),
        ("ECC_NIST_EDWARDS25519", ED25519),
        ("SM2", SM2),
        ("ML_KEM_512", &kem),
        ("ML_DSA_44", &dsa),
    ] {
        for bit in 0..given.len() * 8 {
            let mut flipped = given.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            check_taken(spec, &flipped);
        }
        (0..given.len()).for_each(|length| refuses(spec, &given[..length], "cut short"));
    }
}

proptest! {
    #[test]
    fn no_input_panics(spec in 0..Spec::ALL.len(), given in proptest::collection::vec(any::<u8>(), 0..300)) {
        check_taken(Spec::ALL[spec].name(), &given);
    }
}
