//! Deletes imported key material. When it answers, no copy of it is left unwrapped in the HSM.

use std::sync::Arc;

use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::key::{Key, Material};
use crate::kms::shapes::{KeyIdentifier, KeyMaterialId};
use crate::kms::{load, multi_region};
use crate::operation::Operation;
use crate::vault;

/// The operation.
pub struct DeleteImportedKeyMaterial;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
        /// Which material; the current one when absent.
        optional key_material_id: KeyMaterialId = "keyMaterialId",
    }
}

/// What it answers, and what the trail shows of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    key_id: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_material_id: Option<String>,
}

/// What the trail shows of the answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Elements<'a> {
    key_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_material_id: Option<&'a str>,
}

impl Operation for DeleteImportedKeyMaterial {
    const NAME: &'static str = "DeleteImportedKeyMaterial";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let action = "kms:DeleteImportedKeyMaterial";
        let key = load::managed(service, call, action, &request.key_id, Asks::default()).await?;
        key.allows(Self::NAME)?;
        let material = match &request.key_material_id {
            Some(id) => Some(named(&key, id)?),
            None => key.materials.last(),
        };
        let key_material_id = material.map(|material| material.id.to_hex());
        let elements = Elements { key_id: &key.arn, key_material_id: key_material_id.as_deref() };
        call.set_response(&elements)?;
        if let Some(material) = material {
            // A primary key knows of the one that waits for its rotation also where only its replicas have it: there it
            // goes, too.
            let waits = key.pending.as_ref().is_some_and(|pending| pending.id == material.id);
            if material.is_present() || (waits && !key.is_replica()) {
                let left = key.without(|held| held.id == material.id);
                let change = multi_region::share(service, &key, &left).await?;
                call.commit(service, change.preconditions, change.writes).await?;
            }
            // Also when it was deleted before: the call that deleted it may not have got this far.
            vault::evict(&*service.vault, &key).await?;
        }
        Ok(Response { key_id: key.arn.clone(), key_material_id })
    }
}

fn named<'k>(key: &'k Key, id: &KeyMaterialId) -> Result<&'k Material> {
    key.all_materials().find(|material| *material.id.to_hex() == **id).ok_or_else(|| {
        let message = format!("Key material '{}' does not exist in KMS key {}.", &**id, key.arn);
        Error::new(Code::NotFound, message)
    })
}
