//! Answers of the query protocol.

use quick_xml::se::Serializer;
use serde::Serialize;

#[derive(Serialize)]
struct Metadata<'a> {
    #[serde(rename = "RequestId")]
    request_id: &'a str,
}

#[derive(Serialize)]
struct ErrorDetail<'a> {
    #[serde(rename = "Type")]
    kind: &'a str,
    #[serde(rename = "Code")]
    code: &'a str,
    #[serde(rename = "Message")]
    message: &'a str,
}

#[derive(Serialize)]
struct ErrorEnvelope<'a> {
    #[serde(rename = "@xmlns")]
    namespace: &'a str,
    #[serde(rename = "Error")]
    error: ErrorDetail<'a>,
    #[serde(rename = "RequestId")]
    request_id: &'a str,
}

/// The result of an action: `<ActionResult>..</ActionResult>`.
///
/// # Errors
/// Those of the serializer, for types that have no XML form.
pub fn result<T: Serialize>(action: &str, value: &T) -> Result<String, quick_xml::SeError> {
    // What holds credentials does not grow, which would leave them behind: a session token has 8 KiB at the most.
    let mut body = String::with_capacity(16 * 1024);
    let name = format!("{action}Result");
    value.serialize(Serializer::with_root(&mut body, Some(&name))?)?;
    Ok(body)
}

/// The body of a success: `<ActionResponse>`, the [`result`] where the action has one, `<ResponseMetadata>`.
///
/// # Errors
/// Those of the serializer.
pub fn response(
    action: &str,
    namespace: &str,
    request_id: &str,
    result: &str,
) -> Result<String, quick_xml::SeError> {
    let mut body = String::with_capacity(result.len() + 512);
    body.push_str(&format!("<{action}Response xmlns=\"{namespace}\">"));
    body.push_str(result);
    Metadata { request_id }.serialize(Serializer::with_root(&mut body, Some("ResponseMetadata"))?)?;
    body.push_str(&format!("</{action}Response>"));
    Ok(body)
}

/// The body of an error. Faults of the server have type `Receiver`, all others `Sender`.
///
/// # Errors
/// Those of the serializer.
pub fn error(
    namespace: &str,
    request_id: &str,
    code: &str,
    status: u16,
    message: &str,
) -> Result<String, quick_xml::SeError> {
    let kind = if status >= 500 { "Receiver" } else { "Sender" };
    let envelope = ErrorEnvelope { namespace, error: ErrorDetail { kind, code, message }, request_id };
    let mut body = String::with_capacity(256);
    envelope.serialize(Serializer::with_root(&mut body, Some("ErrorResponse"))?)?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Identity {
        #[serde(rename = "Arn")]
        arn: &'static str,
    }

    #[test]
    fn a_response_has_awss_form() {
        let identity = result("GetCallerIdentity", &Identity { arn: "a<b&c" }).unwrap();
        let body = response("GetCallerIdentity", "https://ns/", "id-1", &identity).unwrap();
        assert_eq!(
            body,
            "<GetCallerIdentityResponse xmlns=\"https://ns/\"><GetCallerIdentityResult><Arn>a&lt;b&amp;c</Arn>\
             </GetCallerIdentityResult><ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata>\
             </GetCallerIdentityResponse>"
        );
    }

    #[derive(Serialize)]
    struct Members {
        member: Vec<Identity>,
    }

    #[derive(Serialize)]
    struct Listed {
        #[serde(rename = "Users")]
        users: Members,
        #[serde(rename = "None")]
        none: Members,
    }

    #[test]
    fn lists_have_members() {
        let users = Members { member: vec![Identity { arn: "a" }, Identity { arn: "b" }] };
        let listed = Listed { users, none: Members { member: Vec::new() } };
        assert_eq!(
            result("L", &listed).unwrap(),
            "<LResult><Users><member><Arn>a</Arn></member><member><Arn>b</Arn></member></Users><None/></LResult>"
        );
        assert_eq!(
            response("D", "https://ns/", "id", "").unwrap(),
            "<DResponse xmlns=\"https://ns/\"><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></DResponse>"
        );
    }

    #[test]
    fn an_error_has_awss_form() {
        let body = error("https://ns/", "id-1", "AccessDenied", 403, "no <b>").unwrap();
        assert_eq!(
            body,
            "<ErrorResponse xmlns=\"https://ns/\"><Error><Type>Sender</Type><Code>AccessDenied</Code>\
             <Message>no &lt;b&gt;</Message></Error><RequestId>id-1</RequestId></ErrorResponse>"
        );
    }
}
