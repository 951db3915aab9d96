//! Generated files. They are committed, and a test fails when one is stale.

use std::path::PathBuf;

use crate::steps::root;

/// A generated file: where it is and what it must hold.
pub(crate) struct Generated {
    pub(crate) path: PathBuf,
    pub(crate) content: String,
}

/// Every generated file.
pub(crate) fn all() -> Result<Vec<Generated>, String> {
    [("kms", "KMS", "of"), ("iam", "IAM", "query"), ("sts", "STS", "query")]
        .into_iter()
        .map(|(folder, name, entry)| operations(folder, name, entry))
        .collect()
}

/// Writes them.
pub(crate) fn write() -> Result<(), String> {
    for file in all()? {
        std::fs::write(&file.path, &file.content)
            .map_err(|error| format!("{}: {error}", file.path.display()))?;
        println!("wrote {}", file.path.display());
    }
    Ok(())
}

/// The table of a service's operations: one entry for each file of its folder. `entry` is the constructor of `Entry`
/// that speaks the service's protocol.
fn operations(service: &str, name: &str, entry: &str) -> Result<Generated, String> {
    let folder = root().join(format!("crates/service/src/{service}/ops"));
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut modules: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
        .collect();
    modules.sort();
    let mut content = format!(
        "//! The operations of {name}: one file each. Generated from this folder by `cargo xtask codegen`; do not \
         edit.\n\nuse crate::operation::Entry;\n\n"
    );
    for module in &modules {
        content.push_str(&format!("pub mod {module};\n"));
    }
    content.push_str("\n/// Every operation that is served, by name.\npub const ALL: &[Entry] = &[\n");
    for module in &modules {
        content.push_str(&format!("    Entry::{entry}::<{module}::{}>(),\n", camel_case(module)));
    }
    content.push_str("];\n");
    Ok(Generated { path: folder.with_extension("rs"), content })
}

/// `list_keys` to `ListKeys`.
fn camel_case(module: &str) -> String {
    let mut upper = true;
    let mut name = String::new();
    for letter in module.chars() {
        match letter {
            '_' => upper = true,
            letter if upper => {
                name.push(letter.to_ascii_uppercase());
                upper = false;
            }
            letter => name.push(letter),
        }
    }
    name
}
