//! Durable state of a pipeline: cursors, positions, what stateful transforms remember, and the number of the last epoch, in one
//! embedded store below `data_dir`.
//!
//! State is rows: a component's name, a key of its own, a JSON value. An epoch is one transaction
//! over the rows of all components. Why the store is [`redb`]: `docs/decisions/0002-state-store.md`.

mod lock;

use std::fmt;
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Builder, Database, ReadableDatabase as _, StorageBackend, TableDefinition};
use serde_json::Value;

pub use lock::{DataDir, LockError};

/// `component NUL key` to JSON.
const ROWS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("rows");

/// Component name of the runtime's own rows: the number of the last epoch of each part.
const RUNTIME: &str = "";

/// Memory for pages. State is small, and a pipeline reads it once.
const CACHE: usize = 4 << 20;

/// Why state could not be read or recorded.
#[derive(Debug, thiserror::Error)]
#[error("{action} {}: {message}", path.display())]
pub struct StateError {
    action: &'static str,
    path: PathBuf,
    message: String,
}

/// One changed row: component, key, and the value, or `None` to forget it.
pub type Change = (Arc<str>, String, Option<Value>);

/// Changed rows of one component: key, and the value, or `None` to forget it.
pub type Rows = Vec<(String, Option<Value>)>;

/// The store of one pipeline. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    database: Arc<Database>,
    path: PathBuf,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens or creates the store in a folder.
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        let path = folder.join("state.redb");
        if !path.exists() {
            Self::begin(folder, &path).map_err(|message| StateError {
                action: "cannot begin the state in",
                path: path.clone(),
                message,
            })?;
        }
        let database = Self::builder().open(&path);
        Self::opened(database, path)
    }

    /// Makes an empty store. It takes several writes until a store can be opened, and a kill may come in
    /// between: so it gets its name when it is whole.
    fn begin(folder: &Path, path: &Path) -> Result<(), String> {
        let unfinished = folder.join("state.redb.new");
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.to_string()),
            _ => {}
        }
        drop(Self::builder().create(&unfinished).map_err(|error| error.to_string())?);
        crate::testkit::crash_point("state.begun");
        let named = std::fs::rename(&unfinished, path).and_then(|()| std::fs::File::open(folder)?.sync_all());
        named.map_err(|error| error.to_string())
    }

    /// Opens a store on storage of the caller's, for tests.
    pub fn open_on(storage: impl StorageBackend) -> Result<Self, StateError> {
        let database = Self::builder().create_with_backend(storage);
        Self::opened(database, PathBuf::from("(storage)"))
    }

    fn builder() -> Builder {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE);
        builder
    }

    fn opened(database: Result<Database, redb::DatabaseError>, path: PathBuf) -> Result<Self, StateError> {
        match database {
            Ok(database) => Ok(Store { database: Arc::new(database), path }),
            Err(error) => {
                Err(StateError { action: "cannot open the state in", path, message: error.to_string() })
            }
        }
    }

    /// All rows of a component.
    pub fn rows(&self, component: &str) -> Result<Vec<(String, Value)>, StateError> {
        // the first text that no key of the component comes after
        let (first, end) = (format!("{component}\0"), format!("{component}\x01"));
        let rows = self.reading(first.as_str()..end.as_str())?;
        Ok(rows.into_iter().map(|(_, key, value)| (key, value)).collect())
    }

    /// All rows of all components.
    pub fn all(&self) -> Result<Vec<(String, String, Value)>, StateError> {
        self.reading(..)
    }

    fn reading<'r>(
        &self,
        keys: impl RangeBounds<&'r str> + 'r,
    ) -> Result<Vec<(String, String, Value)>, StateError> {
        self.read(keys).map_err(|message| StateError {
            action: "cannot read the state in",
            path: self.path.clone(),
            message,
        })
    }

    fn read<'r>(&self, keys: impl RangeBounds<&'r str> + 'r) -> Result<Vec<(String, String, Value)>, String> {
        let read = self.database.begin_read().map_err(|error| error.to_string())?;
        let table = match read.open_table(ROWS) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error.to_string()),
        };
        let mut rows = Vec::new();
        for entry in table.range(keys).map_err(|error| error.to_string())? {
            let (key, value) = entry.map_err(|error| error.to_string())?;
            let (component, key) = key.value().split_once('\0').unwrap_or(("", key.value()));
            let value = serde_json::from_slice(value.value()).map_err(|error| error.to_string())?;
            rows.push((component.to_owned(), key.to_owned(), value));
        }
        Ok(rows)
    }

    /// Records changes, all or none, durable when it returns.
    pub fn commit(&self, changes: &[Change]) -> Result<(), StateError> {
        self.write(changes).map_err(|message| StateError {
            action: "cannot record the state in",
            path: self.path.clone(),
            message,
        })
    }

    fn write(&self, changes: &[Change]) -> Result<(), String> {
        let mut write = self.database.begin_write().map_err(|error| error.to_string())?;
        // reopening after a kill must not walk the whole store
        write.set_quick_repair(true);
        {
            let mut table = write.open_table(ROWS).map_err(|error| error.to_string())?;
            for (component, key, value) in changes {
                let key = format!("{component}\0{key}");
                match value {
                    Some(value) => {
                        let json = serde_json::to_vec(value).map_err(|error| error.to_string())?;
                        table.insert(key.as_str(), json.as_slice()).map_err(|error| error.to_string())?;
                    }
                    None => {
                        table.remove(key.as_str()).map_err(|error| error.to_string())?;
                    }
                }
            }
        }
        write.commit().map_err(|error| error.to_string())
    }

    /// The number of the last recorded epoch of a part of the pipeline.
    pub fn last_epoch(&self, part: &str) -> Result<u64, StateError> {
        let rows = self.rows(RUNTIME)?;
        let epoch = rows.iter().find(|(key, _)| key == part);
        Ok(epoch.and_then(|(_, value)| value.as_u64()).unwrap_or(0))
    }

    /// The change that records the number of an epoch.
    pub fn epoch_change(part: &str, epoch: u64) -> Change {
        (Arc::from(RUNTIME), part.to_owned(), Some(Value::from(epoch)))
    }
}

/// Writes rows of one component at once, outside of an epoch: for what has to be known before
/// something irrevocable happens, such as the first byte in a file.
#[derive(Clone, Debug)]
pub struct Journal {
    store: Option<Store>,
    component: Arc<str>,
}

impl Journal {
    /// The journal of a component.
    pub fn new(store: Store, component: Arc<str>) -> Self {
        Journal { store: Some(store), component }
    }

    /// A journal that keeps nothing, for a component that takes no part in epochs.
    pub fn none(component: Arc<str>) -> Self {
        Journal { store: None, component }
    }

    /// Records rows, durable when it returns.
    pub fn record(&self, rows: Vec<(String, Option<Value>)>) -> Result<(), StateError> {
        let changes: Vec<_> =
            rows.into_iter().map(|(key, value)| (self.component.clone(), key, value)).collect();
        self.store.as_ref().map_or(Ok(()), |store| store.commit(&changes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What a kill leaves while a store is being made.
    #[test]
    fn a_store_that_was_never_finished_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("state.redb.new"), [0; 4096]).unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.commit(&[(Arc::from("a"), "k".to_owned(), Some(json!(1)))]).unwrap();
        drop(store);
        assert!(!folder.path().join("state.redb.new").exists());
        assert_eq!(Store::open(folder.path()).unwrap().rows("a").unwrap(), [("k".to_owned(), json!(1))]);
    }

    #[test]
    fn rows_come_back_by_component() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.rows("a").unwrap(), []);
        let change = |component: &str, key: &str, value| (Arc::from(component), key.to_owned(), value);
        store
            .commit(&[
                change("a", "x", Some(json!({"n": 1}))),
                change("ab", "x", Some(json!(2))),
                Store::epoch_change("a", 7),
            ])
            .unwrap();
        drop(store);

        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.rows("a").unwrap(), [("x".to_owned(), json!({"n": 1}))]);
        assert_eq!(store.last_epoch("a").unwrap(), 7);
        store.commit(&[change("a", "x", None)]).unwrap();
        assert_eq!(store.rows("a").unwrap(), []);
        assert_eq!(store.rows("ab").unwrap().len(), 1);
    }
}
