//! Which parts of programs were reached, over any number of programs and runs.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

use super::compile::MAIN;
use super::engine::{Place, SiteKind};
use super::run::Runner;

/// What was reached of a set of files.
///
/// A site belongs to a file and to its bytes there. A module that several programs load is one file,
/// whose hits are summed; so are those of one program that runs with several `$args`. All sites of
/// a file count, those too that are in a definition nobody calls.
#[derive(Debug, Default, Clone)]
pub struct Coverage {
    files: BTreeMap<String, FileCoverage>,
}

/// What was reached of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCoverage {
    path: String,
    text: String,
    sites: Vec<Site>,
}

/// A place in a program that an event may reach or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// What it is.
    pub kind: SiteKind,
    /// Its bytes in the file.
    pub span: Range<usize>,
    /// Where it begins, from one.
    pub line: usize,
    /// From one, in characters.
    pub column: usize,
    /// How often it was reached.
    pub hits: u64,
}

/// How many sites there are and how many of them were reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    /// Sites that were reached at least once.
    pub hit: usize,
    /// All sites.
    pub all: usize,
}

impl Total {
    /// Whether every site was reached. So it is where there is none.
    pub fn is_complete(self) -> bool {
        self.hit == self.all
    }

    /// The share that was reached, of 100; below it as long as any is missing.
    pub fn percent(self) -> f64 {
        if self.is_complete() {
            return 100.0;
        }
        // fewer sites than a program has bytes: far from where a float is inexact
        self.hit as f64 * 100.0 / self.all as f64
    }

    fn of<'s>(sites: impl Iterator<Item = &'s Site>) -> Self {
        let mut total = Total::default();
        for site in sites {
            total.all += 1;
            total.hit += usize::from(site.hits > 0);
        }
        total
    }
}

impl std::ops::Add for Total {
    type Output = Total;

    fn add(self, other: Total) -> Total {
        Total { hit: self.hit + other.hit, all: self.all + other.all }
    }
}

impl std::iter::Sum for Total {
    fn sum<I: Iterator<Item = Total>>(totals: I) -> Total {
        totals.fold(Total::default(), std::ops::Add::add)
    }
}

impl FileCoverage {
    /// Its path. That of a module is as the program found it, without `..`; a built-in one has the
    /// prefix `built-in:`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its text, which [`Site::span`] is about.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its sites in the order of the text.
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// How many [branches](SiteKind::is_branch) were reached.
    pub fn branches(&self) -> Total {
        Total::of(self.sites.iter().filter(|site| site.kind.is_branch()))
    }

    /// How many sites of one kind were reached.
    pub fn of_kind(&self, kind: SiteKind) -> Total {
        Total::of(self.sites.iter().filter(|site| site.kind == kind))
    }

    /// How many sites of any kind were reached.
    pub fn total(&self) -> Total {
        Total::of(self.sites.iter())
    }

    /// Adds the hits of the same file. If the text is another, the file was written anew, and what
    /// was known of it is about nothing any more.
    fn merge(&mut self, other: FileCoverage) {
        if self.text != other.text || self.sites.len() != other.sites.len() {
            *self = other;
            return;
        }
        for (site, more) in self.sites.iter_mut().zip(other.sites) {
            site.hits += more.hits;
        }
    }
}

impl Coverage {
    /// Nothing reached of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what a program reached since it was last added. Its [`Runner::cover`] must have been
    /// called before it ran; otherwise nothing is added. `main` is the path to show for the program
    /// itself, which does not know it.
    pub fn add(&mut self, runner: &Runner, main: &str) {
        let Some((program, hits)) = runner.take_hits() else { return };
        let mut reached = program.sites().list.iter().zip(hits).peekable();
        for (number, (path, text)) in program.texts().iter().enumerate() {
            let mut sites = Vec::new();
            let mut cursor = Cursor::new(text);
            while let Some(((place, kind), hits)) =
                reached.next_if(|((place, _), _)| place.file as usize == number)
            {
                sites.push(cursor.site(*place, *kind, hits));
            }
            let path = clean(if path == MAIN { main } else { path });
            self.insert(FileCoverage { path, text: text.clone(), sites });
        }
    }

    /// Adds what another collected, on another thread perhaps.
    pub fn merge(&mut self, other: Coverage) {
        other.files.into_values().for_each(|file| self.insert(file));
    }

    fn insert(&mut self, file: FileCoverage) {
        match self.files.entry(file.path.clone()) {
            Entry::Vacant(place) => drop(place.insert(file)),
            Entry::Occupied(mut known) => known.get_mut().merge(file),
        }
    }

    /// Leaves only the files whose path is wanted.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(&str) -> bool) {
        self.files.retain(|path, _| is_wanted(path));
    }

    /// All files by path.
    pub fn files(&self) -> impl Iterator<Item = &FileCoverage> {
        self.files.values()
    }

    /// How many [branches](SiteKind::is_branch) of all files were reached.
    pub fn branches(&self) -> Total {
        self.files().map(FileCoverage::branches).sum()
    }

    /// How many sites of one kind were reached.
    pub fn of_kind(&self, kind: SiteKind) -> Total {
        self.files().map(|file| file.of_kind(kind)).sum()
    }

    /// How many sites of any kind were reached.
    pub fn total(&self) -> Total {
        self.files().map(FileCoverage::total).sum()
    }
}

/// Finds lines and columns of places in ascending order.
struct Cursor<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    column: usize,
}

impl<'t> Cursor<'t> {
    fn new(text: &'t str) -> Self {
        Cursor { text, at: 0, line: 1, column: 1 }
    }

    fn site(&mut self, place: Place, kind: SiteKind, hits: u64) -> Site {
        let span = place.span.range();
        for c in self.text.get(self.at..span.start).unwrap_or_default().chars() {
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.at = span.start;
        Site { kind, span, line: self.line, column: self.column, hits }
    }
}

/// A path by which a file that is reached over several folders is still one file.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for (at, part) in path.split('/').enumerate() {
        match part {
            "." => {}
            "" if at > 0 => {}
            ".." if parts.last().is_some_and(|last| !matches!(*last, ".." | "")) => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
