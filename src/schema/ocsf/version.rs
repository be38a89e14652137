//! Versions as OCSF writes them, and their order.

use std::cmp::Ordering;

/// A version, such as `1.9.0` or `1.9.0-dev`. The numbers may be of any size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version<'a> {
    numbers: [&'a str; 3],
    prerelease: Option<&'a str>,
}

impl<'a> Version<'a> {
    /// Reads one; `None` if the text is none.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (numbers, prerelease) = match text.split_once('-') {
            Some((numbers, prerelease)) => (numbers, Some(prerelease)),
            None => (text, None),
        };
        if prerelease.is_some_and(|text| text.is_empty() || text.contains('\n')) {
            return None;
        }
        let mut parts = numbers.split('.');
        let numbers = [parts.next()?, parts.next()?, parts.next()?];
        let is_number = |text: &&str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && (*text == "0" || !text.starts_with('0'))
        };
        (parts.next().is_none() && numbers.iter().all(is_number)).then_some(Version { numbers, prerelease })
    }

    /// Whether it makes no promise to later versions.
    pub(super) fn is_initial_development(self) -> bool {
        self.numbers[0] == "0"
    }

    pub(super) fn is_prerelease(self) -> bool {
        self.prerelease.is_some()
    }

    /// The order of releases. Prereleases come before their release, by their text.
    pub(super) fn order(self, other: Version<'_>) -> Ordering {
        let sizes = |version: Version<'_>| version.numbers.map(str::len);
        self.numbers
            .iter()
            .zip(other.numbers)
            .zip(sizes(self).into_iter().zip(sizes(other)))
            .map(|((one, two), (one_size, two_size))| one_size.cmp(&two_size).then((*one).cmp(two)))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| match (self.prerelease, other.prerelease) {
                (None, None) => Ordering::Equal,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(one), Some(two)) => one.cmp(two),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_releases() {
        let ordered = ["0.9.0", "1.0.0-alpha", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0"];
        for (at, one) in ordered.iter().enumerate() {
            for (other, two) in ordered.iter().enumerate() {
                let order = Version::parse(one).unwrap().order(Version::parse(two).unwrap());
                assert_eq!(order, at.cmp(&other), "{one} {two}");
            }
        }
        for text in
            ["", "1", "1.0", "1.0.0.0", "v1.0.0", "1.0.01", "1.0.0-", "1.0.x", "1..0", " 1.0.0", "+1.0.0"]
        {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
