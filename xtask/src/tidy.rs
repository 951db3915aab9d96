//! The repository checks its own shape.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::codegen;
use crate::steps::{cargo, root};

/// Longest source file, tests included, in lines.
const MAX_LINES: usize = 600;
/// Longest function, in lines.
const MAX_FUNCTION: usize = 70;

/// What each crate may use of ours, and what it must never have, directly or through others (ARCHITECTURE.md).
const CRATES: &[(&str, &[&str], &[&str])] = &[
    ("claviger-wire", &[], &["tokio", "hyper", "rustls", "redb", "socket2", "rustix"]),
    ("claviger-policy", &[], &["tokio", "hyper", "rustls", "redb", "aws-lc-rs", "socket2", "rustix"]),
    ("claviger-store", &[], &["tokio", "hyper", "rustls", "http"]),
    ("claviger-hsm-proto", &[], &["tokio", "hyper", "rustls", "aws-lc-rs", "serde_json"]),
    ("claviger-hsm", &["claviger-hsm-proto"], &["tokio", "hyper", "rustls", "redb", "serde_json", "http"]),
    (
        "claviger-service",
        &["claviger-wire", "claviger-policy", "claviger-store", "claviger-hsm-proto"],
        &["hyper", "rustls", "socket2", "mio", "clap", "toml"],
    ),
    (
        "claviger-server",
        &["claviger-service", "claviger-wire", "claviger-store", "claviger-hsm-proto"],
        &["ring", "openssl", "rsa", "native-tls"],
    ),
];

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["crates", "bench", "xtask", "fuzz", "clients"] {
        collect(&root().join(folder), &mut found);
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && name != "corpus" && name != "artifacts" {
            collect(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn generated_files_are_current() {
    for file in codegen::all().unwrap() {
        assert_eq!(read(&file.path), file.content, "{} is stale: cargo xtask codegen", file.path.display());
    }
}

#[test]
fn files_are_short_and_say_what_they_are() {
    for path in sources() {
        let text = read(&path);
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", path.display());
        let first = text.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("//!") || first.starts_with("#!"),
            "{} has no head comment",
            path.display()
        );
    }
}

#[test]
fn functions_fit_a_screen() {
    for path in sources() {
        let text = read(&path);
        let lines: Vec<&str> = text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let trimmed = line.trim_start();
            let is_function = [
                "fn ",
                "pub fn ",
                "pub(crate) fn ",
                "pub(super) fn ",
                "async fn ",
                "pub async fn ",
                "pub(crate) async fn ",
            ]
            .iter()
            .any(|head| trimmed.starts_with(head));
            if !is_function {
                continue;
            }
            let indent = line.strip_suffix(trimmed).unwrap_or_default();
            let closing = format!("{indent}}}");
            let ends = |line: &&str| {
                let rest = line.strip_prefix(indent);
                **line == closing || line.ends_with(';') && rest.is_some_and(|rest| !rest.starts_with(' '))
            };
            let length = lines[start..].iter().position(ends);
            let length = length.unwrap_or_default();
            assert!(length <= MAX_FUNCTION, "{}:{} is {length} lines long", path.display(), start + 1);
        }
    }
}

#[test]
fn modules_are_not_called_mod() {
    for path in sources() {
        assert!(!path.ends_with("mod.rs"), "{}", path.display());
    }
}

#[test]
fn crates_depend_only_on_what_they_may() {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).exec().unwrap();
    for (name, ours, never) in CRATES {
        let package = metadata.packages.iter().find(|package| package.name.as_str() == *name).unwrap();
        for dependency in package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development) {
            let is_ours = dependency.name.starts_with("claviger-");
            assert!(
                !is_ours || ours.contains(&dependency.name.as_str()),
                "{name} may not use {}",
                dependency.name
            );
        }
        let reached = closure(name);
        assert!(reached.contains(*name));
        for forbidden in *never {
            assert!(!reached.contains(*forbidden), "{name} must never have {forbidden}");
        }
    }
}

/// Every package that a package needs to be built and run, development dependencies apart. Resolved for this package
/// alone, so that what others ask of a shared dependency hides nothing and accuses nobody.
fn closure(name: &str) -> BTreeSet<String> {
    let mut tree = cargo(&["tree", "-p", name, "-e", "normal,build", "--prefix", "none", "--format", "{p}"]);
    let output = tree.output().unwrap();
    assert!(output.status.success(), "cargo tree -p {name}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// The sources of a package's library and programs, without their tests.
fn code(manifest: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    collect(&manifest.with_file_name("src"), &mut found);
    found.retain(|path| path.iter().all(|part| part != "tests" && part != "tests.rs"));
    let cut = |path: PathBuf| {
        let text = read(&path);
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
        (path, code)
    };
    found.into_iter().map(cut).collect()
}

/// Whether a text has a word that other letters, digits and underscores do not go on with.
fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|part| part == word)
}

/// What a crate declares, it uses.
#[test]
fn no_dependency_is_declared_in_vain() {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).exec().unwrap();
    // A library may be called otherwise than its package.
    let names = |package: &str| -> Vec<String> {
        let packages = metadata.packages.iter().filter(|found| found.name.as_str() == package);
        let targets = packages.flat_map(|found| &found.targets);
        let targets = targets.filter(|target| target.is_lib() || target.is_proc_macro());
        targets.map(|target| target.name.replace('-', "_")).collect()
    };
    for package in metadata.workspace_packages() {
        let code = code(package.manifest_path.as_std_path());
        for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
            let renamed = dependency.rename.as_ref().map(|name| vec![name.replace('-', "_")]);
            let names = renamed.unwrap_or_else(|| names(&dependency.name));
            let is_used = code.iter().any(|(_, text)| names.iter().any(|name| has_word(text, name)));
            assert!(is_used, "{} does not use {names:?}", package.name);
        }
    }
}

/// The core is pure: addresses are values, all else of the system's files and sockets is the shell's.
#[test]
fn the_core_touches_no_file_and_no_socket() {
    for name in ["wire", "policy", "hsm-proto", "service"] {
        let code = code(&root().join("crates").join(name).join("Cargo.toml"));
        assert!(code.len() > 3, "{name} was not found");
        for (path, text) in code {
            for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let addresses = line.contains("std::net::Ip") || line.contains("std::net::{Ip");
                let touches = ["std::fs", "std::os::unix", "std::process", "TcpStream", "UdpSocket"]
                    .iter()
                    .any(|part| line.contains(part))
                    || line.contains("std::net") && !addresses;
                assert!(!touches, "{}: {line}", path.display());
            }
        }
    }
}

/// Within the service, KMS and STS do not know each other.
#[test]
fn services_do_not_mix() {
    for path in sources() {
        let text = read(&path);
        let shown = path.to_string_lossy().into_owned();
        if shown.contains("service/src/kms") {
            assert!(!text.contains("crate::sts"), "{shown} uses STS");
        }
        if shown.contains("service/src/sts") {
            assert!(!text.contains("crate::kms"), "{shown} uses KMS");
        }
    }
}

/// The names of all tests: functions that are marked as one, and those that pytest collects.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in sources() {
        let mut is_marked = false;
        for line in read(&path).lines().map(str::trim) {
            is_marked |= line == "#[test]" || line.starts_with("#[tokio::test");
            if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_marked && !line.starts_with("//")) {
                names.extend(rest.split_once('(').map(|(name, _)| name.to_owned()));
                is_marked = false;
            }
        }
    }
    for entry in std::fs::read_dir(root().join("clients/python")).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("test_") && name.ends_with(".py") {
            let text = read(&entry.path());
            let defined = text.lines().filter_map(|line| line.strip_prefix("def ")?.split_once('('));
            names.extend(defined.map(|(name, _)| name.to_owned()).filter(|name| name.starts_with("test_")));
        }
    }
    names
}

/// The rows of the threat model: their cells.
fn threats(text: &str) -> Vec<Vec<&str>> {
    let is_head = |line: &str| line.ends_with("| threat | answer | test |");
    let rows = text.lines().filter(|line| line.starts_with("| ") && !is_head(line));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim_matches([' ', '|'])).collect())
        .collect()
}

/// What stands in backticks in a row's last cell.
fn named<'t>(row: &[&'t str]) -> Vec<&'t str> {
    row.last().unwrap().split('`').skip(1).step_by(2).collect()
}

/// Each row of the threat model names a test that exists.
#[test]
fn threats_name_their_tests() {
    let (text, tests) = (read(&root().join("SECURITY.md")), tests());
    let rows = threats(&text);
    for row in &rows {
        assert!(!named(row).is_empty(), "SECURITY.md names no test of {row:?}");
        for test in named(row) {
            assert!(tests.contains(test), "SECURITY.md names `{test}`, which is no test");
        }
    }
    assert!(rows.len() >= 100, "SECURITY.md has {} rows", rows.len());
}

/// Each known attack on who calls, on who may and on grants has a row in the threat model, or a line that says why not;
/// and a row has the number of every test that it names.
#[test]
fn attacks_have_their_rows() {
    let known = [('A', 26), ('B', 30), ('E', 14)];
    let known: BTreeSet<String> =
        known.iter().flat_map(|(list, last)| (1..=*last).map(move |n| format!("{list}{n:02}"))).collect();
    let text = read(&root().join("SECURITY.md"));
    let mut found = BTreeSet::new();
    for row in threats(&text) {
        let attacks: Vec<&str> = if row.len() == 4 { row[0].split(", ").collect() } else { Vec::new() };
        for attack in attacks.iter().filter(|attack| !attack.is_empty()) {
            assert!(known.contains(*attack), "SECURITY.md: {attack} is no attack");
            found.insert((*attack).to_owned());
        }
        for test in named(&row) {
            let number =
                test.trim_start_matches("test_").split('_').next().unwrap_or_default().to_uppercase();
            assert!(
                !known.contains(&number) || attacks.contains(&&*number),
                "SECURITY.md: the row of {test} is not of {number}"
            );
        }
    }
    for line in text.lines().filter_map(|line| line.strip_prefix("- ")) {
        let number = line.split(',').next().unwrap_or_default();
        assert!(known.contains(number), "SECURITY.md: {number} is no attack");
        assert!(found.insert(number.to_owned()), "SECURITY.md: {number} has a row");
    }
    let missing: Vec<&String> = known.difference(&found).collect();
    assert!(missing.is_empty(), "SECURITY.md says nothing of {missing:?}");
}

/// The documents count the operations that there are.
#[test]
fn documents_count_the_operations() {
    let check = |document: &str, service: &str, says: &dyn Fn(usize) -> String| {
        let list = read(&root().join(format!("crates/service/src/{service}/ops.rs")));
        let count = list.lines().filter(|line| line.starts_with("pub mod ")).count();
        let says = says(count);
        assert!(read(&root().join(document)).contains(&says), "{document} does not say: {says}");
    };
    check("docs/api.md", "iam", &|count| format!("| iam: {count} operations |"));
    check("README.md", "kms", &|count| format!("{count} operations of KMS"));
}

/// Keep-a-changelog headings.
#[test]
fn the_changelog_has_its_headings() {
    let text = read(&root().join("CHANGELOG.md"));
    assert!(text.starts_with("# Changelog\n"));
    for heading in text.lines().filter_map(|line| line.strip_prefix("### ")) {
        let known = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
        assert!(known.contains(&heading), "{heading}");
    }
}
