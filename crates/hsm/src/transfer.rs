//! Transfer of a multi-Region key to the same key in another Region.
//!
//! The material travels in a *package*: wrapped like a token, but bound to where it comes from, to where it goes and to
//! the domain that may open it. No package serves as a token, no token as a package.
//!
//! In this release both Regions belong to one domain, and another domain's name is refused. The command names the
//! receiving domain so that HSMs of two domains can agree on a key for the way later without a new command.

use claviger_hsm_proto::{Binding, MaterialId, Refusal, WrappedKey};
use zeroize::Zeroizing;

use crate::algorithms::{self, Kind, MAX_MATERIAL_LEN, Material};
use crate::domain::Domain;
use crate::limits;
use crate::random::Entropy;
use crate::session::Scratch;
use crate::token::{self, Place};

/// Start of the key ids of multi-Region keys ("Multi-Region keys" of the AWS KMS Developer Guide).
const MULTI_REGION: &str = "mrk-";

/// Wraps a key for the same key in another Region; the package goes to `scratch.sealed`.
///
/// # Errors
/// What [`limits::kind()`] refuses; [`Refusal::Usage`] for a key of one Region; [`Refusal::Transfer`] for another
/// domain or the Region that the key is in; [`Refusal::Token`], [`Refusal::Randomness`], [`Refusal::Internal`].
pub(crate) fn leave(
    domain: &Domain,
    entropy: &Entropy,
    key: &WrappedKey<'_>,
    to_domain: &[u8; 16],
    to_region: &str,
    scratch: &mut Scratch,
) -> Result<(), Refusal> {
    let kind = travels(&key.binding, to_region)?;
    if to_domain != domain.id() {
        return Err(Refusal::Transfer);
    }
    let Scratch { clear, sealed, .. } = scratch;
    let stored = token::unwrap_stored(domain, kind.spec, key, clear)?;
    let place = Place::transfer(domain, &key.binding, key.material, to_domain, to_region)?;
    token::wrap(domain, entropy, place, &stored, sealed)
}

/// Opens the package of a key that came from another Region.
///
/// # Errors
/// What [`limits::kind()`] refuses; [`Refusal::Usage`] for a key of one Region; [`Refusal::Transfer`] for a package
/// that does not open here or does not hold the material that is named; [`Refusal::Internal`].
pub(crate) fn arrive(
    domain: &Domain,
    binding: &Binding<'_>,
    from: &str,
    material: MaterialId,
    package: &[u8],
    scratch: &mut Scratch,
) -> Result<Material, Refusal> {
    let kind = travels(binding, from)?;
    let source = Binding { region: from, ..*binding };
    let place = Place::transfer(domain, &source, material, domain.id(), binding.region)?;
    if package.len() > token::OVERHEAD_LEN + MAX_MATERIAL_LEN {
        return Err(Refusal::Transfer);
    }
    scratch.wipe();
    token::unwrap(domain, place, package, &mut scratch.clear).map_err(|refusal| match refusal {
        Refusal::Token => Refusal::Transfer,
        other => other,
    })?;
    let stored = Zeroizing::new(scratch.clear.clone());
    scratch.wipe();
    if token::stored_id(kind.spec, &stored, binding.key_id) == Ok(material) {
        algorithms::restore(kind, stored)
    } else {
        Err(Refusal::Transfer)
    }
}

/// A key that may travel between its own Region and another.
fn travels(binding: &Binding<'_>, other: &str) -> Result<Kind, Refusal> {
    let kind = limits::kind(binding)?;
    limits::region(other)?;
    if !binding.key_id.starts_with(MULTI_REGION) {
        return Err(Refusal::Usage);
    }
    if other == binding.region { Err(Refusal::Transfer) } else { Ok(kind) }
}
