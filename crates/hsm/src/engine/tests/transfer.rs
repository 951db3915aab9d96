//! Multi-Region keys on their way to another Region.

use super::operations::{KINDS, look};
use super::*;

/// A key in `us-east-1`.
const HOME: Binding<'static> = Binding { key_id: "mrk-1234abcd12ab34cd56ef1234567890ab", ..A };
/// The same key elsewhere.
const AWAY: Binding<'static> = Binding { region: "eu-central-1", ..HOME };

fn out(engine: &Engine, key: WrappedKey<'_>, region: &str) -> Got {
    ask(engine, &Command::TransferOut { key, domain: *engine.domain.id(), region })
}

fn arrive(engine: &Engine, binding: Binding<'_>, from: &str, material: MaterialId, package: &[u8]) -> Got {
    ask(engine, &Command::TransferIn { binding, from, material, package })
}

#[test]
fn a_key_works_alike_where_it_arrives() {
    let engine = start(&sealed());
    let (material, token) = create(&engine, HOME);
    let home = WrappedKey { binding: HOME, material, token: &token };
    let package = bytes(out(&engine, home, AWAY.region));
    assert_eq!(ask(&engine, &Command::RotateDomainKey { newest: 1 }), Got::Generation(2));
    let Got::Key(same, there) = arrive(&engine, AWAY, HOME.region, material, &package) else {
        panic!("did not arrive")
    };
    assert_eq!((same, &there[1..5]), (material, &[0, 0, 0, 2][..]));
    let away = WrappedKey { binding: AWAY, material, token: &there };
    for (one, other) in [(home, away), (away, home)] {
        let blob = bytes(encrypt(&engine, one));
        assert_eq!(decrypt(&engine, other, &blob), Got::Bytes(b"plaintext".to_vec()));
    }
    // Neither token serves in the other's Region, and the package serves in none.
    for (binding, token) in [(AWAY, &token), (HOME, &there), (HOME, &package), (AWAY, &package)] {
        let key = WrappedKey { binding, material, token };
        assert_eq!(encrypt(&engine, key), Got::Refused(Refusal::Token));
        assert_eq!(out(&engine, key, "sa-east-1"), Got::Refused(Refusal::Token));
    }
}

/// Keys of every kind: the same material and the same public key arrive, for the same usage only.
#[test]
fn every_kind_of_key_travels() {
    let engine = start(&sealed());
    for (spec, usage) in KINDS {
        let (home, away) = (Binding { spec, usage, ..HOME }, Binding { spec, usage, ..AWAY });
        let wrapped = |command: &Command<'_>| {
            look(&engine, command, |reply| match reply {
                Reply::KeyWrapped { material, token, public } => {
                    (material, token.to_vec(), public.map(<[u8]>::to_vec))
                }
                other => panic!("{spec} {usage}: {other:?}"),
            })
        };
        let (material, token, public) = wrapped(&Command::CreateKey { binding: home });
        let package = bytes(out(&engine, WrappedKey { binding: home, material, token: &token }, away.region));
        let arrival =
            |binding| Command::TransferIn { binding, from: home.region, material, package: &package };
        for (_, other) in KINDS.iter().filter(|(other, _)| other == spec).filter(|(_, other)| other != usage)
        {
            let answer = ask(&engine, &arrival(Binding { usage: other, ..away }));
            assert_eq!(answer, Got::Refused(Refusal::Transfer), "{spec} {usage} as {other}");
        }
        let (arrived, token, same) = wrapped(&arrival(away));
        assert_eq!((arrived, same), (material, public), "{spec} {usage}");
        let key = WrappedKey { binding: away, material, token: &token };
        assert!(matches!(ask(&engine, &Command::Rewrap { key }), Got::Key(same, _) if same == material));
    }
}

#[test]
fn only_multi_region_keys_travel() {
    let engine = start(&sealed());
    for key_id in [A.key_id, "mrk1234", "MRK-1234", "x-mrk-1234"] {
        let (home, away) = (Binding { key_id, ..HOME }, Binding { key_id, ..AWAY });
        let (material, token) = create(&engine, home);
        let key = WrappedKey { binding: home, material, token: &token };
        assert_eq!(out(&engine, key, away.region), Got::Refused(Refusal::Usage), "{key_id}");
        let answer = arrive(&engine, away, home.region, material, &token);
        assert_eq!(answer, Got::Refused(Refusal::Usage), "{key_id}");
    }
}

#[test]
fn a_key_leaves_for_another_region_of_the_same_domain_only() {
    let engine = start(&sealed());
    let (material, token) = create(&engine, HOME);
    let key = WrappedKey { binding: HOME, material, token: &token };
    for domain in [[0; 16], *start(&sealed()).domain.id()] {
        let command = Command::TransferOut { key, domain, region: AWAY.region };
        assert_eq!(ask(&engine, &command), Got::Refused(Refusal::Transfer));
    }
    assert_eq!(out(&engine, key, HOME.region), Got::Refused(Refusal::Transfer));
    let package = bytes(out(&engine, key, AWAY.region));
    assert_eq!(arrive(&engine, HOME, HOME.region, material, &package), Got::Refused(Refusal::Transfer));
    for region in ["", &"r".repeat(65)] {
        assert_eq!(out(&engine, key, region), Got::Refused(Refusal::Length));
        assert_eq!(arrive(&engine, AWAY, region, material, &package), Got::Refused(Refusal::Length));
    }
}

/// Attack D5 on the way: a package opens only where it was sent, for the key that it holds.
#[test]
fn a_package_opens_only_where_it_was_sent() {
    let engine = start(&sealed());
    let ((material, token), (other, _)) = (create(&engine, HOME), create(&engine, HOME));
    let key = WrappedKey { binding: HOME, material, token: &token };
    let package = bytes(out(&engine, key, AWAY.region));
    let check = |binding, from, material, package: &[u8], what: &str| {
        assert_eq!(
            arrive(&engine, binding, from, material, package),
            Got::Refused(Refusal::Transfer),
            "{what}"
        );
    };
    let home = HOME.region;
    check(Binding { region: "sa-east-1", ..AWAY }, home, material, &package, "another Region");
    check(AWAY, "sa-east-1", material, &package, "from another Region");
    check(HOME, AWAY.region, material, &package, "moved back");
    check(Binding { account: "444455556666", ..AWAY }, home, material, &package, "another account");
    let key_id = "mrk-0987dcba09fe87dc65baab0987654321";
    check(Binding { key_id, ..AWAY }, home, material, &package, "another key");
    let mac = Binding { spec: "HMAC_256", usage: "GENERATE_VERIFY_MAC", ..AWAY };
    check(mac, home, material, &package, "another spec");
    check(AWAY, home, other, &package, "another material");
    check(AWAY, home, material, &token, "a key's token");
    let elsewhere = start(&sealed());
    let answer = arrive(&elsewhere, AWAY, home, material, &package);
    assert_eq!(answer, Got::Refused(Refusal::Transfer), "another domain");
    assert!(matches!(arrive(&engine, AWAY, home, material, &package), Got::Key(..)));
}

#[test]
fn every_bit_of_a_package_counts() {
    let engine = start(&sealed());
    let (material, token) = create(&engine, HOME);
    let key = WrappedKey { binding: HOME, material, token: &token };
    let package = bytes(out(&engine, key, AWAY.region));
    let check = |package: &[u8], what: &str| {
        let answer = arrive(&engine, AWAY, HOME.region, material, package);
        assert_eq!(answer, Got::Refused(Refusal::Transfer), "{what}");
    };
    for bit in 0..package.len() * 8 {
        let mut flipped = package.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        check(&flipped, &format!("bit {bit}"));
    }
    for length in 0..package.len() {
        check(&package[..length], &format!("{length} bytes"));
    }
    check(&[&package[..], &[0]].concat(), "one byte more");
    check(&vec![1; 60_000], "a large package");
}

/// A package whose wrapping is right but which holds another key's material.
#[test]
fn the_material_must_be_the_one_that_is_named() {
    let engine = start(&sealed());
    let (material, _) = create(&engine, HOME);
    let place = Place::transfer(&engine.domain, &HOME, material, engine.domain.id(), AWAY.region).unwrap();
    let mut package = Vec::new();
    token::wrap(&engine.domain, &engine.entropy, place, &[7; 32], &mut package).unwrap();
    let answer = arrive(&engine, AWAY, HOME.region, material, &package);
    assert_eq!(answer, Got::Refused(Refusal::Transfer));
}
