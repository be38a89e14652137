//! Paths made from events: below the base folder, or refused.

use std::path::PathBuf;
use std::sync::Arc;

/// The longest name of a file or folder.
const MAX_NAME: usize = 255;

/// The longest path below the base folder.
const MAX_PATH: usize = 2048;

/// Splits rendered paths into the base folder and what is below it.
#[derive(Debug, Clone)]
pub(super) struct PathMaker {
    /// Base folder as written; empty for the folder of the pipeline file.
    pub(super) base: PathBuf,
    /// Bytes of the rendered path that are the base.
    base_length: usize,
    /// The file, if the path has no interpolation.
    constant: Option<Arc<str>>,
}

impl PathMaker {
    /// From the literal text before the first interpolation. `Err` is a message and the way out.
    pub(super) fn new(prefix: &str, has_program: bool) -> Result<Self, (String, String)> {
        let base_length = prefix.rfind('/').map_or(0, |at| at + 1);
        let maker = PathMaker { base: PathBuf::from(&prefix[..base_length]), base_length, constant: None };
        if has_program {
            return Ok(maker);
        }
        let name = &prefix[base_length..];
        if name.is_empty() || matches!(name, "." | "..") {
            return Err((format!("`{prefix}` names no file"), "add a file name".to_owned()));
        }
        Ok(PathMaker { constant: Some(Arc::from(name)), ..maker })
    }

    pub(super) fn is_constant(&self) -> bool {
        self.constant.is_some()
    }

    /// The file of a path without interpolations.
    pub(super) fn constant(&self) -> Arc<str> {
        self.constant.clone().unwrap_or_else(|| Arc::from(""))
    }

    /// The part of a rendered path below the base folder; a message if it would lead elsewhere.
    pub(super) fn relative<'r>(&self, rendered: &'r str) -> Result<&'r str, String> {
        let relative = rendered.get(self.base_length..).unwrap_or_default();
        if relative.len() > MAX_PATH {
            return Err(format!("the path has {} bytes; the most is {MAX_PATH}", relative.len()));
        }
        for name in relative.split('/') {
            let problem = match name {
                "" => "an empty name",
                "." | ".." => "a name that leads out of its folder",
                _ if name.contains('\0') => "a NUL byte",
                _ if name.len() > MAX_NAME => "a name of more than 255 bytes",
                _ => continue,
            };
            return Err(format!("the path {} has {problem}", serde_json::Value::from(clipped(relative))));
        }
        Ok(relative)
    }
}

/// `events.ndjson.gz` and 7 to `events.0007.ndjson.gz`.
pub(super) fn with_number(path: &str, number: u32) -> String {
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
    let (name, compression) = match name.rsplit_once('.') {
        Some((stem, ending @ ("gz" | "zst"))) if !stem.is_empty() => (stem, format!(".{ending}")),
        _ => (name, String::new()),
    };
    let numbered = match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => format!("{stem}.{number:04}.{ending}"),
        _ => format!("{name}.{number:04}"),
    };
    if folder.is_empty() {
        format!("{numbered}{compression}")
    } else {
        format!("{folder}/{numbered}{compression}")
    }
}

fn clipped(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_base() {
        let maker = PathMaker::new("../out/x-", true).unwrap();
        assert_eq!(maker.base, PathBuf::from("../out/"));
        assert_eq!(maker.relative("../out/x-a/b.ndjson"), Ok("x-a/b.ndjson"));
        for wrong in
            ["../out/x-/../../etc/passwd", "../out/", "../out//a", "../out/./a", "../out/a/", "../out/a\0b"]
        {
            assert!(maker.relative(wrong).is_err(), "{wrong}");
        }
        assert!(maker.relative(&format!("../out/{}", "x".repeat(256))).is_err());
        assert!(maker.relative(&format!("../out/{}", "x/".repeat(2000))).is_err());
    }

    #[test]
    fn a_constant_path_is_a_file() {
        assert_eq!(&*PathMaker::new("out/a.ndjson", false).unwrap().constant(), "a.ndjson");
        assert_eq!(&*PathMaker::new("a.ndjson", false).unwrap().constant(), "a.ndjson");
        assert!(PathMaker::new("out/", false).is_err());
        assert!(PathMaker::new("out/..", false).is_err());
    }

    #[test]
    fn numbers_stand_before_the_ending() {
        assert_eq!(with_number("a/events.ndjson", 1), "a/events.0001.ndjson");
        assert_eq!(with_number("events.ndjson.gz", 12), "events.0012.ndjson.gz");
        assert_eq!(with_number("my.host.log.zst", 3), "my.host.0003.log.zst");
        assert_eq!(with_number("a.b/events", 1), "a.b/events.0001");
        assert_eq!(with_number(".hidden", 1), ".hidden.0001");
    }
}
