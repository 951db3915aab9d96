//! Lists a key's rotations, or all of its materials, a page at a time, the oldest first.

use claviger_wire::fault::Code;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::key::{Key, Material};
use crate::kms::marker::{self, Scope};
use crate::kms::shapes::{ExpirationModel, IncludeKeyMaterial, KeyIdentifier, Limit, Marker, Origin};
use crate::kms::{load, multi_region, rotation};
use crate::moment::Moment;
use crate::operation::Operation;

/// The operation.
pub struct ListKeyRotations;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
        /// What is listed; completed rotations when absent.
        optional include_key_material: IncludeKeyMaterial = "includeKeyMaterial",
        /// Most rotations of a page: 100 when absent, at most 1,000.
        optional limit: Limit = "limit",
        /// Where the list goes on.
        optional marker: Marker = "marker",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    rotations: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key_id: String,
    key_material_id: String,
    #[serde(flatten)]
    imported: Option<Imported>,
    key_material_state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_date: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_type: Option<&'static str>,
}

/// What is said of imported material only.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Imported {
    #[serde(skip_serializing_if = "Option::is_none")]
    key_material_description: Option<String>,
    import_state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_model: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_to: Option<f64>,
}

impl Operation for ListKeyRotations {
    const NAME: &'static str = "ListKeyRotations";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let key =
            load::managed(service, call, "kms:ListKeyRotations", &request.key_id, Asks::default()).await?;
        key.allows(Self::NAME)?;
        if request.include_key_material.is_some() && !key.is_symmetric() {
            let message = format!("IncludeKeyMaterial is not valid for key spec {}.", key.spec.as_str());
            return Err(Error::new(Code::UnsupportedOperation, message));
        }
        let include = request.include_key_material.unwrap_or(IncludeKeyMaterial::RotationsOnly);
        let (principal, region) = (call.caller().arn(), call.region());
        let filter = format!("{}/{}", key.id(), include.as_str());
        let scope = Scope { operation: Self::NAME, principal, region, filter: &filter };
        let markers = &service.installation.markers;
        let after = markers.read(scope, request.marker.as_ref())?;
        let now = service.installation.latest(call.now());
        let mut all = listed(&key, include, waiting_state(service, &key, now).await?, now);
        if let Some(last) = after {
            let read = all.iter().position(|entry| entry.key_material_id == last);
            all.drain(..read.map_or(all.len(), |position| position + 1));
        }
        let size = marker::page_size(request.limit, 100, 1000);
        let truncated = all.len() > size;
        all.truncate(size);
        let last = all.last().filter(|_| truncated);
        let next_marker = last.map(|entry| markers.make(scope, &entry.key_material_id));
        Ok(Response { rotations: all, next_marker, truncated })
    }
}

/// `KeyMaterialState` of material that waits for its rotation: whether the rotation can be asked for, or the material has
/// to be imported in other Regions before.
async fn waiting_state(service: &Service, key: &Key, now: Moment) -> Result<&'static str> {
    let can_rotate = key.pending.is_none()
        || key.regions.is_none()
        || multi_region::awaits_rotation(service, key, now).await?;
    Ok(if can_rotate { "PENDING_ROTATION" } else { "PENDING_MULTI_REGION_IMPORT_AND_ROTATION" })
}

/// Every entry of the list. Keys that do not rotate have none.
fn listed(key: &Key, include: IncludeKeyMaterial, waiting: &'static str, now: Moment) -> Vec<Entry> {
    let current = key.materials.last().map(|material| material.id);
    let state = |material: &Material| match current {
        Some(current) if material.id == current => "CURRENT",
        _ => "NON_CURRENT",
    };
    let had = key.materials.iter().map(|material| (material, state(material)));
    let waits = key.pending.as_deref().into_iter().map(|material| (material, waiting));
    had.chain(waits)
        .filter(|_| key.is_symmetric())
        .filter(|(material, _)| include == IncludeKeyMaterial::All || material.rotated.is_some())
        .map(|(material, state)| Entry::of(key, material, state, now))
        .collect()
}

impl Entry {
    fn of(key: &Key, material: &Material, key_material_state: &'static str, now: Moment) -> Self {
        Self {
            key_id: key.id().to_owned(),
            key_material_id: material.id.to_hex(),
            imported: (key.origin == Origin::External).then(|| Imported::of(material, now)),
            key_material_state,
            rotation_date: material.rotated.map(|rotated| rotated.at.epoch()),
            rotation_type: material.rotated.map(|rotated| rotation::type_of(rotated.on_demand)),
        }
    }
}

impl Imported {
    fn of(material: &Material, now: Moment) -> Self {
        let is_there = material.is_usable(now);
        let expiry = material.expiry().filter(|_| is_there);
        let model = if expiry.is_some() { ExpirationModel::Expires } else { ExpirationModel::DoesNotExpire };
        Self {
            key_material_description: material.imported.as_ref().and_then(|said| said.description.clone()),
            import_state: if is_there { "IMPORTED" } else { "PENDING_IMPORT" },
            expiration_model: is_there.then(|| model.as_str()),
            valid_to: expiry.map(Moment::epoch),
        }
    }
}
