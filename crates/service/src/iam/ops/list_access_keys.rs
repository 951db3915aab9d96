//! Lists the access keys of a user, without their secrets, a page at a time.

use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::identity::Kind;
use crate::iam::listing::Cursor;
use crate::iam::shapes::{ExistingUserName, Marker, MaxItems};
use crate::iam::views::AccessKeyMetadata;
use crate::iam::{access_key, load};
use crate::operation::Operation;
use crate::query::Members;

/// The operation.
pub struct ListAccessKeys;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Whose it is; the caller's when absent.
        optional user_name: ExistingUserName = "userName",
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
    access_key_metadata: Members<AccessKeyMetadata>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListAccessKeys {
    const NAME: &'static str = "ListAccessKeys";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        let name = load::user_name(call, request.user_name.as_deref())?;
        let named = (Kind::User, &*name);
        let user = load::identity(service, call, "iam:ListAccessKeys", named, IamAsks::default()).await?;
        let keys = access_key::all(service, &user).await?;
        let cursor = Cursor::read(service, call, &user.id, request.marker.as_ref(), request.max_items)?;
        let page = cursor.page(keys, |key| key.access_key_id.clone());
        Ok(Response {
            access_key_metadata: page.items.into(),
            is_truncated: page.marker.is_some(),
            marker: page.marker,
        })
    }
}
