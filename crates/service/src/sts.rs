//! The Security Token Service: who a caller is, and temporary credentials.

mod credentials;
pub mod ops;
mod role;
mod session;
pub(crate) mod shapes;

use crate::query::Api;

/// The API as the query protocol serves it.
pub static API: Api = Api {
    service: "sts",
    version: "2011-06-15",
    namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
    event_source: "sts.amazonaws.com",
    entries: ops::ALL,
    not_served: NOT_SERVED,
};

/// Actions of STS that this version does not serve. They answer an error that says so.
const NOT_SERVED: &[&str] = &[
    "AssumeRoleWithSAML",
    "AssumeRoot",
    "GetDelegatedAccessToken",
    "GetScopedCredentials",
    "GetWebIdentityToken",
];
