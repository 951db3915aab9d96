//! AWS's own description of KMS: the service model that botocore ships. Never copied into the repository.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::world::base64;

/// The model.
#[derive(Deserialize)]
pub(crate) struct Model {
    operations: BTreeMap<String, Operation>,
    shapes: BTreeMap<String, Shape>,
}

#[derive(Deserialize)]
struct Operation {
    input: Option<Reference>,
    output: Option<Reference>,
    #[serde(default)]
    errors: Vec<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    shape: String,
}

/// A shape with its constraints.
#[derive(Deserialize)]
pub(crate) struct Shape {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) min: Option<usize>,
    pub(crate) max: Option<usize>,
    pub(crate) pattern: Option<String>,
    #[serde(rename = "enum", default)]
    pub(crate) choices: Vec<String>,
    #[serde(default)]
    required: Vec<String>,
    #[serde(default)]
    members: BTreeMap<String, Reference>,
    member: Option<Reference>,
    value: Option<Reference>,
}

/// A place in a body.
pub(crate) struct Place<'m> {
    /// JSON pointer (RFC 6901).
    pub(crate) pointer: String,
    /// As AWS writes it in messages: `tags.1.member.tagKey`.
    pub(crate) path: String,
    /// Name of the shape.
    pub(crate) name: &'m str,
    pub(crate) shape: &'m Shape,
    /// Whether the structure around it requires it.
    pub(crate) required: bool,
}

/// Where the packages of the Python environment keep the models.
const IN_PACKAGES: &str = "site-packages/botocore/data";
/// Service and version of KMS, as its folder there is called.
const KMS: &str = "kms/2014-11-01";

/// The file: named by the environment, or in the virtual environment that the test command makes.
fn find(service: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "a test may be told where the model is")]
    let named = std::env::var_os("BOTOCORE_KMS_MODEL");
    if let Some(named) = named.filter(|_| service == KMS) {
        return Some(PathBuf::from(named));
    }
    let libraries = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/lib");
    let pythons = fs::read_dir(libraries)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join(IN_PACKAGES).join(service)));
    let files =
        pythons.flat_map(|folder| ["service-2.json", "service-2.json.gz"].map(|name| folder.join(name)));
    files.into_iter().find(|file| file.exists())
}

impl Model {
    /// Reads the installed model of KMS.
    pub(crate) fn installed() -> Self {
        Self::installed_of(KMS)
    }

    /// Reads the installed model of a service, such as `iam/2010-05-08`.
    pub(crate) fn installed_of(service: &str) -> Self {
        let file = find(service).unwrap_or_else(|| {
            panic!("AWS's service model is not installed; `cargo xtask test` installs it")
        });
        let bytes = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut text = Vec::new();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            flate2::read::GzDecoder::new(&*bytes).read_to_end(&mut text).unwrap();
        } else {
            text = bytes;
        }
        serde_json::from_slice(&text).unwrap()
    }

    /// Names of all operations.
    pub(crate) fn operations(&self) -> impl Iterator<Item = &str> {
        self.operations.keys().map(String::as_str)
    }

    /// Name of an operation's output shape, where it has one.
    pub(crate) fn output(&self, operation: &str) -> Option<&str> {
        self.operations[operation].output.as_ref().map(|output| &*output.shape)
    }

    /// Whether an operation declares an exception.
    pub(crate) fn declares(&self, operation: &str, exception: &str) -> bool {
        self.operations[operation].errors.iter().any(|error| error.shape == exception)
    }

    /// A shape by its name.
    pub(crate) fn shape(&self, name: &str) -> &Shape {
        &self.shapes[name]
    }

    /// A body of an operation with every member that there is, each as short as it may be; or with those only that are
    /// required.
    pub(crate) fn body(&self, operation: &str, full: bool) -> Value {
        let input = self.operations[operation].input.as_ref();
        input.map_or_else(|| json!({}), |input| self.sample(&input.shape, full))
    }

    fn sample(&self, name: &str, full: bool) -> Value {
        let shape = self.shape(name);
        let length = shape.min.unwrap_or(0).max(1);
        match &*shape.kind {
            "string" => {
                let shortest = length.max(shortest(name));
                shape.choices.first().map_or_else(|| json!(text(name, shortest)), |choice| json!(choice))
            }
            "blob" => json!(base64(&vec![7; length])),
            "integer" => json!(shape.min),
            "boolean" => json!(true),
            "timestamp" => json!(1_800_000_000),
            "list" => (0..length).map(|_| self.sample(shape.element(), full)).collect(),
            "map" => json!({"a": self.sample(shape.element(), full)}),
            "structure" => {
                let wanted = |member: &str| full || shape.required.iter().any(|required| required == member);
                let members = shape.members.iter().filter(|(member, _)| wanted(member));
                members
                    .map(|(member, of)| (member.clone(), self.sample(&of.shape, full)))
                    .collect::<Map<_, _>>()
                    .into()
            }
            other => panic!("{name} is a {other}, which the test does not know"),
        }
    }

    /// Every value of an enumeration.
    pub(crate) fn choices(&self, name: &str) -> impl Iterator<Item = &str> {
        self.shapes[name].choices.iter().map(String::as_str)
    }

    /// Every place of an operation's full body.
    pub(crate) fn places(&self, operation: &str) -> Vec<Place<'_>> {
        let Some(input) = &self.operations[operation].input else { return Vec::new() };
        let input = &*input.shape;
        let root = Place {
            pointer: String::new(),
            path: String::new(),
            name: input,
            shape: self.shape(input),
            required: false,
        };
        let mut places = vec![root];
        let mut next = 0;
        while next < places.len() {
            let found = self.inside(&places[next]);
            places.extend(found);
            next += 1;
        }
        places.split_off(1)
    }

    fn inside(&self, place: &Place<'_>) -> Vec<Place<'_>> {
        let dot = if place.path.is_empty() { "" } else { "." };
        let Place { pointer, path, name, .. } = place;
        let shape = &self.shapes[*name];
        let members = shape.members.iter().map(|(member, of)| Place {
            pointer: format!("{pointer}/{member}"),
            path: format!("{path}{dot}{}", lower_first(member)),
            name: &of.shape,
            shape: self.shape(&of.shape),
            required: shape.required.contains(member),
        });
        let elements = shape.member.iter().map(|of| Place {
            pointer: format!("{pointer}/0"),
            path: format!("{path}.1.member"),
            name: &of.shape,
            shape: self.shape(&of.shape),
            required: false,
        });
        members.chain(elements).collect()
    }

    /// Compares an answer with its shape; gives every member that stands in it, as `Shape.Member`.
    pub(crate) fn check_answer(&self, name: &str, answer: &Value, present: &mut Vec<String>) {
        let shape = self.shape(name);
        let fits = match &*shape.kind {
            // AWS puts the specs that came after this enumeration into it all the same.
            "string" if name == "CustomerMasterKeySpec" => {
                self.choices("KeySpec").any(|choice| answer == choice)
            }
            "string" => answer.as_str().is_some_and(|text| {
                shape.choices.is_empty() || shape.choices.iter().any(|choice| choice == text)
            }),
            "blob" => answer.as_str().is_some_and(|text| base64_simd::STANDARD.decode_to_vec(text).is_ok()),
            "integer" => answer.is_i64(),
            "boolean" => answer.is_boolean(),
            "timestamp" => answer.is_number(),
            "list" => answer.is_array(),
            "structure" | "map" => answer.is_object(),
            other => panic!("{name} is a {other}, which the test does not know"),
        };
        assert!(fits, "{answer} is no {name}");
        for element in answer.as_array().into_iter().flatten() {
            self.check_answer(shape.element(), element, present);
        }
        for (member, value) in answer.as_object().into_iter().flatten() {
            if shape.kind == "map" {
                self.check_answer(shape.element(), value, present);
                continue;
            }
            let of = shape.members.get(member).unwrap_or_else(|| panic!("{name} has no member {member}"));
            present.push(format!("{name}.{member}"));
            self.check_answer(&of.shape, value, present);
        }
    }

    /// Every member that an answer of this shape may have, as `Shape.Member`.
    pub(crate) fn members_of_answer(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![name];
        while let Some(name) = open.pop() {
            let shape = self.shape(name);
            for (member, of) in &shape.members {
                found.push(format!("{name}.{member}"));
                open.push(&of.shape);
            }
            open.extend(shape.member.iter().map(|of| &*of.shape));
        }
        found
    }
}

impl Shape {
    /// Name of the shape of a list's elements or a map's values.
    fn element(&self) -> &str {
        self.member.as_ref().or(self.value.as_ref()).map(|of| &*of.shape).unwrap()
    }
}

/// The ARN of a resource without its last part.
const SOURCE: &str = "arn:aws:a::111122223333:";

/// Length of the shortest text of a shape whose pattern asks for more than its least length.
pub(crate) fn shortest(name: &str) -> usize {
    match name {
        "RegionType" => "a-a-1".len(),
        "ServicePrincipalType" => "a.a.a".len(),
        "GrantConstraintSourceArnType" => SOURCE.len() + 1,
        _ => 0,
    }
}

/// A text of a shape, so long; one that fits its pattern where there is one of that length.
pub(crate) fn text(name: &str, length: usize) -> String {
    match length.checked_sub(4) {
        Some(digits @ 1..) if name == "RegionType" => format!("a-a-{}", "1".repeat(digits)),
        Some(letters @ 1..) if name == "ServicePrincipalType" => format!("a.a.{}", "a".repeat(letters)),
        Some(_) if name == "GrantConstraintSourceArnType" && length > SOURCE.len() => {
            format!("{SOURCE}{}", "a".repeat(length - SOURCE.len()))
        }
        _ => "a".repeat(length),
    }
}

/// With a small first letter, as messages name members.
pub(crate) fn lower_first(member: &str) -> String {
    let (first, rest) = member.split_at(1);
    first.to_lowercase() + rest
}
