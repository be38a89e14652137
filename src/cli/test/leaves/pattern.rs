//! Paths of leaves with the numbers taken out of them, and the patterns that authors write.

use std::fmt;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Step {
    /// A member by its name.
    Member(String),
    /// Any item of an array.
    Item,
    /// A member of any name; only in what authors write.
    Any,
}

/// `links.[].rel`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Pattern(pub(super) Vec<Step>);

impl Pattern {
    /// Reads what an author wrote, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut rest = text.strip_prefix('.').unwrap_or(text);
        while !rest.is_empty() {
            let (step, after) = if rest.starts_with('"') {
                let end = closing_quote(rest)
                    .ok_or_else(|| format!("`{text}` has a quote that is never closed"))?;
                let name = serde_json::from_str(&rest[..end])
                    .map_err(|_| format!("`{text}` has a name that is no JSON string"))?;
                (Step::Member(name), &rest[end..])
            } else if let Some(after) = rest.strip_prefix("[]") {
                (Step::Item, after)
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let step = match &rest[..end] {
                    "" => return Err(format!("`{text}` is no path; write it like `links.[].rel`")),
                    "*" => Step::Any,
                    name => Step::Member(name.to_owned()),
                };
                (step, &rest[end..])
            };
            steps.push(step);
            rest = after.strip_prefix('.').unwrap_or(after);
        }
        Ok(Pattern(steps))
    }

    /// The path that a jq path like `.links[0].rel` is one of.
    pub(super) fn of_path(path: &str) -> Self {
        let mut steps = Vec::new();
        let mut rest = path;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('[') {
                steps.push(Step::Item);
                rest = after.split_once(']').map_or("", |(_, after)| after);
                continue;
            }
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let end = if rest.starts_with('"') { closing_quote(rest) } else { rest.find(['.', '[']) };
            let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
            if !name.is_empty() {
                let name = serde_json::from_str(name).unwrap_or_else(|_| name.to_owned());
                steps.push(Step::Member(name));
            }
            rest = after;
        }
        Pattern(steps)
    }

    /// Whether a leaf's path is one that this stands for.
    pub(super) fn matches(&self, path: &Pattern) -> bool {
        let fits = |mine: &Step, theirs: &Step| match mine {
            Step::Any => matches!(theirs, Step::Member(_)),
            mine => mine == theirs,
        };
        self.0.len() == path.0.len() && self.0.iter().zip(&path.0).all(|(mine, theirs)| fits(mine, theirs))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(".");
        }
        for (at, step) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            match step {
                Step::Item => f.write_str("[]")?,
                Step::Any => f.write_str("*")?,
                Step::Member(name) => {
                    let is_plain = !name.is_empty()
                        && name != "*"
                        && !name.contains(|c: char| {
                            matches!(c, '.' | '[' | '"' | ',') || c.is_whitespace() || c.is_control()
                        });
                    if is_plain {
                        f.write_str(name)?;
                    } else {
                        write!(f, "{}", serde_json::Value::from(name.as_str()))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Where the string ends that a text begins with, after its closing quote.
fn closing_quote(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_as_they_are_written() {
        for text in ["links.[].rel", "[].[]", "raw.*", "a.\"b c\".d", ".", "\"*\".x"] {
            assert_eq!(Pattern::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Pattern::parse(".links[].rel"), Pattern::parse("links.[].rel"));
        assert!(
            Pattern::parse("a..b").is_err()
                && Pattern::parse("a.\"b").is_err()
                && Pattern::parse("a[0]").is_err()
        );
        assert_eq!(Pattern::of_path(".links[12].\"a.b[3]\".x").to_string(), "links.[].\"a.b[3]\".x");
        assert_eq!(Pattern::of_path("."), Pattern::default());
        let raw = Pattern::parse("raw.*").unwrap();
        assert!(raw.matches(&Pattern::of_path(".raw.x")));
        assert!(!raw.matches(&Pattern::of_path(".raw[0]")) && !raw.matches(&Pattern::of_path(".raw.x.y")));
    }
}
