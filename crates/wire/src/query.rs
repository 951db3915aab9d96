//! The query protocol of IAM and STS: form-encoded parameters in, XML out ([`crate::xml`]).

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::json::{MAX_DEPTH, Value};

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
    /// A parameter is a value and a structure at once, or is nested deeper than any shape.
    Shape(String),
    /// A parameter holds a character that no answer of the protocol can carry (XML 1.0 section 2.2, `Char`).
    Character,
}

impl std::fmt::Display for BadQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooMany => write!(f, "a request has at most {MAX_PARAMETERS} parameters"),
            Self::Duplicate(name) => write!(f, "parameter {name} stands more than once"),
            Self::Shape(name) => write!(f, "parameter {name} is at odds with the others"),
            Self::Character => write!(f, "a parameter holds a character that XML does not have"),
        }
    }
}

impl<'a> Query<'a> {
    /// Parses a form-encoded body or query string (WHATWG URL, `application/x-www-form-urlencoded`).
    ///
    /// # Errors
    /// [`BadQuery`] for too many parameters, and for one that stands twice: readers that take the first and readers
    /// that take the last would see different requests. So does one for a character that XML does not have.
    pub fn parse(form: &'a [u8]) -> Result<Self, BadQuery> {
        let parameters: Vec<_> = form_urlencoded::parse(form).take(MAX_PARAMETERS + 1).collect();
        if parameters.len() > MAX_PARAMETERS {
            return Err(BadQuery::TooMany);
        }
        if !parameters.iter().all(|(name, value)| is_xml(name) && is_xml(value)) {
            return Err(BadQuery::Character);
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

    /// The version of the API that a form names first, whether or not it can be used otherwise.
    pub fn version_of(form: &'a [u8]) -> Option<Cow<'a, str>> {
        let mut parameters = form_urlencoded::parse(form).take(MAX_PARAMETERS);
        parameters.find_map(|(name, value)| (name == "Version").then_some(value))
    }

    /// The value of a parameter.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// The members of the request as a tree: `Tags.member.1.Key` is the key of the first element of the list `Tags`.
    /// What names the operation and what signs the request are no members.
    ///
    /// # Errors
    /// [`BadQuery::Shape`].
    pub fn into_tree(self) -> Result<Value<'a>, BadQuery> {
        let mut root = BTreeMap::new();
        for (name, value) in self.parameters {
            if matches!(&*name, "Action" | "Version") || name.starts_with("X-Amz-") {
                continue;
            }
            insert(&mut root, &name, value, 0).map_err(|()| BadQuery::Shape(name.into_owned()))?;
        }
        Ok(object(root))
    }
}

fn is_xml(text: &str) -> bool {
    let has = |char| matches!(char, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars().all(has)
}

/// A value, or what stands below a name.
enum Node<'a> {
    Leaf(Cow<'a, str>),
    Branch(BTreeMap<String, Node<'a>>),
}

fn insert<'a>(
    children: &mut BTreeMap<String, Node<'a>>,
    name: &str,
    value: Cow<'a, str>,
    depth: usize,
) -> Result<(), ()> {
    if depth >= MAX_DEPTH {
        return Err(());
    }
    match name.split_once('.') {
        None => match children.insert(name.to_owned(), Node::Leaf(value)) {
            None => Ok(()),
            Some(_) => Err(()),
        },
        Some((head, rest)) => {
            let child = children.entry(head.to_owned()).or_insert_with(|| Node::Branch(BTreeMap::new()));
            match child {
                Node::Branch(children) => insert(children, rest, value, depth + 1),
                Node::Leaf(_) => Err(()),
            }
        }
    }
}

fn object(children: BTreeMap<String, Node<'_>>) -> Value<'_> {
    Value::Object(children.into_iter().map(|(name, node)| (Cow::Owned(name), value(node))).collect())
}

fn value(node: Node<'_>) -> Value<'_> {
    match node {
        Node::Leaf(text) => Value::String(text),
        Node::Branch(children) => match list(children) {
            Ok(elements) => Value::Array(elements),
            Err(children) => object(children),
        },
    }
}

/// The elements of what has `member.1`, `member.2`.. below it, by rising number; anything else comes back as it is.
fn list(mut children: BTreeMap<String, Node<'_>>) -> Result<Vec<Value<'_>>, BTreeMap<String, Node<'_>>> {
    let is_list = |node: &Node<'_>| match node {
        Node::Branch(elements) => elements.keys().all(|place| index(place).is_some()),
        Node::Leaf(_) => false,
    };
    if children.len() != 1 || !children.get("member").is_some_and(is_list) {
        return Err(children);
    }
    let Some(Node::Branch(elements)) = children.remove("member") else { return Err(children) };
    let mut elements: Vec<_> = elements.into_iter().map(|(place, node)| (index(&place), node)).collect();
    elements.sort_by_key(|(place, _)| *place);
    Ok(elements.into_iter().map(|(_, node)| value(node)).collect())
}

/// The number of an element, in its one spelling.
fn index(place: &str) -> Option<u16> {
    let number: u16 = place.parse().ok()?;
    (number > 0 && number.to_string() == place).then_some(number)
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

    fn tree(form: &str) -> Result<String, BadQuery> {
        Query::parse(form.as_bytes()).unwrap().into_tree().map(|tree| format!("{tree:?}"))
    }

    #[test]
    fn names_make_a_tree() {
        let form = "Action=A&Version=1&X-Amz-Date=d&Name=n&Tags.member.10.Key=j&Tags.member.2.Key=b&Tags.member.2.Value=%26\
                    &Empty=&S.x=1";
        assert_eq!(
            tree(form).unwrap(),
            r#"Object([("Empty", String("")), ("Name", String("n")), ("S", Object([("x", String("1"))])), "#
                .to_owned()
                + r#"("Tags", Array([Object([("Key", String("b")), ("Value", String("&"))]), "#
                + r#"Object([("Key", String("j"))])]))])"#
        );
    }

    #[test]
    fn trees_that_contradict_themselves_are_refused() {
        for form in ["A=1&A.b=2", "A.b=2&A=1", "A.b=1&A.b.c=2"] {
            assert!(matches!(tree(form), Err(BadQuery::Shape(_))), "{form}");
        }
        assert!(matches!(tree(&format!("{}x=1", "a.".repeat(MAX_DEPTH))), Err(BadQuery::Shape(_))));
        // Two spellings of one place make no list, so nothing that wants a list takes it.
        assert!(tree("L.member.1=a&L.member.01=b").unwrap().contains(r#"("L", Object"#));
        assert!(tree("L.member.0=a").unwrap().contains(r#"("L", Object"#));
    }

    #[test]
    fn a_parameter_that_stands_twice_is_refused() {
        assert_eq!(Query::parse(b"Action=A&Action=B"), Err(BadQuery::Duplicate("Action".to_owned())));
        assert_eq!(Query::parse(b"Action=A&%41ction=B"), Err(BadQuery::Duplicate("Action".to_owned())));
        assert_eq!(Query::parse("a&".repeat(MAX_PARAMETERS + 1).as_bytes()), Err(BadQuery::TooMany));
    }

    /// Attack I5, in XML: what an answer could not carry does not come in.
    #[test]
    fn i05_characters_that_xml_does_not_have_are_refused() {
        for char in ['\0', '\u{1}', '\u{8}', '\u{b}', '\u{1f}', '\u{fffe}', '\u{ffff}'] {
            for form in [format!("A=a{char}"), format!("A{char}=a")] {
                assert_eq!(Query::parse(form.as_bytes()), Err(BadQuery::Character), "{form:?}");
            }
        }
        assert_eq!(Query::parse(b"A=%01"), Err(BadQuery::Character));
        for char in
            ['\t', '\n', '\r', ' ', '\u{7f}', '\u{85}', '\u{d7ff}', '\u{e000}', '\u{fffd}', '\u{10ffff}']
        {
            assert!(Query::parse(format!("A{char}=a{char}").as_bytes()).is_ok(), "{char:?}");
        }
    }
}
