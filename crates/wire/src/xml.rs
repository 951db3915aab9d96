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

/// The body of a success: `<ActionResponse><ActionResult>..</ActionResult><ResponseMetadata>..</ActionResponse>`.
///
/// # Errors
/// Those of the serializer, for types that have no XML form.
pub fn response<T: Serialize>(
    action: &str,
    namespace: &str,
    request_id: &str,
    result: &T,
) -> Result<String, quick_xml::SeError> {
    let mut body = String::with_capacity(512);
    body.push_str(&format!("<{action}Response xmlns=\"{namespace}\">"));
    let result_name = format!("{action}Result");
    result.serialize(Serializer::with_root(&mut body, Some(&result_name))?)?;
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
        let body = response("GetCallerIdentity", "https://ns/", "id-1", &Identity { arn: "a<b&c" }).unwrap();
        assert_eq!(
            body,
            "<GetCallerIdentityResponse xmlns=\"https://ns/\"><GetCallerIdentityResult><Arn>a&lt;b&amp;c</Arn>\
             </GetCallerIdentityResult><ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata>\
             </GetCallerIdentityResponse>"
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
