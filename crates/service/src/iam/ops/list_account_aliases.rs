//! Lists the account's alias: none, as accounts have no aliases here.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::listing::Cursor;
use crate::iam::shapes::{Marker, MaxItems};
use crate::operation::Operation;
use crate::query::{Members, Nothing};

/// The operation.
pub struct ListAccountAliases;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Where the list goes on.
        optional marker: Marker = "marker",
        /// Most entries of a page: 100 when absent.
        optional max_items: MaxItems = "maxItems",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    account_aliases: Members<Nothing>,
    is_truncated: bool,
}

impl Operation for ListAccountAliases {
    const NAME: &'static str = "ListAccountAliases";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        call.authorize_iam("iam:ListAccountAliases", "*", IamAsks::default())?;
        Cursor::read(service, call, "account", request.marker.as_ref(), request.max_items)?;
        Ok(Response { account_aliases: Members::default(), is_truncated: false })
    }
}
