//! What the tests reached of the programs.

use crate::jq::{Coverage, FileCoverage};

/// How the path of a module in the binary begins.
const BUILT_IN: &str = "built-in:";

/// A line for each file, and one for each place that nothing came to; the sum at the end. Of modules that
/// are built in there is only the line, and the sum is without them: they are not this project's to test.
pub(super) fn report(coverage: &Coverage) -> String {
    let mut text = String::new();
    for file in coverage.files() {
        text += &format!("{} {}\n", share(file), file.path());
        if file.path().starts_with(BUILT_IN) {
            continue;
        }
        for site in file.sites().iter().filter(|site| site.hits == 0) {
            text += &format!("       {}:{}:{}: {}\n", file.path(), site.line, site.column, site.kind.name());
        }
    }
    let (hit, all) = own(coverage);
    text + &format!("covered: {hit} of {all} places, {:.1} %\n", percent(coverage))
}

/// The share of places that were reached, of 100.
pub(super) fn percent(coverage: &Coverage) -> f64 {
    match own(coverage) {
        (hit, all) if hit == all => 100.0,
        (hit, all) => hit as f64 * 100.0 / all as f64,
    }
}

fn own(coverage: &Coverage) -> (usize, usize) {
    let files = coverage.files().filter(|file| !file.path().starts_with(BUILT_IN));
    files.map(FileCoverage::total).fold((0, 0), |(hit, all), file| (hit + file.hit, all + file.all))
}

/// Rounded down, so that only what is whole is 100.
fn share(file: &FileCoverage) -> String {
    format!("{:4.0} %", file.total().percent().floor())
}
