//! Imports key material: the first of a key, a further one that waits for its rotation, or one that the key had before.

use std::sync::Arc;

use claviger_wire::arn;
use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::import::{self, Offer};
use crate::kms::import_token::ImportToken;
use crate::kms::shapes::{
    CiphertextBlob, ExpirationModel, ImportType, KeyIdentifier, KeyMaterialDescription, KeyMaterialId,
    Timestamp,
};
use crate::kms::{load, multi_region};
use crate::moment::Moment;
use crate::operation::Operation;
use crate::schedule::{self, expiry};
use crate::vault;

/// The operation.
pub struct ImportKeyMaterial;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
        /// The token of `GetParametersForImport`.
        required import_token: CiphertextBlob = "importToken",
        /// The material, wrapped.
        required encrypted_key_material: CiphertextBlob = "encryptedKeyMaterial",
        /// When it expires.
        optional valid_to: Timestamp = "validTo",
        /// Whether it expires; it does when absent.
        optional expiration_model: ExpirationModel = "expirationModel",
        /// Whether the key has had it before; it has when absent, unless it is the first.
        optional import_type: ImportType = "importType",
        /// What is said of it; what was said before when absent.
        optional key_material_description: KeyMaterialDescription = "keyMaterialDescription",
        /// The material that it must be.
        optional key_material_id: KeyMaterialId = "keyMaterialId",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    key_id: Arc<str>,
    key_material_id: String,
}

/// What the trail shows of the answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Elements<'a> {
    key_id: &'a str,
    key_material_id: &'a str,
}

/// Longest time that material may be valid, in days.
const MAX_VALID_DAYS: u16 = 365;

impl Operation for ImportKeyMaterial {
    const NAME: &'static str = "ImportKeyMaterial";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        // By the latest moment that anybody saw: what has expired by that is dropped at once.
        let latest = service.installation.latest(call.now());
        let expires = date(request, call.now(), latest)?;
        let asks = Asks {
            expiration_model: request.expiration_model,
            valid_to: request.valid_to.map(|timestamp| timestamp.0),
            ..Asks::default()
        };
        let key = load::managed(service, call, "kms:ImportKeyMaterial", &request.key_id, asks).await?;
        key.allows(Self::NAME)?;
        check_members(&key, request)?;
        let token =
            ImportToken::read(&request.import_token.0, key.spec, arn::partition(&key.region), call.now())?;
        let wrapped = &request.encrypted_key_material.0;
        let made = vault::import_key(&*service.vault, &key, token.terms(), token.sealed, wrapped).await?;
        let key_material_id = made.id.to_hex();
        if let Some(wanted) = &request.key_material_id
            && (**wanted != *key_material_id || !key.all_materials().any(|known| known.id == made.id))
        {
            return Err(Error::bare(Code::IncorrectKeyMaterial));
        }
        let offer = Offer {
            material: made.id,
            token: made.token,
            public: made.public,
            kind: request.import_type,
            description: request.key_material_description.as_deref(),
            expires,
            now: call.now(),
        };
        // It may have been read after that moment, in the state of a later one.
        let latest = service.installation.latest(call.now());
        let left = key.without_expired(latest);
        let mut change = multi_region::share(service, &key, &import::taken_in(&left, &offer)?).await?;
        let expired = if key.expiry().is_some_and(|expiry| expiry <= latest) {
            let announcement = expiry::announce(service, &key, call.now()).await?;
            change.writes.push(announcement.write(service)?);
            Some(announcement)
        } else {
            None
        };
        call.set_response(&Elements { key_id: &key.arn, key_material_id: &key_material_id })?;
        call.commit(service, change.preconditions, change.writes).await?;
        if let Some(announcement) = expired {
            schedule::forget(service, &key).await;
            announcement.deliver(service).await?;
        }
        Ok(Response { key_id: key.arn.clone(), key_material_id })
    }
}

/// When the material is to expire; never when `None`. `latest` is the latest moment that anybody saw.
///
/// # Errors
/// `ValidationException` where model and date do not fit, or the date is not within the next 365 days.
fn date(request: &Request, now: Moment, latest: Moment) -> Result<Option<Moment>> {
    let model = request.expiration_model.unwrap_or(ExpirationModel::Expires);
    let valid_to = request.valid_to.map(|timestamp| timestamp.0);
    let wrong = match (model, valid_to) {
        (ExpirationModel::DoesNotExpire, None) => return Ok(None),
        (ExpirationModel::DoesNotExpire, Some(_)) => {
            "A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE"
        }
        (ExpirationModel::Expires, None) => {
            "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"
        }
        (ExpirationModel::Expires, Some(date)) if date <= latest => "The validTo date must be in the future",
        (ExpirationModel::Expires, Some(date)) if date > now.plus_days(MAX_VALID_DAYS) => {
            "The validTo date must be at most 365 days from now"
        }
        (ExpirationModel::Expires, Some(date)) => return Ok(Some(date)),
    };
    Err(Error::validation(wrong))
}

/// Only a symmetric encryption key has more than one material that could be told apart.
fn check_members(key: &crate::kms::key::Key, request: &Request) -> Result<()> {
    let given = [
        ("ImportType", request.import_type.is_some()),
        ("KeyMaterialDescription", request.key_material_description.is_some()),
        ("KeyMaterialId", request.key_material_id.is_some()),
    ];
    match given.iter().find(|(_, given)| *given && !key.is_symmetric()) {
        Some((member, _)) => {
            let message = format!("{member} is not valid for key spec {}.", key.spec.as_str());
            Err(Error::new(Code::UnsupportedOperation, message))
        }
        // What is new has no id yet.
        None if request.key_material_id.is_some() && request.import_type == Some(ImportType::New) => {
            let message = "You cannot specify KeyMaterialId with ImportType set to NEW_KEY_MATERIAL.";
            Err(Error::validation(message))
        }
        None => Ok(()),
    }
}
