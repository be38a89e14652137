//! What people and machines get to read.

use std::time::Duration;

use bytes::Bytes;

use super::Verdict;
use super::compare::{DEPTH, MAX_PATHS, differences};
use crate::event::json::validate;

/// Characters of a line in a report.
const MAX_LINE: usize = 1000;

/// The first line in which two files of lines differ.
pub(super) fn difference(expected: &[u8], actual: &[u8]) -> String {
    let lines =
        |bytes: &[u8]| -> Vec<String> { String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect() };
    let (expected, actual) = (lines(expected), lines(actual));
    let count = expected.len().max(actual.len());
    let Some(at) = (0..count).find(|at| expected.get(*at) != actual.get(*at)) else {
        return "the ends of lines differ".to_owned();
    };
    let shown = |lines: &[String]| lines.get(at).map_or("(no line)".to_owned(), |line| clipped(line));
    let mut text = format!(
        "line {} of {count} differs\n  expected: {}\n  actual:   {}",
        at + 1,
        shown(&expected),
        shown(&actual)
    );
    let json = |lines: &[String]| {
        let line = lines.get(at)?.as_bytes();
        validate(line, DEPTH).is_ok().then(|| Bytes::copy_from_slice(line))
    };
    if let (Some(expected), Some(actual)) = (json(&expected), json(&actual)) {
        let found = differences(&expected, &actual);
        found.iter().take(MAX_PATHS).for_each(|line| text += &format!("\n  {line}"));
        if found.len() > MAX_PATHS {
            text += &format!("\n  and {} more lines", found.len() - MAX_PATHS);
        }
    }
    text
}

/// `1 leaf`, `2 leaves`.
pub(super) fn many(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

pub(super) fn clipped(text: &str) -> String {
    match text.char_indices().nth(MAX_LINE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// One test of a run.
pub(super) struct Line {
    pub(super) file: String,
    pub(super) name: String,
    pub(super) took: Duration,
    pub(super) verdict: Verdict,
}

/// The results as JUnit XML.
pub(super) fn junit(lines: &[Line]) -> String {
    let failed = |lines: &[&Line]| lines.iter().filter(|line| !line.verdict.failures.is_empty()).count();
    let seconds =
        |lines: &[&Line]| format!("{:.3}", lines.iter().map(|line| line.took.as_secs_f64()).sum::<f64>());
    let all: Vec<&Line> = lines.iter().collect();
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    xml += &format!(
        "<testsuites tests=\"{}\" failures=\"{}\" errors=\"0\" time=\"{}\">\n",
        all.len(),
        failed(&all),
        seconds(&all)
    );
    for suite in all.chunk_by(|one, other| one.file == other.file) {
        let name = suite.first().map(|line| escaped(&line.file)).unwrap_or_default();
        xml += &format!(
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"0\" time=\"{}\">\n",
            suite.len(),
            failed(suite),
            seconds(suite)
        );
        for line in suite {
            let test = escaped(&line.name);
            let time = seconds(&[line]);
            xml += &format!("    <testcase classname=\"{name}\" name=\"{test}\" time=\"{time}\"");
            if line.verdict.failures.is_empty() {
                xml += "/>\n";
                continue;
            }
            xml += ">\n";
            let mut levels: Vec<&str> = line.verdict.failures.iter().map(|(level, _)| *level).collect();
            levels.dedup();
            let failures = line.verdict.failures.iter().map(|(level, text)| format!("{level}: {text}"));
            let wrong = line.verdict.diagnostics.iter().map(|found| found.render(false));
            let text: Vec<String> = failures.chain(wrong).collect();
            xml += &format!(
                "      <failure message=\"{}\">{}</failure>\n    </testcase>\n",
                escaped(&levels.join(", ")),
                escaped(&text.join("\n"))
            );
        }
        xml += "  </testsuite>\n";
    }
    xml + "</testsuites>\n"
}

/// Text for XML: what XML cannot hold becomes a question mark.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' => out.push('\n'),
            '\t' => out.push('\t'),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_shown_member_by_member() {
        let text = difference(
            b"{\"a\":1}\n{\"a\":{\"b c\":[1,2]},\"old\":1}\n",
            b"{\"a\":1}\n{\"a\":{\"b c\":[1,3]},\"new\":1}\n",
        );
        assert_eq!(
            text,
            "line 2 of 2 differs\n  expected: {\"a\":{\"b c\":[1,2]},\"old\":1}\n  actual:   {\"a\":{\"b c\":[1,3]},\"new\":1}\n  - .a.\"b c\"[1]: 2\n  + .a.\"b c\"[1]: 3\n  - .old: 1\n  + .new: 1"
        );
        assert!(difference(b"1\n", b"1\n2\n").contains("line 2 of 2 differs\n  expected: (no line)"));
    }

    #[test]
    fn xml_holds_any_text() {
        assert_eq!(escaped("a<b>&\"\u{1b}[0m\n"), "a&lt;b&gt;&amp;&quot;?[0m\n");
    }
}
