//! A page for each program in `transforms/`: what its header says, which event becomes which class,
//! and where each field goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{Error, Result};
use std::path::Path;

use jaquard::event::{Derivation, Meta, Origin, Place, TextHash};
use jaquard::jq::{self, Json, Limits, Runner};
use serde_json::{Value, json};

/// Shapes in the order in which they are listed.
const SHAPES: [(&str, &str); 3] = [("ocsf", "OCSF"), ("oscf", "OSCF envelope"), ("flat", "flat row")];

/// A mapping of the repository.
struct Mapping {
    vendor: String,
    stream: String,
    shape: usize,
}

impl Mapping {
    /// Path of the program below `transforms/`, without its ending.
    fn stem(&self) -> String {
        format!("{}/{}.{}", self.vendor, self.stream, SHAPES[self.shape].0)
    }
}

/// Name and text of each page.
pub(super) fn pages(root: &Path) -> Result<Vec<(String, String)>> {
    let transforms = root.join("transforms");
    let mut mappings = Vec::new();
    for vendor in names(&transforms)? {
        for file in names(&transforms.join(&vendor))? {
            let Some(stem) = file.strip_suffix(".jq") else { continue };
            for (shape, (ending, _)) in SHAPES.iter().enumerate() {
                if let Some(stream) = stem.strip_suffix(&format!(".{ending}")) {
                    mappings.push(Mapping { vendor: vendor.clone(), stream: stream.to_owned(), shape });
                }
            }
        }
    }
    mappings.sort_by(|a, b| (&a.vendor, &a.stream, a.shape).cmp(&(&b.vendor, &b.stream, b.shape)));
    let mut pages = vec![("README.md".to_owned(), index(&mappings))];
    for mapping in &mappings {
        pages.push((format!("{}.md", mapping.stem()), page(&transforms, mapping)?));
    }
    Ok(pages)
}

/// Names in a folder; none if it is a file.
fn names(folder: &Path) -> Result<BTreeSet<String>> {
    if !folder.is_dir() {
        return Ok(BTreeSet::new());
    }
    let entries = std::fs::read_dir(folder)?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn index(mappings: &[Mapping]) -> String {
    let mut text = String::from(
        "# Mappings\n\nMade from the programs in [`transforms`](../../transforms) and their samples by \
         `cargo run --example reference`;\nthe gate checks that these pages are current. \
         [docs/mapping.md](../mapping.md) tells how to write one.\n\n| stream | OCSF | OSCF envelope | flat row |\n|---|---|---|---|\n",
    );
    let mut rows: BTreeMap<String, [String; 3]> = BTreeMap::new();
    for mapping in mappings {
        let row = rows.entry(format!("{} {}", mapping.vendor, mapping.stream)).or_default();
        row[mapping.shape] = format!("[fields]({}.md)", mapping.stem());
    }
    for (stream, cells) in rows {
        let _ = writeln!(text, "| {stream} | {} |", cells.join(" | "));
    }
    text
}

fn page(transforms: &Path, mapping: &Mapping) -> Result<String> {
    let stem = mapping.stem();
    let program = std::fs::read_to_string(transforms.join(format!("{stem}.jq")))?;
    let mut text = format!(
        "# {} {}: {}\n\n[`transforms/{stem}.jq`](../../../transforms/{stem}.jq), tested by\n\
         [`{stem}.test.toml`](../../../transforms/{stem}.test.toml).\n\n```text\n",
        mapping.vendor, mapping.stream, SHAPES[mapping.shape].1
    );
    for line in program.lines().take_while(|line| line.starts_with('#')) {
        text += line.trim_start_matches('#').strip_prefix(' ').unwrap_or_default();
        text.push('\n');
    }
    text += "```\n";
    if SHAPES[mapping.shape].0 == "ocsf" {
        text += &classes(transforms, mapping, &program)?;
    }
    text += &fields(transforms, &stem)?;
    Ok(text)
}

/// Which events of the samples become which class, by version.
fn classes(transforms: &Path, mapping: &Mapping, program: &str) -> Result<String> {
    let folder = transforms.join(&mapping.vendor);
    let samples = folder.join("samples").join(format!("{}.ndjson", mapping.stream));
    let samples = std::fs::read_to_string(samples)?;
    let mut rows: BTreeMap<[String; 2], BTreeSet<String>> = BTreeMap::new();
    for sample in samples.lines() {
        let class = |version: &str| class(&folder, program, sample, version);
        let ((new, event), (old, _)) = (class("1.9.0")?, class("1.8.0")?);
        rows.entry([old, new]).or_default().insert(event);
    }
    let mut text = String::from(
        "\n## Classes\n\nOf the events in the samples; other events take the class of their family.\n\n\
         | OCSF 1.8.0 | OCSF 1.9.0 | events |\n|---|---|---|\n",
    );
    for ([old, new], events) in rows {
        let events: Vec<_> =
            events.iter().filter(|event| !event.is_empty()).map(|event| format!("`{event}`")).collect();
        let events = if events.is_empty() { "all".to_owned() } else { events.join(", ") };
        let _ = writeln!(text, "| {old} | {new} | {events} |");
    }
    Ok(text)
}

/// The class and activity of what a sample becomes, and the type of the event.
fn class(folder: &Path, program: &str, sample: &str, version: &str) -> Result<(String, String)> {
    let other = |error: String| Error::other(format!("{error} in {sample}"));
    jq::with_stack(|| {
        let program = jq::compile(program, folder, &[])
            .map_err(|errors| other(errors.iter().map(|error| error.message.clone()).collect()))?;
        let mut runner = Runner::new(program, &json!({ "ocsf_version": version }), Limits::default());
        let mut outputs = Vec::new();
        let mut event =
            Json::parse(sample.to_owned().into(), 512).map_err(|error| other(error.to_string()))?;
        let mut failure = None;
        let origin = origin();
        let meta = Meta {
            origin: &origin,
            offset: 0,
            text_hash: TextHash::Known(0),
            derivation: Derivation::default(),
        };
        runner
            .run(&mut event, Some(&meta), &mut |output| {
                match output.to_tree() {
                    Ok(tree) => outputs.push(tree),
                    Err(error) => failure = Some(error.to_string()),
                }
                true
            })
            .map_err(|error| other(error.to_string()))?;
        if let Some(error) = failure {
            return Err(other(error));
        }
        let shown = |output: &Value| {
            let text = |name: &str| output[name].as_str().unwrap_or_default().to_owned();
            // with 99 the name is the source's own word
            let activity =
                if output["activity_id"] == 99 { "Other".to_owned() } else { text("activity_name") };
            format!("{} {}: {activity}", output["class_uid"], text("class_name"))
        };
        let classes: Vec<_> = outputs.iter().map(shown).collect();
        let event = outputs.first().and_then(|output| output["metadata"]["event_code"].as_str());
        Ok((classes.join("<br>"), event.unwrap_or_default().to_owned()))
    })
}

/// What samples are said to come from: an API, at some time.
fn origin() -> Origin {
    let at = chrono::DateTime::UNIX_EPOCH;
    let place = Place::Polled { stream: "".into(), partition: "".into(), fetched_at: at, sequence: None };
    Origin { source: "sample".into(), place, ingested_at: at }
}

/// Where each field goes, by version if it depends on that.
fn fields(transforms: &Path, stem: &str) -> Result<String> {
    let mut text = String::from(
        "\n## Fields\n\nFound by replacing each value of each sample by one of its own kind, and looking where it \
         arrives. `~` is a place that changes\nwith it, where the value itself is not found.\n\n",
    );
    let mut tables: Vec<_> = ["", ".1.8.0", ".1.9.0"]
        .into_iter()
        .filter_map(|version| {
            let table =
                std::fs::read_to_string(transforms.join(format!("{stem}{version}.fields.tsv"))).ok()?;
            let title =
                version.strip_prefix('.').map_or("target".to_owned(), |version| format!("OCSF {version}"));
            Some((title, rows(&table)))
        })
        .collect();
    if tables.is_empty() {
        return Err(Error::other(format!("transforms/{stem} has no table of fields")));
    }
    if let [(_, old), (_, new)] = &tables[..]
        && old == new
    {
        tables.truncate(1);
        "target, in both versions".clone_into(&mut tables[0].0);
    }
    let titles: Vec<_> = tables.iter().map(|(title, _)| title.as_str()).collect();
    let _ = writeln!(text, "| source | {} |\n|---{}|", titles.join(" | "), "|---".repeat(titles.len()));
    let sources: BTreeSet<_> = tables.iter().flat_map(|(_, rows)| rows.keys()).collect();
    for source in sources {
        let cells: Vec<_> =
            tables.iter().map(|(_, rows)| rows.get(source).map_or("", String::as_str)).collect();
        let _ = writeln!(text, "| `{source}` | {} |", cells.join(" | "));
    }
    Ok(text)
}

/// Source and targets of each row, the targets as they are shown.
fn rows(table: &str) -> BTreeMap<String, String> {
    let row = |line: &str| {
        let (source, targets) = line.split_once('\t').unwrap_or((line, ""));
        let targets: Vec<_> = targets.split(", ").map(|target| format!("`{target}`")).collect();
        (source.to_owned(), targets.join("<br>"))
    };
    table.lines().map(row).collect()
}
