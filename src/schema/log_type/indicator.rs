//! Values that are worth finding again, whatever field of whatever log they stand in.

use std::net::IpAddr;

/// What a value is as an indicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are those of schema files")]
pub enum Indicator {
    ActorId,
    AwsAccountId,
    AwsArn,
    AwsArnOnly,
    AwsInstanceId,
    AwsTag,
    Domain,
    Email,
    Hostname,
    Ip,
    Mac,
    Md5,
    NetAddr,
    SerialNumber,
    Sha1,
    Sha256,
    TraceId,
    Url,
    Username,
}

/// The lists that indicators are gathered in, in the order of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum List {
    ActorIds,
    AwsAccountIds,
    AwsArns,
    AwsInstanceIds,
    AwsTags,
    Domains,
    Emails,
    Ips,
    Macs,
    Md5,
    SerialNumbers,
    Sha1,
    Sha256,
    TraceIds,
    Usernames,
}

impl List {
    /// Its name without a prefix, and with the prefix of the standard fields.
    pub(super) fn names(self) -> (&'static str, &'static str) {
        match self {
            List::ActorIds => ("actor_ids", "p_any_actor_ids"),
            List::AwsAccountIds => ("aws_account_ids", "p_any_aws_account_ids"),
            List::AwsArns => ("aws_arns", "p_any_aws_arns"),
            List::AwsInstanceIds => ("aws_instance_ids", "p_any_aws_instance_ids"),
            List::AwsTags => ("aws_tags", "p_any_aws_tags"),
            List::Domains => ("domain_names", "p_any_domain_names"),
            List::Emails => ("emails", "p_any_emails"),
            List::Ips => ("ip_addresses", "p_any_ip_addresses"),
            List::Macs => ("mac_addresses", "p_any_mac_addresses"),
            List::Md5 => ("md5_hashes", "p_any_md5_hashes"),
            List::SerialNumbers => ("serial_numbers", "p_any_serial_numbers"),
            List::Sha1 => ("sha1_hashes", "p_any_sha1_hashes"),
            List::Sha256 => ("sha256_hashes", "p_any_sha256_hashes"),
            List::TraceIds => ("trace_ids", "p_any_trace_ids"),
            List::Usernames => ("usernames", "p_any_usernames"),
        }
    }
}

/// All indicators by their names in a schema file.
const NAMES: [(&str, Indicator); 19] = [
    ("actor_id", Indicator::ActorId),
    ("aws_account_id", Indicator::AwsAccountId),
    ("aws_arn", Indicator::AwsArn),
    ("aws_arn_only", Indicator::AwsArnOnly),
    ("aws_instance_id", Indicator::AwsInstanceId),
    ("aws_tag", Indicator::AwsTag),
    ("domain", Indicator::Domain),
    ("email", Indicator::Email),
    ("hostname", Indicator::Hostname),
    ("ip", Indicator::Ip),
    ("mac", Indicator::Mac),
    ("md5", Indicator::Md5),
    ("net_addr", Indicator::NetAddr),
    ("serial_number", Indicator::SerialNumber),
    ("sha1", Indicator::Sha1),
    ("sha256", Indicator::Sha256),
    ("trace_id", Indicator::TraceId),
    ("url", Indicator::Url),
    ("username", Indicator::Username),
];

impl Indicator {
    /// The indicator of a name in a schema file.
    pub fn of(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, indicator)| *indicator)
    }

    /// All names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// Gives what a text holds to the lists. Text that is not what the indicator says is left out.
    pub(super) fn scan(self, text: &str, found: &mut Found) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let mut simply = |list| found.add(list, text);
        match self {
            Indicator::ActorId => simply(List::ActorIds),
            Indicator::AwsTag => simply(List::AwsTags),
            Indicator::Domain => simply(List::Domains),
            Indicator::Mac => simply(List::Macs),
            Indicator::Md5 => simply(List::Md5),
            Indicator::SerialNumber => simply(List::SerialNumbers),
            Indicator::Sha1 => simply(List::Sha1),
            Indicator::Sha256 => simply(List::Sha256),
            Indicator::TraceId => simply(List::TraceIds),
            Indicator::Username => simply(List::Usernames),
            Indicator::AwsAccountId if is_account(text) => simply(List::AwsAccountIds),
            Indicator::AwsInstanceId if text.starts_with("i-") => simply(List::AwsInstanceIds),
            Indicator::Email if is_email(text) => simply(List::Emails),
            Indicator::Ip if text.parse::<IpAddr>().is_ok() => simply(List::Ips),
            Indicator::Hostname => host(text, found),
            Indicator::NetAddr => host(without_port(text), found),
            Indicator::Url => {
                if let Some(authority) = authority_of(text) {
                    host(without_port(authority), found);
                }
            }
            Indicator::AwsArnOnly if text.starts_with("arn:") => simply(List::AwsArns),
            Indicator::AwsArn if text.starts_with("arn:") => {
                simply(List::AwsArns);
                // arn:partition:service:region:account:resource
                let mut parts = text.splitn(6, ':').skip(4);
                if let Some(account) = parts.next().filter(|account| is_account(account)) {
                    found.add(List::AwsAccountIds, account);
                }
                if let Some(instance) = parts.next().and_then(|resource| resource.strip_prefix("instance/")) {
                    found.add(List::AwsInstanceIds, instance);
                }
            }
            _ => {}
        }
    }
}

/// Something in front of an `@` and behind it; what is in front of that of a URL may be a password.
fn is_email(text: &str) -> bool {
    !text.contains("//") && text.split_once('@').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty())
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn host(text: &str, found: &mut Found) {
    let list = if text.parse::<IpAddr>().is_ok() { List::Ips } else { List::Domains };
    if !text.is_empty() {
        found.add(list, text);
    }
}

/// `host:port` and `[address]:port` without brackets and port.
fn without_port(text: &str) -> &str {
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(address, _)| address);
    }
    match text.rsplit_once(':') {
        // more than one colon is an address of version 6
        Some((host, port)) if !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => text,
    }
}

/// Host and port of a URL; none if it has none.
fn authority_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let authority = &rest[..end];
    Some(authority.rsplit_once('@').map_or(authority, |(_, host)| host))
}

/// What was found in one event.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// All texts, one behind the other.
    text: String,
    marks: Vec<(List, u32, u32)>,
}

impl Found {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.marks.clear();
    }

    fn add(&mut self, list: List, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        if let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(self.text.len())) {
            self.marks.push((list, start, end));
        }
    }

    /// Puts the texts in the order of their lists and of themselves, each once.
    pub(super) fn settle(&mut self) {
        let text = &self.text;
        let at = |start: u32, end: u32| text.get(start as usize..end as usize).unwrap_or_default();
        self.marks.sort_unstable_by(|a, b| (a.0, at(a.1, a.2)).cmp(&(b.0, at(b.1, b.2))));
        self.marks.dedup_by(|a, b| a.0 == b.0 && at(a.1, a.2) == at(b.1, b.2));
    }

    /// The lists that are not empty; after [`Found::settle`].
    pub(super) fn lists(&self) -> impl Iterator<Item = (List, impl Iterator<Item = &str>)> {
        self.marks.chunk_by(|a, b| a.0 == b.0).map(|marks| {
            let texts = marks
                .iter()
                .map(|(_, start, end)| self.text.get(*start as usize..*end as usize).unwrap_or_default());
            (marks[0].0, texts)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(name: &str, text: &str) -> Vec<(&'static str, String)> {
        let mut found = Found::default();
        Indicator::of(name).unwrap().scan(text, &mut found);
        found.settle();
        let lists = found.lists();
        lists.flat_map(|(list, texts)| texts.map(move |text| (list.names().0, text.to_owned()))).collect()
    }

    #[test]
    fn each_goes_where_it_belongs() {
        for (name, text, expected) in [
            ("ip", " 192.0.2.1 ", &[("ip_addresses", "192.0.2.1")][..]),
            ("ip", "2001:db8::1", &[("ip_addresses", "2001:db8::1")]),
            ("ip", "host.example.com", &[]),
            ("ip", "", &[]),
            ("hostname", "a.example.com", &[("domain_names", "a.example.com")]),
            ("hostname", "192.0.2.1", &[("ip_addresses", "192.0.2.1")]),
            ("net_addr", "a.example.com:27017", &[("domain_names", "a.example.com")]),
            ("net_addr", "[2001:db8::1]:27017", &[("ip_addresses", "2001:db8::1")]),
            ("net_addr", "2001:db8::1", &[("ip_addresses", "2001:db8::1")]),
            ("net_addr", "192.0.2.1:1", &[("ip_addresses", "192.0.2.1")]),
            ("url", "https://u:p@a.example.com:8443/x?y#z", &[("domain_names", "a.example.com")]),
            ("url", "https://[2001:db8::1]/", &[("ip_addresses", "2001:db8::1")]),
            ("url", "http://192.0.2.1", &[("ip_addresses", "192.0.2.1")]),
            ("url", "/api/orgs/1", &[]),
            ("url", "https://", &[]),
            ("email", "ada@example.com", &[("emails", "ada@example.com")]),
            ("email", "Atlassian app", &[]),
            ("email", "https://ada:secret@example.com/x", &[]),
            ("email", "//ada@example.com", &[]),
            ("url", "https://ada@example.com:secret@b.example.com/x", &[("domain_names", "b.example.com")]),
            ("username", "ada", &[("usernames", "ada")]),
            ("aws_account_id", "123456789012", &[("aws_account_ids", "123456789012")]),
            ("aws_account_id", "12345", &[]),
            (
                "aws_arn",
                "arn:aws:ec2:eu-west-1:123456789012:instance/i-0abc",
                &[
                    ("aws_account_ids", "123456789012"),
                    ("aws_arns", "arn:aws:ec2:eu-west-1:123456789012:instance/i-0abc"),
                    ("aws_instance_ids", "i-0abc"),
                ],
            ),
            ("aws_arn_only", "arn:aws:s3:::bucket", &[("aws_arns", "arn:aws:s3:::bucket")]),
            ("aws_arn", "no arn", &[]),
            ("aws_instance_id", "i-0abc", &[("aws_instance_ids", "i-0abc")]),
            ("sha256", "abc", &[("sha256_hashes", "abc")]),
        ] {
            let expected: Vec<_> = expected.iter().map(|(list, text)| (*list, (*text).to_owned())).collect();
            assert_eq!(scan(name, text), expected, "{name} {text}");
        }
    }

    #[test]
    fn lists_are_sorted_and_without_repetition() {
        let mut found = Found::default();
        for text in ["b", "a", "b", "c", "a"] {
            Indicator::Username.scan(text, &mut found);
            Indicator::Ip.scan("192.0.2.1", &mut found);
        }
        found.settle();
        let lists: Vec<(_, Vec<_>)> = found.lists().map(|(list, texts)| (list, texts.collect())).collect();
        assert_eq!(lists, [(List::Ips, vec!["192.0.2.1"]), (List::Usernames, vec!["a", "b", "c"])]);
    }
}
