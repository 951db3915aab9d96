//! The query protocol of IAM and STS: form-encoded parameters in, XML out ([`crate::xml`]).

use std::borrow::Cow;

/// Most parameters of one request.
pub const MAX_PARAMETERS: usize = 1024;

/// A query request's parameters, in the order sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query<'a> {
    parameters: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// The parameters cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadQuery {
    /// More than [`MAX_PARAMETERS`].
    TooMany,
    /// A parameter stands twice.
    Duplicate(String),
}

impl<'a> Query<'a> {
    /// Parses a form-encoded body or query string (WHATWG URL, `application/x-www-form-urlencoded`).
    ///
    /// # Errors
    /// [`BadQuery`] for too many parameters, and for one that stands twice: readers that take the first and readers
    /// that take the last would see different requests.
    pub fn parse(form: &'a [u8]) -> Result<Self, BadQuery> {
        let parameters: Vec<_> = form_urlencoded::parse(form).take(MAX_PARAMETERS + 1).collect();
        if parameters.len() > MAX_PARAMETERS {
            return Err(BadQuery::TooMany);
        }
        let mut names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        match names
            .windows(2)
            .find_map(|pair| matches!(pair, [a, b] if a == b).then(|| pair.first().copied()))
        {
            Some(name) => Err(BadQuery::Duplicate(name.unwrap_or_default().to_owned())),
            None => Ok(Self { parameters }),
        }
    }

    /// The value of a parameter.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse(b"Action=GetCallerIdentity&Version=2011-06-15&A=%2B+b").unwrap();
        assert_eq!(query.value("Action"), Some("GetCallerIdentity"));
        assert_eq!(query.value("A"), Some("+ b"));
        assert_eq!(query.value("a"), None);
    }

    #[test]
    fn a_parameter_that_stands_twice_is_refused() {
        assert_eq!(Query::parse(b"Action=A&Action=B"), Err(BadQuery::Duplicate("Action".to_owned())));
        assert_eq!(Query::parse(b"Action=A&%41ction=B"), Err(BadQuery::Duplicate("Action".to_owned())));
        assert_eq!(Query::parse("a&".repeat(MAX_PARAMETERS + 1).as_bytes()), Err(BadQuery::TooMany));
    }
}
