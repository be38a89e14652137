//! What mappings of security events need beyond jq, with the documentation that
//! `jaquard functions` prints. None of the names is one of jq's.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use super::super::native::{Native, native};
use super::collection::string;
use crate::jq::budget;
use crate::jq::library::{cef, csv, digest, kv, leef, mask, net, syslog, url};
use crate::jq::value::{Exn, Obj, Raised, Str, Val};

/// Documentation of a function.
#[derive(Debug)]
pub struct Doc {
    /// Its name.
    pub name: &'static str,
    /// How it is called.
    pub usage: &'static str,
    /// What it is about: a heading.
    pub subject: &'static str,
    /// What it does, in a sentence or two.
    pub about: &'static str,
    /// Examples, which are run as tests.
    pub examples: &'static [Example],
}

/// A program, its input and its output, as JSON texts.
#[derive(Debug)]
pub struct Example {
    /// The program.
    pub program: &'static str,
    /// Its input.
    pub input: &'static str,
    /// Its only output.
    pub output: &'static str,
}

const fn example(program: &'static str, input: &'static str, output: &'static str) -> Example {
    Example { program, input, output }
}

/// Documentation of every function beyond jq's, by subject.
pub const DOCS: &[Doc] = &[
    Doc {
        name: "drop_nulls",
        usage: "drop_nulls",
        subject: "Objects",
        about: "Takes out the members and items that are null, at every level, and the objects and arrays that this, or their being empty, leaves without content. Null if nothing is left.",
        examples: &[
            example("drop_nulls", r#"{"a":1,"b":null,"c":{"d":null},"e":[null,2]}"#, r#"{"a":1,"e":[2]}"#),
            example("drop_nulls", r#"{"a":{"b":null}}"#, "null"),
        ],
    },
    Doc {
        name: "merge_deep",
        usage: "merge_deep($other)",
        subject: "Objects",
        about: "Merges another object in, at every level where both sides have one; anything else is replaced.",
        examples: &[example(r#"merge_deep({"a":{"y":2}})"#, r#"{"a":{"x":1}}"#, r#"{"a":{"x":1,"y":2}}"#)],
    },
    Doc {
        name: "flatten_keys",
        usage: "flatten_keys, flatten_keys($separator)",
        subject: "Objects",
        about: "One level of members, each named by the path that led to it, joined by the separator (`.`). Items of arrays are named by their number; empty objects and arrays stay.",
        examples: &[example(
            r#"flatten_keys(".")"#,
            r#"{"a":{"b":1,"c":[2,3]}}"#,
            r#"{"a.b":1,"a.c.0":2,"a.c.1":3}"#,
        )],
    },
    Doc {
        name: "unflatten",
        usage: "unflatten, unflatten($separator)",
        subject: "Objects",
        about: "The inverse of `flatten_keys`: names are taken apart at the separator. Numbers stay names of members.",
        examples: &[example("unflatten", r#"{"a.b":1,"a.c":2}"#, r#"{"a":{"b":1,"c":2}}"#)],
    },
    Doc {
        name: "to_epoch_ms",
        usage: "to_epoch_ms",
        subject: "Time",
        about: "A timestamp as milliseconds since 1970. Takes RFC 3339 with any fraction, a space for the `T`, offsets with or without colon, zone abbreviations, a date alone, and numbers (also in a string), whose magnitude says whether they are seconds, milliseconds, microseconds or nanoseconds. Without a zone it is UTC.",
        examples: &[
            example("to_epoch_ms", r#""2024-05-01T12:00:00.5Z""#, "1714564800500"),
            example("to_epoch_ms", r#""2024-05-01 14:00:00 +0200""#, "1714564800000"),
            example("to_epoch_ms", "1714564800", "1714564800000"),
        ],
    },
    Doc {
        name: "from_epoch_ms",
        usage: "from_epoch_ms",
        subject: "Time",
        about: "Milliseconds since 1970 as RFC 3339 in UTC, with three digits of fraction unless they are zero.",
        examples: &[
            example("from_epoch_ms", "1714564800500", r#""2024-05-01T12:00:00.500Z""#),
            example("from_epoch_ms", "1714564800000", r#""2024-05-01T12:00:00Z""#),
        ],
    },
    Doc {
        name: "parse_time",
        usage: "parse_time($formats)",
        subject: "Time",
        about: "A timestamp in the first of the given strptime formats that fits all of it, as milliseconds since 1970. `%f` is a fraction of a second, `%Z` knows common abbreviations.",
        examples: &[example(
            r#"parse_time(["%Y/%m/%d", "%d/%b/%Y:%H:%M:%S %z"])"#,
            r#""01/May/2024:12:00:00 +0000""#,
            "1714564800000",
        )],
    },
    Doc {
        name: "is_ip",
        usage: "is_ip",
        subject: "Addresses",
        about: "Whether the input is the text of an IPv4 or IPv6 address and nothing else.",
        examples: &[
            example("is_ip", r#""2001:db8::1""#, "true"),
            example("is_ip", r#""10.0.0.256""#, "false"),
            example("is_ip", "null", "false"),
        ],
    },
    Doc {
        name: "ip_version",
        usage: "ip_version",
        subject: "Addresses",
        about: "4 or 6. An IPv4 address written as IPv6 is 4.",
        examples: &[example("ip_version", r#""::ffff:192.0.2.1""#, "4")],
    },
    Doc {
        name: "ip_normalize",
        usage: "ip_normalize",
        subject: "Addresses",
        about: "The canonical text of an address: RFC 5952 for IPv6, without brackets, port and zone; IPv4 in IPv6 becomes IPv4.",
        examples: &[
            example("ip_normalize", r#""[2001:DB8:0:0::1]:443""#, r#""2001:db8::1""#),
            example("ip_normalize", r#""::ffff:192.0.2.1""#, r#""192.0.2.1""#),
        ],
    },
    Doc {
        name: "ip_class",
        usage: "ip_class",
        subject: "Addresses",
        about: "What an address is for: public, private, loopback, link_local, multicast, documentation, shared, unspecified and so on.",
        examples: &[
            example("ip_class", r#""10.1.2.3""#, r#""private""#),
            example("ip_class", r#""192.0.2.7""#, r#""documentation""#),
        ],
    },
    Doc {
        name: "ip_in",
        usage: "ip_in($networks)",
        subject: "Addresses",
        about: "Whether an address lies in a network in CIDR notation, or in one of an array of them.",
        examples: &[
            example(r#"ip_in("10.0.0.0/8")"#, r#""10.1.2.3""#, "true"),
            example(r#"ip_in(["192.0.2.0/24", "2001:db8::/32"])"#, r#""2001:db8::9""#, "true"),
        ],
    },
    Doc {
        name: "cidr_normalize",
        usage: "cidr_normalize",
        subject: "Addresses",
        about: "A network with its host bits cleared.",
        examples: &[example("cidr_normalize", r#""10.1.2.3/8""#, r#""10.0.0.0/8""#)],
    },
    Doc {
        name: "cidr_contains",
        usage: "cidr_contains($inner)",
        subject: "Addresses",
        about: "Whether the input, a network, contains all of another.",
        examples: &[example(r#"cidr_contains("10.2.0.0/16")"#, r#""10.0.0.0/8""#, "true")],
    },
    Doc {
        name: "split_port",
        usage: "split_port",
        subject: "Addresses",
        about: "`host:port` taken apart, IPv6 in brackets or not; the port is null if there is none.",
        examples: &[
            example("split_port", r#""[::1]:8080""#, r#"{"host":"::1","port":8080}"#),
            example("split_port", r#""db.example""#, r#"{"host":"db.example","port":null}"#),
        ],
    },
    Doc {
        name: "parse_url",
        usage: "parse_url",
        subject: "Texts",
        about: "The parts of a URL. A password is never among them, only whether there is one. The port is the scheme's own if none is written.",
        examples: &[example(
            "parse_url",
            r#""https://ann@example.com/a?b=1#c""#,
            r#"{"scheme":"https","username":"ann","has_password":false,"host":"example.com","host_type":"domain","port":443,"path":"/a","query":"b=1","fragment":"c"}"#,
        )],
    },
    Doc {
        name: "parse_query",
        usage: "parse_query",
        subject: "Texts",
        about: "A query string as an object, percent-decoded. A name that comes more than once has an array of its values.",
        examples: &[example("parse_query", r#""a=1&b=x+y&a=2""#, r#"{"a":["1","2"],"b":"x y"}"#)],
    },
    Doc {
        name: "parse_kv",
        usage: "parse_kv, parse_kv($pair_separator; $separator)",
        subject: "Texts",
        about: "`key=value` pairs as an object; values may be quoted. Without arguments pairs are apart by white space. A key without a value is null, one that comes more than once has an array.",
        examples: &[
            example(
                "parse_kv",
                r#""user=ann action=\"log in\" ok""#,
                r#"{"user":"ann","action":"log in","ok":null}"#,
            ),
            example(r#"parse_kv(";"; ":")"#, r#""a:1;b:2""#, r#"{"a":"1","b":"2"}"#),
        ],
    },
    Doc {
        name: "parse_csv",
        usage: "parse_csv, parse_csv($delimiter)",
        subject: "Texts",
        about: "Records of comma-separated values, each an array of strings. Quotes as in RFC 4180.",
        examples: &[example("parse_csv", r#""a,\"b,c\"\n1,2""#, r#"[["a","b,c"],["1","2"]]"#)],
    },
    Doc {
        name: "parse_syslog",
        usage: "parse_syslog",
        subject: "Texts",
        about: "A syslog line of RFC 5424 or, tolerantly, RFC 3164. The timestamp stays as it is written; members that the line does not have are null.",
        examples: &[example(
            "parse_syslog",
            r#""<34>1 2024-05-01T12:00:00Z host app 7 ID [x@1 k=\"v\"] hello""#,
            r#"{"version":1,"facility":"auth","facility_code":4,"severity":"crit","severity_code":2,"timestamp":"2024-05-01T12:00:00Z","hostname":"host","appname":"app","procid":"7","msgid":"ID","structured_data":{"x@1":{"k":"v"}},"message":"hello"}"#,
        )],
    },
    Doc {
        name: "parse_cef",
        usage: "parse_cef",
        subject: "Texts",
        about: "A line of the Common Event Format, with or without a syslog header. Extensions are an object of their own.",
        examples: &[example(
            "parse_cef",
            r#""CEF:0|Acme|Door|1.0|100|opened|5|src=10.0.0.1 msg=by hand""#,
            r#"{"cef_version":0,"device_vendor":"Acme","device_product":"Door","device_version":"1.0","device_event_class_id":"100","name":"opened","severity":"5","extensions":{"src":"10.0.0.1","msg":"by hand"}}"#,
        )],
    },
    Doc {
        name: "parse_leef",
        usage: "parse_leef",
        subject: "Texts",
        about: "A line of the Log Event Extended Format 1.0 or 2.0, with or without a syslog header.",
        examples: &[example(
            "parse_leef",
            r#""LEEF:2.0|Acme|Door|1.0|opened|^|src=10.0.0.1^usr=ann""#,
            r#"{"leef_version":"2.0","device_vendor":"Acme","device_product":"Door","device_version":"1.0","event_id":"opened","attributes":{"src":"10.0.0.1","usr":"ann"}}"#,
        )],
    },
    Doc {
        name: "sha256",
        usage: "sha256",
        subject: "Digests",
        about: "SHA-256 of a string in lowercase hex. `sha1`, `sha512` and `md5` likewise.",
        examples: &[example(
            "sha256",
            r#""abc""#,
            r#""ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad""#,
        )],
    },
    Doc {
        name: "sha1",
        usage: "sha1",
        subject: "Digests",
        about: "SHA-1 of a string in lowercase hex: to compare, not to protect.",
        examples: &[example("sha1", r#""abc""#, r#""a9993e364706816aba3e25717850c26c9cd0d89d""#)],
    },
    Doc {
        name: "sha512",
        usage: "sha512",
        subject: "Digests",
        about: "SHA-512 of a string in lowercase hex.",
        examples: &[example("sha512 | .[:16]", r#""abc""#, r#""ddaf35a193617aba""#)],
    },
    Doc {
        name: "md5",
        usage: "md5",
        subject: "Digests",
        about: "MD5 of a string in lowercase hex: to compare, not to protect.",
        examples: &[example("md5", r#""abc""#, r#""900150983cd24fb0d6963f7d28e17f72""#)],
    },
    Doc {
        name: "hmac",
        usage: "hmac($key), hmac($key; $algorithm)",
        subject: "Digests",
        about: "HMAC of a string in lowercase hex, with `sha256` or the given one of `sha256`, `sha512`, `sha1`. Put the key into `args` from outside the file.",
        examples: &[example(
            r#"hmac("key")"#,
            r#""The quick brown fox jumps over the lazy dog""#,
            r#""f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8""#,
        )],
    },
    Doc {
        name: "uuid5",
        usage: "uuid5($namespace)",
        subject: "Digests",
        about: "A UUID of version 5 made of the input; the namespace is a UUID, or one of `dns`, `url`, `oid`, `x500`.",
        examples: &[example(
            r#"uuid5("dns")"#,
            r#""www.example.com""#,
            r#""2ed6657d-e927-568b-95e1-2665a8aea6a2""#,
        )],
    },
    Doc {
        name: "mask",
        usage: "mask, mask($keep)",
        subject: "Privacy",
        about: "A string with every character but the last `$keep` (0) replaced by `*`; all of them if it is no longer than that.",
        examples: &[example("mask(4)", r#""4111111111111111""#, r#""************1111""#)],
    },
    Doc {
        name: "redact",
        usage: "redact, redact($kinds)",
        subject: "Privacy",
        about: "A string with what looks like an email address, an IP address, a card number, a token or a key replaced by its kind in brackets. Kinds: jwt, bearer, aws_key, email, ipv6, ipv4, credit_card, ssn.",
        examples: &[example(r#"redact(["email"])"#, r#""from ann@example.com""#, r#""from [email]""#)],
    },
];

pub(super) const NATIVES: &[Native] = &[
    native("is_ip", 0, |value, _| Ok(Val::Bool(value.as_str().is_some_and(net::is_ip)))),
    native("ip_version", 0, |value, _| {
        of_text(&value, |text| net::ip_version(text).map(|v| Val::Int(i64::from(v))))
    }),
    native("ip_normalize", 0, |value, _| of_text(&value, |text| net::ip_normalize(text).map(Val::string))),
    native("ip_class", 0, |value, _| of_text(&value, |text| net::ip_class(text).map(Val::str))),
    native("ip_in", 1, |value, args| {
        let address = match &value {
            Val::Str(text) => {
                net::parse_ip(text.as_str()).map_err(|message| Raised::about(&value, message))?
            }
            other => return Err(Raised::typed(other, "is not a string")),
        };
        let inside = |network: &Val| -> Result<bool, Exn> {
            Ok(network_of(string(network, "a network")?)?.contains(address))
        };
        match args[0].as_items() {
            Some(networks) => {
                for network in networks.iter() {
                    budget::work(1);
                    if inside(network)? {
                        return Ok(Val::Bool(true));
                    }
                }
                Ok(Val::Bool(false))
            }
            None => inside(&args[0]).map(Val::Bool),
        }
    }),
    native("cidr_normalize", 0, |value, _| {
        of_text(&value, |text| net::cidr_normalize(text).map(Val::string))
    }),
    native("cidr_contains", 1, |value, args| {
        let inner = string(&args[0], "a network")?;
        of_text(&value, |outer| net::cidr_contains(outer, inner.as_str()).map(Val::Bool))
    }),
    native("split_port", 0, |value, _| {
        of_text(&value, |text| {
            let (host, port) = net::ip_port(text)?;
            Ok(Val::record([
                ("host", Val::str(host)),
                ("port", port.map_or(Val::Null, |port| Val::Int(i64::from(port)))),
            ]))
        })
    }),
    native("parse_url", 0, |value, _| {
        of_text(&value, |text| {
            let parts = url::parse_url(text)?;
            let text = |text: Option<String>| text.map_or(Val::Null, Val::string);
            Ok(Val::record([
                ("scheme", Val::string(parts.scheme)),
                ("username", text(parts.username)),
                ("has_password", Val::Bool(parts.has_password)),
                ("host", text(parts.host)),
                ("host_type", parts.host_type.map_or(Val::Null, |kind| Val::str(kind.as_str()))),
                ("port", parts.port.map_or(Val::Null, |port| Val::Int(i64::from(port)))),
                ("path", Val::string(parts.path)),
                ("query", text(parts.query)),
                ("fragment", text(parts.fragment)),
            ]))
        })
    }),
    native("parse_query", 0, |value, _| {
        of_text(&value, |text| {
            Ok(gather(url::parse_query(text).into_iter().map(|(key, value)| (key, Val::str(&value)))))
        })
    }),
    native("parse_kv", 0, |value, _| of_text(&value, |text| kv::parse_kv(text, None, "=").map(pairs))),
    native("parse_kv", 2, |value, args| {
        let between = string(&args[0], "the separator of pairs")?;
        let within = string(&args[1], "the separator of a pair")?;
        of_text(&value, |text| kv::parse_kv(text, Some(between.as_str()), within.as_str()).map(pairs))
    }),
    native("parse_csv", 0, |value, _| of_text(&value, |text| csv::parse_csv(text, ',').map(records))),
    native("parse_csv", 1, |value, args| {
        let delimiter = string(&args[0], "the delimiter of parse_csv")?;
        let mut characters = delimiter.as_str().chars();
        match (characters.next(), characters.next()) {
            (Some(delimiter), None) => of_text(&value, |text| csv::parse_csv(text, delimiter).map(records)),
            _ => {
                Err(Raised::typed(&args[0], "cannot be the delimiter of parse_csv: it is not one character"))
            }
        }
    }),
    native("parse_syslog", 0, |value, _| {
        of_text(&value, |text| syslog::parse(text).map(|line| of_syslog(&line)))
    }),
    native("parse_cef", 0, |value, _| {
        of_text(&value, |text| {
            let line = cef::parse(text)?;
            let extensions = line.extensions.iter().map(|(key, value)| (Cow::from(*key), Val::str(value)));
            Ok(Val::record([
                ("cef_version", Val::Int(i64::from(line.cef_version))),
                ("device_vendor", Val::str(&line.device_vendor)),
                ("device_product", Val::str(&line.device_product)),
                ("device_version", Val::str(&line.device_version)),
                ("device_event_class_id", Val::str(&line.device_event_class_id)),
                ("name", Val::str(&line.name)),
                ("severity", Val::str(&line.severity)),
                ("extensions", gather(extensions)),
            ]))
        })
    }),
    native("parse_leef", 0, |value, _| {
        of_text(&value, |text| {
            let line = leef::parse(text)?;
            let attributes = line.attributes.iter().map(|(key, value)| (Cow::from(*key), Val::str(value)));
            Ok(Val::record([
                ("leef_version", Val::str(line.leef_version)),
                ("device_vendor", Val::str(line.device_vendor)),
                ("device_product", Val::str(line.device_product)),
                ("device_version", Val::str(line.device_version)),
                ("event_id", Val::str(line.event_id)),
                ("attributes", gather(attributes)),
            ]))
        })
    }),
    native("sha256", 0, |value, _| of_text(&value, |text| Ok(Val::string(digest::sha256_hex(text))))),
    native("sha512", 0, |value, _| of_text(&value, |text| Ok(Val::string(digest::sha512_hex(text))))),
    native("sha1", 0, |value, _| of_text(&value, |text| Ok(Val::string(digest::sha1_hex(text))))),
    native("md5", 0, |value, _| of_text(&value, |text| Ok(Val::string(digest::md5_hex(text))))),
    native("hmac", 1, |value, args| hmac(&value, &args[0], "sha256")),
    native("hmac", 2, |value, args| {
        hmac(&value, &args[0], string(&args[1], "an algorithm of hmac")?.as_str())
    }),
    native("uuid5", 1, |value, args| {
        let namespace = string(&args[0], "a namespace of uuid5")?;
        of_text(&value, |name| digest::uuid5(namespace.as_str(), name).map(Val::string))
    }),
    native("mask", 0, |value, _| of_text(&value, |text| Ok(Val::string(mask::mask(text, 0))))),
    native("mask", 1, |value, args| match args[0].as_f64() {
        Some(keep) if keep >= 0.0 => of_text(&value, |text| Ok(Val::string(mask::mask(text, keep as usize)))),
        _ => Err(Raised::typed(&args[0], "cannot be the number of characters that mask keeps")),
    }),
    native("redact", 0, |value, _| of_text(&value, |text| mask::redact(text, &mask::KINDS).map(Val::string))),
    native("redact", 1, |value, args| {
        let kinds = match args[0].as_items() {
            Some(items) => items.to_vec(),
            None => vec![args[0].clone()],
        };
        let mut names = Vec::with_capacity(kinds.len());
        for kind in &kinds {
            names.push(string(kind, "a kind of redact")?.as_str());
        }
        of_text(&value, |text| mask::redact(text, &names).map(Val::string))
    }),
];

/// A function of a text; its message is about the text.
fn of_text(value: &Val, run: impl FnOnce(&str) -> Result<Val, String>) -> Result<Val, Exn> {
    let Val::Str(text) = value else { return Err(Raised::typed(value, "is not a string")) };
    budget::charge(text.len() * 4);
    budget::work(text.len() / 32);
    run(text.as_str()).map_err(|message| Raised::about(value, message))
}

/// Networks that a thread has parsed.
const KEPT: usize = 1024;

fn network_of(text: &Str) -> Result<net::Cidr, Exn> {
    thread_local! {
        static NETWORKS: RefCell<HashMap<Str, net::Cidr>> = RefCell::default();
    }
    NETWORKS.with_borrow_mut(|networks| {
        if let Some(network) = networks.get(text) {
            return Ok(*network);
        }
        let network = net::Cidr::parse(text.as_str())
            .map_err(|message| Raised::about(&Val::Str(text.clone()), message))?;
        if networks.len() >= KEPT {
            networks.clear();
        }
        networks.insert(Str::new(text.as_str()), network);
        Ok(network)
    })
}

/// Pairs as an object. The values of a key that comes more than once are an array.
fn gather<'a>(pairs: impl Iterator<Item = (Cow<'a, str>, Val)>) -> Val {
    let mut object = Obj::new();
    let mut several: HashMap<Str, Vec<Val>> = HashMap::new();
    for (key, value) in pairs {
        let key = Str::new(&key);
        match object.get(key.as_bytes()) {
            None => object.insert(key, value),
            Some(first) => several.entry(key).or_insert_with(|| vec![first.clone()]).push(value),
        }
    }
    for (key, values) in several {
        object.insert(key, Val::arr(values));
    }
    Val::obj(object)
}

fn pairs(pairs: Vec<kv::Pair<'_>>) -> Val {
    gather(pairs.into_iter().map(|(key, value)| (key, value.map_or(Val::Null, |value| Val::str(&value)))))
}

fn records(records: Vec<Vec<String>>) -> Val {
    Val::arr(
        records.into_iter().map(|record| Val::arr(record.into_iter().map(Val::string).collect())).collect(),
    )
}

fn of_syslog(line: &syslog::Syslog<'_>) -> Val {
    let text = |text: Option<&str>| text.map_or(Val::Null, Val::str);
    let priority = line.priority;
    let data = line.structured_data.iter().map(|element| {
        let params = element.params.iter().map(|(key, value)| (Cow::from(*key), Val::str(value)));
        (Cow::from(element.id), gather(params))
    });
    Val::record([
        ("version", line.version.map_or(Val::Null, |version| Val::Int(i64::from(version)))),
        ("facility", priority.map_or(Val::Null, |p| Val::str(p.facility_keyword()))),
        ("facility_code", priority.map_or(Val::Null, |p| Val::Int(i64::from(p.facility())))),
        ("severity", priority.map_or(Val::Null, |p| Val::str(p.severity_keyword()))),
        ("severity_code", priority.map_or(Val::Null, |p| Val::Int(i64::from(p.severity())))),
        ("timestamp", text(line.timestamp)),
        ("hostname", text(line.hostname)),
        ("appname", text(line.appname)),
        ("procid", text(line.procid)),
        ("msgid", text(line.msgid)),
        ("structured_data", gather(data)),
        ("message", Val::str(line.message)),
    ])
}

fn hmac(value: &Val, key: &Val, algorithm: &str) -> Result<Val, Exn> {
    let key = string(key, "a key of hmac")?.as_str();
    of_text(value, |text| {
        Ok(Val::string(match algorithm {
            "sha256" => digest::hmac_sha256_hex(key, text),
            "sha512" => digest::hmac_sha512_hex(key, text),
            "sha1" => digest::hmac_sha1_hex(key, text),
            other => {
                return Err(format!("`{other}` is no algorithm of hmac; there are sha256, sha512 and sha1"));
            }
        }))
    })
}
