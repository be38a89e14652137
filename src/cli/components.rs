//! `jaquard components`, and the reference pages made of the same text.

use std::fmt::Write as _;

use clap::Args;
use serde_json::Value;

use super::{exit, print};
use crate::config::{nearest, schema_form};
use crate::topology::{TypeReference, all_types};

#[derive(Debug, Args)]
pub(super) struct ComponentsArgs {
    /// A component type, such as `jq` or `file`.
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub(super) fn components(args: &ComponentsArgs) -> anyhow::Result<u8> {
    let all = all_types();
    let Some(name) = &args.name else {
        let mut out = String::new();
        let width = all.iter().map(|reference| reference.name.len()).max().unwrap_or(0);
        for kind in ["source", "transform", "sink"] {
            let _ = writeln!(out, "{kind}s");
            for reference in all.iter().filter(|reference| reference.kind == kind) {
                let _ = writeln!(out, "  {:width$}  {}", reference.name, reference.summary);
            }
        }
        out.push_str("\n`jaquard components NAME` shows the options of one.\n");
        print(&out)?;
        return Ok(exit::DONE);
    };
    let found: Vec<_> = all.iter().filter(|reference| reference.name == name).collect();
    if found.is_empty() {
        let near = nearest(name, all.iter().map(|reference| reference.name));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        eprintln!("error: there is no component type `{name}`{hint}");
        return Ok(exit::USAGE);
    }
    let pages: Vec<_> = found.into_iter().map(page).collect();
    print(&pages.join("\n"))?;
    Ok(exit::DONE)
}

/// The generated reference: file name and Markdown of each page.
pub fn reference_pages() -> Vec<(String, String)> {
    let all = all_types();
    let mut index = String::from(
        "# Reference\n\nMade from the code by `cargo run --example reference`; the gate checks that it is current.\n\n\
         Native jq functions: [functions.md](functions.md).\n\n\
         | type | kind | what it is for |\n|---|---|---|\n",
    );
    let mut pages = vec![("functions.md".to_owned(), super::functions::reference_page())];
    for reference in &all {
        let file = format!("{}_{}.md", reference.kind, reference.name);
        let _ = writeln!(
            index,
            "| [`{}`]({file}) | {} | {} |",
            reference.name, reference.kind, reference.summary
        );
        pages.push((file, page(reference)));
    }
    pages.push(("README.md".to_owned(), index));
    let mut guarantees = String::from(
        "# What each component guarantees\n\nMade from the code, like the [reference](reference/README.md). \
         The argument behind the table is in [delivery.md](delivery.md).\n\n| component | guarantee |\n|---|---|\n",
    );
    for reference in &all {
        let _ = writeln!(guarantees, "| {} `{}` | {} |", reference.kind, reference.name, reference.guarantee);
    }
    pages.push(("../guarantees.md".to_owned(), guarantees));
    pages
}

fn page(reference: &TypeReference) -> String {
    let mut out = format!("# `{}` ({})\n\n{}\n\n", reference.name, reference.kind, reference.summary);
    let _ = writeln!(out, "**Guarantee:** {}\n\n## Options\n", reference.guarantee);
    options(&reference.schema, &reference.schema, "", &mut out);
    let _ = write!(out, "\n## Example\n\n```toml\n{}```\n", reference.example);
    out
}

/// A list of options, and of those of nested tables below them.
fn options(schema: &Value, root: &Value, prefix: &str, out: &mut String) {
    let required: Vec<_> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let description = property["description"].as_str().unwrap_or_default().replace('\n', " ");
        let (form, target) = schema_form(property, root);
        let description = if description.is_empty() {
            target["description"].as_str().unwrap_or_default().replace('\n', " ")
        } else {
            description
        };
        let default = match &property["default"] {
            _ if required.contains(&name.as_str()) => ", required".to_owned(),
            Value::Null | Value::Object(_) => String::new(),
            default => format!(", default `{default}`"),
        };
        let _ = writeln!(out, "- `{prefix}{name}` ({form}{default}): {description}");
        for variant in target["oneOf"].as_array().into_iter().flatten() {
            if let (Some(word), Some(text)) = (variant["const"].as_str(), variant["description"].as_str()) {
                let _ = writeln!(out, "  - `\"{word}\"`: {}", text.replace('\n', " "));
            }
        }
        if target["properties"].is_object() {
            options(target, root, &format!("{prefix}{name}."), out);
        }
    }
}
