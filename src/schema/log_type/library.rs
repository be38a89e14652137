//! Schemas by name: those in the binary and those in folders.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use super::load::{FILE_BYTES, Loaded, load};
use super::model::Schema;
use crate::config::{Diagnostic, SourceFile, nearest};

/// Files in one folder.
const FILES: usize = 10_000;

/// The schemas in the binary: file names and texts.
const BUILT_IN: [(&str, &str); 5] = [
    ("Atlassian.Audit.yml", include_str!("../../../schemas/Atlassian.Audit.yml")),
    ("MongoDB.AccessHistory.yml", include_str!("../../../schemas/MongoDB.AccessHistory.yml")),
    ("MongoDB.AuditingConfig.yml", include_str!("../../../schemas/MongoDB.AuditingConfig.yml")),
    ("MongoDB.OrganizationEvent.yml", include_str!("../../../schemas/MongoDB.OrganizationEvent.yml")),
    ("MongoDB.ProjectEvent.yml", include_str!("../../../schemas/MongoDB.ProjectEvent.yml")),
];

/// Schemas by name.
#[derive(Debug, Clone, Default)]
pub struct Schemas {
    by_name: BTreeMap<String, Arc<Schema>>,
}

/// Why schemas cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A folder or file cannot be read.
    #[error("cannot read {0}: {1}")]
    Unreadable(PathBuf, std::io::Error),
    /// There are too many files to mean it.
    #[error("the folder {0} holds more than {FILES} schema files")]
    TooMany(PathBuf),
    /// Files are wrong.
    #[error("{count} errors in schema files", count = .0.len())]
    Invalid(Vec<Diagnostic>),
}

/// A pattern that no schema has a name for.
#[derive(Debug, thiserror::Error)]
#[error("no schema is called `{pattern}`")]
pub struct SelectError {
    /// Which one it is of the list of patterns.
    pub at: usize,
    /// The pattern.
    pub pattern: String,
    /// The name that may have been meant, or all there are.
    pub help: String,
}

impl Schemas {
    /// The schemas in the binary.
    pub fn built_in() -> &'static Schemas {
        static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| {
            let mut schemas = Schemas::default();
            for (file, text) in BUILT_IN {
                // a test reads them all
                if let Ok((schema, _)) = Schema::read(Path::new(file), text.to_owned()) {
                    schemas.add(schema);
                }
            }
            schemas
        });
        &SCHEMAS
    }

    /// These schemas and those of a folder's `*.yml` and `*.yaml` files, or of one file; one of the
    /// same name replaces the one that was there. Within a folder a name is there once. Returns warnings.
    pub fn read(&mut self, path: &Path) -> Result<Vec<Diagnostic>, ReadError> {
        let unreadable = |path: &Path| {
            let path = path.to_path_buf();
            move |error| ReadError::Unreadable(path, error)
        };
        let mut files = Vec::new();
        if std::fs::metadata(path).map_err(unreadable(path))?.is_dir() {
            for entry in std::fs::read_dir(path).map_err(unreadable(path))? {
                let file = entry.map_err(unreadable(path))?.path();
                if file.extension().is_some_and(|extension| extension == "yml" || extension == "yaml") {
                    files.push(file);
                }
                if files.len() > FILES {
                    return Err(ReadError::TooMany(path.to_path_buf()));
                }
            }
            files.sort();
        } else {
            files.push(path.to_path_buf());
        }
        let (mut warnings, mut errors) = (Vec::new(), Vec::new());
        let mut names: BTreeMap<String, PathBuf> = BTreeMap::new();
        for path in files {
            let (file, loaded) = read_file(&path).map_err(unreadable(&path))?;
            let Loaded { schema, warnings: found, name: span } = match loaded {
                Ok(loaded) => loaded,
                Err(found) => {
                    errors.extend(found);
                    continue;
                }
            };
            match names.entry(schema.name().to_owned()) {
                Entry::Occupied(other) => {
                    let message = format!("`{}` is the name of another schema of this folder", schema.name());
                    let help = format!("it is in {}; rename or remove one of them", other.get().display());
                    errors.push(Diagnostic::error(&file, span, message).help(help));
                    continue;
                }
                Entry::Vacant(free) => drop(free.insert(path)),
            }
            warnings.extend(found);
            self.add(schema);
        }
        if errors.is_empty() { Ok(warnings) } else { Err(ReadError::Invalid(errors)) }
    }

    fn add(&mut self, schema: Schema) {
        self.by_name.insert(schema.name().to_owned(), Arc::new(schema));
    }

    /// The schema of a name.
    pub fn get(&self, name: &str) -> Option<Arc<Schema>> {
        self.by_name.get(name).cloned()
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// The schemas of names and of patterns with `*`: in the order of the list, those of one pattern
    /// by name, each once. An error for each pattern that fits none.
    pub fn select(&self, patterns: &[String]) -> Result<Vec<Arc<Schema>>, Vec<SelectError>> {
        let (mut selected, mut errors): (Vec<Arc<Schema>>, _) = (Vec::new(), Vec::new());
        for (at, pattern) in patterns.iter().enumerate() {
            let mut matches = self.by_name.values().filter(|schema| fits(pattern, schema.name())).peekable();
            if matches.peek().is_none() {
                let help = match nearest(pattern, self.names()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are {}", self.names().take(20).collect::<Vec<_>>().join(", ")),
                };
                errors.push(SelectError { at, pattern: pattern.clone(), help });
            }
            for schema in matches {
                if !selected.iter().any(|known| known.name() == schema.name()) {
                    selected.push(schema.clone());
                }
            }
        }
        if errors.is_empty() { Ok(selected) } else { Err(errors) }
    }
}

/// A schema file and what it says; no more of it is read than a schema may be long.
#[allow(clippy::type_complexity, reason = "what is wrong with the file needs the file as well")]
fn read_file(path: &Path) -> std::io::Result<(Arc<SourceFile>, Result<Loaded, Vec<Diagnostic>>)> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    let wrong = |text: String, span, message: &str, help: Option<&str>| {
        let file = SourceFile::new(path, text);
        let error = Diagnostic::error(&file, span, message).help(help.map(str::to_owned));
        Ok((file, Err(vec![error])))
    };
    if bytes.len() > FILE_BYTES {
        let message = format!("the file is longer than {FILE_BYTES} bytes");
        return wrong(String::new(), 0..0, &message, None);
    }
    match String::from_utf8(bytes) {
        Ok(text) => {
            let file = SourceFile::new(path, text);
            let loaded = load(&file, path);
            Ok((file, loaded))
        }
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            // what stands for the wrong bytes has a length of its own
            let end = at + char::REPLACEMENT_CHARACTER.len_utf8();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            wrong(text, at..end, "this is no UTF-8", Some("save the file as UTF-8"))
        }
    }
}

/// Whether a name fits a pattern, in which `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(before) = last.replace(part) {
            match rest.find(before) {
                Some(at) => rest = &rest[at + before.len()..],
                None => return false,
            }
        }
    }
    last.map_or(rest.is_empty(), |last: &str| rest.ends_with(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::log_type::{TimeFormat, Type};

    #[test]
    fn the_schemas_in_the_binary_are_without_a_warning() {
        for (file, text) in BUILT_IN {
            let (schema, warnings) =
                Schema::read(Path::new(file), text.to_owned()).unwrap_or_else(|errors| {
                    panic!(
                        "{}",
                        errors.iter().map(|error| error.render(false)).collect::<Vec<_>>().join("\n")
                    )
                });
            assert!(warnings.is_empty(), "{file}");
            assert_eq!(format!("{}.yml", schema.name()), file);
            assert!(!schema.description().is_empty());
        }
        let organization = Schemas::built_in().get("MongoDB.OrganizationEvent").unwrap();
        assert_eq!(organization.root().fields().len(), 32);
        let created = organization.root().get("created").unwrap();
        assert!(created.required && matches!(created.element.kind, Type::Timestamp));
        assert_eq!(
            (&created.element.times[..], created.element.event_time),
            (&[TimeFormat::Rfc3339][..], Some(0))
        );
        let paths: Vec<_> = (0..organization.len() as u32).map(|n| organization.path(n)).collect();
        assert!(paths.contains(&".links[].href"), "{paths:?}");
    }

    #[test]
    fn patterns_select_in_order() {
        let schemas = Schemas::built_in();
        let names = |patterns: &[&str]| {
            let patterns: Vec<_> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
            let selected = schemas.select(&patterns)?;
            Ok::<_, Vec<SelectError>>(
                selected.iter().map(|schema| schema.name().to_owned()).collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            names(&["MongoDB.*Event", "Atlassian.Audit", "*"]).unwrap(),
            [
                "MongoDB.OrganizationEvent",
                "MongoDB.ProjectEvent",
                "Atlassian.Audit",
                "MongoDB.AccessHistory",
                "MongoDB.AuditingConfig"
            ]
        );
        let errors = names(&["x", "*", "MongoDB.OrganisationEvent"]).unwrap_err();
        assert_eq!(errors.iter().map(|error| error.at).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(errors[1].help, "did you mean `MongoDB.OrganizationEvent`?");
        assert!(names(&["mongodb.*"]).is_err());
    }

    #[test]
    fn patterns_fit() {
        for (pattern, name) in
            [("a", "a"), ("*", ""), ("a*", "ab"), ("*b", "ab"), ("a*c*e", "abcde"), ("a**b", "ab")]
        {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a", "ab"), ("a*a", "a"), ("*b", "ba"), ("a*c*c", "abc"), ("", "a")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
