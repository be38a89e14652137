//! `jaquard state`.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Map, Value};

use super::{exit, load_all, print};
use crate::config::OutsideMode;
use crate::state::{Change, DataDir, Store};
use crate::topology::{NodeKind, default_data_dir};

#[derive(Debug, Args)]
pub(super) struct StateArgs {
    /// The pipeline file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Forget the rows of these components; of all sources if none is named.
    #[arg(long, num_args = 0.., value_name = "NAME", conflicts_with = "set")]
    reset: Option<Vec<String>>,
    /// Replace the rows of the components in this JSON file (`-`: standard input), in the form that
    /// this command prints.
    #[arg(long, value_name = "JSON")]
    set: Option<PathBuf>,
}

/// Component, key, value.
type Rows = BTreeMap<String, Map<String, Value>>;

pub(super) fn state(args: &StateArgs) -> anyhow::Result<u8> {
    let files = [args.file.clone()];
    let pipelines = match load_all(&files, OutsideMode::AllowMissing, false) {
        Ok(pipelines) => pipelines,
        Err(code) => return Ok(code),
    };
    let Some(pipeline) = pipelines.into_iter().next() else { return Ok(exit::CONFIG) };
    if let Some(names) = &args.reset {
        let view = pipeline.graph();
        let is_known = |name: &&String| view.nodes.iter().any(|(known, ..)| known == *name);
        if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
            eprintln!("error: there is no component `{unknown}` in {}", args.file.display());
            return Ok(exit::USAGE);
        }
    }
    let data_dir = pipeline.data_dir.clone().unwrap_or_else(|| default_data_dir(&pipeline.file.path));
    if !data_dir.is_dir() {
        eprintln!("{} has no state yet: {} is not there", args.file.display(), data_dir.display());
        return print("{}\n").map(|()| exit::DONE);
    }
    let locked = match DataDir::lock(&data_dir, &args.file) {
        Ok(locked) => locked,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(exit::IO);
        }
    };
    let store = Store::open(locked.path())?;
    let rows = read(&store)?;

    if let Some(names) = &args.reset {
        let view = pipeline.graph();
        let names: Vec<String> = if names.is_empty() {
            let sources = view.nodes.iter().filter(|(_, kind, _)| *kind == NodeKind::Source);
            sources.map(|(name, ..)| name.clone()).collect()
        } else {
            names.clone()
        };
        let changes: Vec<Change> = names.iter().flat_map(|name| forget(name, &rows)).collect();
        store.commit(&changes)?;
        eprintln!("reset {}: {} rows forgotten", names.join(", "), changes.len());
        for (name, kind, _) in &view.nodes {
            if *kind == NodeKind::Transform && rows.contains_key(name) && !names.contains(name) {
                eprintln!(
                    "`{name}` still knows what it has seen; `--reset {name}` lets that pass again as well"
                );
            }
        }
        return Ok(exit::DONE);
    }
    if let Some(path) = &args.set {
        let mut text = String::new();
        if path.as_os_str() == "-" {
            std::io::stdin().read_to_string(&mut text)?;
        } else {
            text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        }
        let new: Rows = match serde_json::from_str(&text) {
            Ok(new) => new,
            Err(error) => {
                eprintln!("error: the state is no JSON object of components, keys and values: {error}");
                return Ok(exit::CONFIG);
            }
        };
        let mut changes = Vec::new();
        for (component, members) in new {
            changes.extend(forget(&component, &rows));
            let component: Arc<str> = Arc::from(component);
            changes.extend(members.into_iter().map(|(key, value)| (component.clone(), key, Some(value))));
        }
        store.commit(&changes)?;
        eprintln!("{} rows recorded", changes.iter().filter(|(.., value)| value.is_some()).count());
        return Ok(exit::DONE);
    }
    print(&format!("{}\n", serde_json::to_string_pretty(&rows)?))?;
    Ok(exit::DONE)
}

fn read(store: &Store) -> anyhow::Result<Rows> {
    let mut rows = Rows::new();
    for (component, key, value) in store.all()? {
        // the runtime's own rows are no cursors
        if !component.is_empty() {
            rows.entry(component).or_default().insert(key, value);
        }
    }
    Ok(rows)
}

fn forget(component: &str, rows: &Rows) -> Vec<Change> {
    let keys = rows.get(component).into_iter().flat_map(Map::keys);
    keys.map(|key| (Arc::from(component), key.clone(), None)).collect()
}
