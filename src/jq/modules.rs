//! Where `import` and `include` look: the folder of the importing file, the folder of the program,
//! the component's `library` folders, and the library built into the binary. Nothing else is read.

use std::path::{Path, PathBuf};

use crate::config::nearest;

/// Modules that every program can import.
const BUILT_IN: &[(&str, &str)] = &[
    ("ocsf", include_str!("../../transforms/lib/ocsf.jq")),
    ("oscf", include_str!("../../transforms/lib/oscf.jq")),
];

/// Prefix of the shown path of a built-in module.
pub(super) const BUILT_IN_PREFIX: &str = "built-in:";

/// Finds the text of module `name`, asked for by the file `parent`.
///
/// Returns the text and the path to show, or what is wrong and the way out.
pub(super) fn read(
    name: &str,
    parent: &str,
    folder: &Path,
    library: &[PathBuf],
) -> Result<(String, String), (String, Option<String>)> {
    if name.is_empty()
        || name.contains(['\\', '\0'])
        || name.starts_with(['/', '~'])
        || name.split('/').any(|part| matches!(part, "" | "." | ".."))
    {
        let help = "write a relative path without `..` and without `.jq`".to_owned();
        return Err((format!("`{name}` is not a module name"), Some(help)));
    }

    let beside_parent = match parent {
        super::MAIN => None,
        built_in if built_in.starts_with(BUILT_IN_PREFIX) => None,
        path => Path::new(path).parent().map(Path::to_path_buf),
    };
    let folders = beside_parent.into_iter().chain([folder.to_path_buf()]).chain(library.iter().cloned());
    let mut searched = Vec::new();
    for folder in folders {
        let last = name.rsplit('/').next().unwrap_or(name);
        for candidate in [format!("{name}.jq"), format!("{name}/{last}.jq")] {
            let path = folder.join(candidate);
            if !path.is_file() {
                continue;
            }
            if !is_inside(&path, &folder) {
                let message = format!("module `{name}` leads out of {} by a symbolic link", folder.display());
                return Err((message, None));
            }
            let text = std::fs::read_to_string(&path)
                .map_err(|error| (format!("cannot read {}: {error}", path.display()), None))?;
            return Ok((text, path.display().to_string()));
        }
        let shown = match folder.display().to_string() {
            here if here.is_empty() => ".".to_owned(),
            folder => folder,
        };
        if !searched.contains(&shown) {
            searched.push(shown);
        }
    }
    if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
        return Ok(((*text).to_owned(), format!("{BUILT_IN_PREFIX}{name}.jq")));
    }
    let known = || BUILT_IN.iter().map(|(name, _)| *name);
    let message = format!(
        "no module `{name}` in {} or among the built-in ones ({})",
        searched.join(", "),
        known().collect::<Vec<_>>().join(", ")
    );
    let help = match nearest(name, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "put it there as `{name}.jq`, or name its folder: `library = [\"path\"]`, on the command line `-L path`"
        ),
    };
    Err((message, Some(help)))
}

/// Whether a path, with all its links followed, lies below a folder.
fn is_inside(path: &Path, folder: &Path) -> bool {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match (path.canonicalize(), folder.canonicalize()) {
        (Ok(path), Ok(folder)) => path.starts_with(folder),
        _ => false,
    }
}
