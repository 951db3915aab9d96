//! The Security Token Service: what of it this version serves.

pub mod ops;

use claviger_wire::xml;
use serde::Serialize;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};

/// Namespace of the answers.
pub const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// Version of the API.
pub const VERSION: &str = "2011-06-15";

/// The actions that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// [`ops::get_caller_identity`].
    GetCallerIdentity,
}

impl Action {
    /// The action of this name.
    pub fn named(name: &str) -> Option<Self> {
        (name == Self::GetCallerIdentity.name()).then_some(Self::GetCallerIdentity)
    }

    /// Name as AWS spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::GetCallerIdentity => "GetCallerIdentity",
        }
    }
}

/// Carries out an action and writes its answer.
pub(crate) async fn run(_service: &Service, call: &mut Call<'_>, action: &Action) -> Result<Vec<u8>> {
    match action {
        Action::GetCallerIdentity => {
            let identity = ops::get_caller_identity::run(call);
            answer(call, action.name(), &identity)
        }
    }
}

fn answer(call: &Call<'_>, action: &str, result: &impl Serialize) -> Result<Vec<u8>> {
    xml::response(action, NAMESPACE, call.subject.request_id, result)
        .map(String::into_bytes)
        .map_err(|error| Error::internal(error.to_string()))
}
