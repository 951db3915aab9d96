//! What an operation is, and the table entry that dispatch finds it by.

use std::any::TypeId;
use std::future::Future;
use std::sync::Arc;

use claviger_wire::codec::{self, Member, Refusal};
use claviger_wire::json::Value;
use claviger_wire::xml;
use serde::Serialize;

use crate::cleared::Cleared;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::aws_managed;
use crate::{BoxFuture, Call};

/// How the callers of an operation say who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// By a signature with their secret access key.
    Signature,
    /// By the token of an identity provider, in the request. It is not signed.
    WebIdentity,
}

/// One operation of the API. Each lives in a file of its own, named after it.
pub trait Operation: 'static {
    /// Name as AWS spells it.
    const NAME: &'static str;
    /// Whether CloudTrail calls it read-only. All cryptographic operations are.
    const READ_ONLY: bool;
    /// Who may call it.
    const AUTHENTICATION: Authentication = Authentication::Signature;
    /// What it takes. Its `Serialize` is what the audit trail shows.
    type Request: Member + Serialize + Send + Sync;
    /// What it answers. `()` answers an empty body.
    type Response: Serialize + Send + 'static;

    /// Carries it out. Must ask `call` for a decision before anything else that depends on the caller; dispatch
    /// refuses to answer for a call that recorded none.
    ///
    /// May run more than once for one call, when a record changed between being read and being written.
    fn run(
        service: &Service,
        call: &mut Call<'_>,
        request: &mut Self::Request,
    ) -> impl Future<Output = Result<Self::Response>> + Send;
}

/// Decodes a body, runs an operation, and encodes its answer.
type Run = for<'a> fn(&'a Service, &'a mut Call<'_>, &'a Value<'_>) -> BoxFuture<'a, Result<Vec<u8>>>;

/// A row of the table of operations.
#[derive(Clone, Copy)]
pub struct Entry {
    /// [`Operation::NAME`].
    pub name: &'static str,
    /// [`Operation::READ_ONLY`].
    pub read_only: bool,
    /// [`Operation::AUTHENTICATION`].
    pub authentication: Authentication,
    /// Decodes, runs and encodes.
    pub(crate) run: Run,
    /// Decodes only; answers the members that no shape knows. For the model oracle.
    pub decode: fn(&Value<'_>) -> Result<Vec<String>, Refusal>,
}

/// How often a call whose records change under it is decided anew before the caller is told to try again.
const MAX_ATTEMPTS: usize = 16;

impl Entry {
    /// The entry of an operation of the query protocol: its answer is the element of its result.
    pub const fn query<O: Operation>() -> Self {
        Self { run: |service, call, body| Box::pin(run_query::<O>(service, call, body)), ..Self::of::<O>() }
    }

    /// The entry of an operation.
    pub const fn of<O: Operation>() -> Self {
        Self {
            name: O::NAME,
            read_only: O::READ_ONLY,
            authentication: O::AUTHENTICATION,
            run: |service, call, body| Box::pin(run::<O>(service, call, body)),
            decode: |body| codec::decode_noting::<O::Request>(body).map(|(_, unknown)| unknown),
        }
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

async fn run<O: Operation>(service: &Service, call: &mut Call<'_>, body: &Value<'_>) -> Result<Vec<u8>> {
    let response = answer::<O>(service, call, body).await?;
    let mut body = Cleared::new();
    serde_json::to_writer(&mut body, &response).map_err(|error| Error::internal(error.to_string()))?;
    let body = body.take();
    // The unit type, for operations without an output shape, serializes to `null`; AWS answers nothing at all.
    Ok(if body == b"null" { Vec::new() } else { body })
}

async fn run_query<O: Operation>(
    service: &Service,
    call: &mut Call<'_>,
    body: &Value<'_>,
) -> Result<Vec<u8>> {
    let response = answer::<O>(service, call, body).await?;
    // The unit type is for operations without an output shape; an empty shape has an empty result.
    if TypeId::of::<O::Response>() == TypeId::of::<()>() {
        return Ok(Vec::new());
    }
    let result = xml::result(O::NAME, &response).map_err(|error| Error::internal(error.to_string()))?;
    Ok(result.into_bytes())
}

async fn answer<O: Operation>(
    service: &Service,
    call: &mut Call<'_>,
    body: &Value<'_>,
) -> Result<O::Response> {
    let mut request: O::Request =
        if call.is_of_iam() { codec::decode_silently(body)? } else { codec::decode(body)? };
    if call.is_long() {
        call.make_room(service, &request)?;
    } else if !O::READ_ONLY {
        call.set_parameters(&request)?;
    }
    let mut attempt = 1;
    let outcome = loop {
        let outcome = O::run(service, call, &mut request).await;
        let again = match &outcome {
            Err(error) if error.conflict && call.wanted.is_none() => true,
            outcome => aws_managed::make_wanted(service, call, outcome.as_ref().err()).await?,
        };
        if !again || attempt == MAX_ATTEMPTS {
            break outcome;
        }
        attempt += 1;
        if call.turn.is_none() {
            // Whose records they are that others change as well: those of the key that it is about, or the caller's.
            let owner = call.draft.resources.first().map(|key| Arc::clone(&key.account_id));
            let account = owner.as_deref().unwrap_or_else(|| call.caller().account());
            call.turn = Some(service.installation.turns.at(account).await);
        }
        call.start_over();
        service.installation.cache.freshen().await?;
        if !call.caller().stands(service).await? {
            // One who changes all the time keeps no other account waiting.
            call.turn.take_if(|turn| !turn.is_at(call.subject.caller.account()));
            return Err(Error::caller_changed());
        }
    };
    call.turn = None;
    if O::READ_ONLY {
        call.set_parameters(&request)?;
    }
    // Credentials that are given out change nothing, and outlive what gave them: so that is looked at once more.
    if call.gives_credentials && outcome.is_ok() && call.committed.is_none() {
        service.installation.cache.freshen().await?;
        if !call.stands(service).await? {
            return Err(Error::caller_changed());
        }
    }
    outcome
}
