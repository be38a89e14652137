//! What a schema file says of the value of a field: forms of time, indicators, rules.

use std::ops::Range;
use std::rc::Rc;

use super::{Loader, TYPES, find};
use crate::jq::Instant;
use crate::schema::log_type::indicator::Indicator;
use crate::schema::log_type::model::{TimeFormat, Validate, Version};
use crate::schema::log_type::yaml::{Kind, Member, Node, clip};

impl Loader {
    /// The forms of a time, and the rank as the record's time.
    pub(super) fn times(
        &mut self,
        members: &[Member],
        kind: &str,
        place: &Range<usize>,
    ) -> (Vec<TimeFormat>, Option<u32>) {
        let (one, several) = (find(members, "timeFormat"), find(members, "timeFormats"));
        if let (Some(_), Some(several)) = (one, several) {
            let help = "move it to the list".to_owned();
            self.error(&several.key_span, "both `timeFormat` and `timeFormats` are given", help);
        }
        let several_count = several.map_or(0, |member| count(&member.value));
        if self.pay(place, several_count, 0).is_none() {
            return (Vec::new(), None);
        }
        let written: Vec<Rc<Node>> = match (one, several.map(|member| &member.value)) {
            (Some(one), _) => vec![one.value.clone()],
            (None, Some(node)) => match &node.kind {
                Kind::List(items) => items.clone(),
                _ => vec![node.clone()],
            },
            (None, None) => Vec::new(),
        };
        let is_time = matches!(kind, "timestamp" | "string");
        if let (Some(member), false) = (one.or(several), is_time || !TYPES.contains(&kind)) {
            let message = format!("`{}` belongs to a timestamp, this is `type: {kind}`", member.key);
            self.error(&member.key_span, message, "write `type: timestamp`".to_owned());
        }
        let count = self.errors.len();
        let times: Vec<_> = written.iter().filter_map(|node| self.time_format(node)).collect();
        if kind == "timestamp" && times.is_empty() && self.errors.len() == count {
            let help =
                "add `timeFormat: rfc3339`, unix, unix_ms, unix_us, unix_ns, or as `\"%Y-%m-%d %H:%M:%S\"`";
            self.error(place, "the timestamp has no `timeFormat`", help.to_owned());
        }
        let mut rank = None;
        if self.flag(members, "isEventTime") {
            if kind == "timestamp" || (kind == "string" && !written.is_empty()) {
                rank = Some(self.event_times);
                self.event_times += 1;
            } else if TYPES.contains(&kind) {
                let span = find(members, "isEventTime").map_or(0..0, |member| member.key_span.clone());
                let message = format!("`isEventTime` belongs to a timestamp, this is `type: {kind}`");
                let help = "write `type: timestamp` and its `timeFormat`".to_owned();
                self.error(&span, message, help);
            }
        }
        (times, rank)
    }

    fn time_format(&mut self, node: &Node) -> Option<TimeFormat> {
        let text = node.text().unwrap_or_default();
        let Some(format) = TimeFormat::of(text) else {
            let known = ["rfc3339", "unix", "unix_ms", "unix_us", "unix_ns"];
            let help = match self.near(text, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    "use rfc3339, unix, unix_ms, unix_us, unix_ns, or as `\"%Y-%m-%d %H:%M:%S\"`".to_owned()
                }
            };
            self.error(&node.span, format!("unknown time format `{}`", clip(text)), help);
            return None;
        };
        if let TimeFormat::Strptime(format) = &format
            && let Some(unknown) = Instant::unknown_conversion(format)
        {
            let help = "those of strptime are known, `%f` for a fraction, `%z` and `%Z` for zones".to_owned();
            self.error(&node.span, format!("the time format has the unknown conversion `{unknown}`"), help);
            return None;
        }
        if !format.has_year() {
            let message = format!("the time format `{}` has no year", clip(text));
            let help = "add `%Y`; if the values have none, make the field `type: string`".to_owned();
            self.error(&node.span, message, help);
            return None;
        }
        self.pay(&node.span, 1, text.len())?;
        Some(format)
    }

    pub(super) fn indicators(&mut self, members: &[Member]) -> Vec<Indicator> {
        let Some(member) = find(members, "indicators") else { return Vec::new() };
        let nodes: Vec<&Node> = match &member.value.kind {
            Kind::List(items) => items.iter().map(|item| &**item).collect(),
            _ => vec![&member.value],
        };
        let mut indicators = Vec::new();
        for node in nodes {
            if self.pay(&member.value.span, 1, 0).is_none() {
                break;
            }
            let name = node.text().unwrap_or_default();
            match Indicator::of(name) {
                Some(indicator) if !indicators.contains(&indicator) => indicators.push(indicator),
                Some(_) => {}
                None => match self.near(name, Indicator::names()) {
                    Some(near) => {
                        let help = format!("did you mean `{near}`?");
                        self.error(&node.span, format!("unknown indicator `{}`", clip(name)), help);
                    }
                    None => {
                        let names: Vec<_> = Indicator::names().collect();
                        let help = format!("it has no effect; known are {}", names.join(", "));
                        self.warning(&node.span, format!("unknown indicator `{}`", clip(name)), help);
                    }
                },
            }
        }
        indicators
    }

    pub(super) fn validate(&mut self, member: &Member, kind: &str) -> Option<Validate> {
        let Kind::Map(rules) = &member.value.kind else {
            let message = format!("`validate` is a map of rules, this is {}", member.value.what());
            self.error(&member.value.span, message, "the rules are allow, deny, ip and cidr".to_owned());
            return None;
        };
        if kind != "string" && TYPES.contains(&kind) {
            let message = format!("`validate` belongs to a string, this is `type: {kind}`");
            self.error(&member.key_span, message, "write `type: string`, or take it out".to_owned());
        }
        self.pay(&member.value.span, rules.len(), 0)?;
        let known = ["allow", "deny", "ip", "cidr"];
        let mut validate = Validate::default();
        for rule in rules {
            match &*rule.key {
                _ if rule.value.is_null() && known.contains(&&*rule.key) => {}
                "allow" => validate.allow = self.words(&rule.value),
                "deny" => validate.deny = self.words(&rule.value),
                "ip" => validate.ip = self.version(&rule.value),
                "cidr" => validate.cidr = self.version(&rule.value),
                wrong => {
                    let help = match self.near(wrong, known) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("the rules are {}", known.join(", ")),
                    };
                    self.error(&rule.key_span, format!("unknown rule `{}`", clip(wrong)), help);
                }
            }
        }
        Some(validate)
    }

    fn words(&mut self, node: &Node) -> Vec<String> {
        let nodes: Vec<&Node> = match &node.kind {
            Kind::List(items) => items.iter().map(|item| &**item).collect(),
            _ => vec![node],
        };
        let mut words = Vec::new();
        for node in nodes {
            let bytes = node.text().map_or(0, str::len);
            if self.pay(&node.span, 2, bytes).is_none() {
                break;
            }
            match node.text() {
                Some(text) => words.push(text.to_owned()),
                None => self.error(&node.span, format!("a value is text, this is {}", node.what()), None),
            }
        }
        words
    }

    fn version(&mut self, node: &Node) -> Option<Version> {
        match node.text().unwrap_or_default() {
            "any" | "true" => Some(Version::Any),
            "ipv4" => Some(Version::V4),
            "ipv6" => Some(Version::V6),
            "false" => None,
            wrong => {
                let help = "write `any`, `ipv4` or `ipv6`".to_owned();
                self.error(&node.span, format!("unknown version `{}`", clip(wrong)), help);
                None
            }
        }
    }
}

/// Items of a list; anything else is one.
fn count(node: &Node) -> usize {
    match &node.kind {
        Kind::List(items) => items.len(),
        _ => 1,
    }
}
