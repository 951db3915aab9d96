//! A seal that lasts as long as its value: for tests and simulations, which want a domain and no files.

use std::sync::{Arc, Mutex};

use crate::seal::{DomainSecrets, Seal, SealError};

/// A seal in memory. Clones share their content, so an engine can be "restarted" with a clone.
#[derive(Debug, Clone, Default)]
pub struct MemorySeal {
    kept: Arc<Mutex<Option<DomainSecrets>>>,
}

impl Seal for MemorySeal {
    fn load(&mut self) -> Result<DomainSecrets, SealError> {
        self.kept.lock().map_err(|_| SealError::Damaged)?.clone().ok_or(SealError::Missing)
    }

    fn save(&mut self, secrets: &DomainSecrets) -> Result<(), SealError> {
        *self.kept.lock().map_err(|_| SealError::Damaged)? = Some(secrets.clone());
        Ok(())
    }
}
