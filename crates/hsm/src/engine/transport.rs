//! Key material that comes from outside or goes to another Region.

use super::*;
use crate::algorithms::Material;

impl Engine {
    /// Carries out a command of this kind.
    pub(super) fn transport<'s>(
        &self,
        scratch: &'s mut Scratch,
        command: &Command<'_>,
    ) -> Result<Reply<'s>, Refusal> {
        match command {
            Command::ImportParameters { binding, terms } => {
                import::parameters(&self.domain, &self.entropy, binding, terms, scratch)?;
                Ok(Reply::ImportParameters { public: &scratch.public, token: &scratch.sealed })
            }
            Command::ImportKey { binding, terms, token, material } => {
                import::unwrap(&self.domain, &self.entropy, (binding, terms), token, material, scratch)?;
                let taken = algorithms::import(binding.spec, binding.usage, &scratch.clear);
                scratch.wipe();
                self.take_in(binding, &taken?, scratch)
            }
            Command::TransferOut { key, domain, region } => {
                transfer::leave(&self.domain, &self.entropy, key, domain, region, scratch)?;
                Ok(Reply::Transfer { package: &scratch.sealed })
            }
            Command::TransferIn { binding, from, material, package } => {
                let arrived = transfer::arrive(&self.domain, binding, from, *material, package, scratch)?;
                self.take_in(binding, &arrived, scratch)
            }
            _ => Err(Refusal::Malformed),
        }
    }

    /// Wraps material as a key's.
    fn take_in<'s>(
        &self,
        binding: &Binding<'_>,
        taken: &Material,
        scratch: &'s mut Scratch,
    ) -> Result<Reply<'s>, Refusal> {
        let spec = limits::kind(binding)?.spec;
        let material = token::stored_id(spec, &taken.private, binding.key_id)?;
        self.wrap(binding, material, &taken.private, scratch)?;
        scratch.public.clear();
        scratch.public.extend_from_slice(taken.public.as_deref().unwrap_or_default());
        let public = taken.public.is_some().then_some(scratch.public.as_slice());
        Ok(Reply::KeyWrapped { material, token: &scratch.sealed, public })
    }
}
