//! Tests of the fakes, with a client that knows nothing but sockets.

mod atlas;
mod atlassian;
mod faults;
mod login;

use std::io::{self, Read as _};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

/// An answer.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error}: {} {}", self.status, String::from_utf8_lossy(&self.body))
        })
    }

    fn ids(&self, list: &str) -> Vec<String> {
        let value = self.json();
        let records = value[list].as_array().unwrap_or_else(|| panic!("{value}"));
        records.iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
    }
}

/// Sends one request over a connection of its own. What is cut is an error.
async fn send(
    api: &FakeApi,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Reply> {
    let address = api.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await?;
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(cut)?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap());
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let mut reply = Reply { status, headers, body: bytes[end + 4..].to_vec() };
    if reply.header("transfer-encoding") == Some("chunked") {
        let mut whole = Vec::new();
        let mut rest = reply.body.as_slice();
        loop {
            let end = rest.windows(2).position(|two| two == b"\r\n").ok_or_else(cut)?;
            let length =
                usize::from_str_radix(&String::from_utf8_lossy(&rest[..end]), 16).map_err(|_| cut())?;
            let chunk = rest.get(end + 2..end + 2 + length).ok_or_else(cut)?;
            whole.extend_from_slice(chunk);
            rest = rest.get(end + 4 + length..).ok_or_else(cut)?;
            if length == 0 {
                break;
            }
        }
        reply.body = whole;
    } else if reply.header("content-length").is_none_or(|length| length != reply.body.len().to_string()) {
        return Err(cut());
    }
    Ok(reply)
}

const ACCEPT: (&str, &str) = ("Accept", "application/vnd.atlas.2023-01-01+json");

/// Asks Atlas; the path is below `/api/atlas/v2`.
async fn get(api: &FakeApi, path: &str) -> Reply {
    send(api, "GET", &format!("/api/atlas/v2{path}"), &[ACCEPT], "").await.unwrap()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

fn project(api: &FakeApi) -> (String, String) {
    let id = api.projects()[0].clone();
    let path = format!("/groups/{id}/events");
    (id, path)
}

#[tokio::test]
async fn a_hundred_thousand_events_are_ready_soon() {
    let began = Instant::now();
    let config = Config { projects: 50, project_events: 2000, access_records: 0, ..Config::default() };
    let api = FakeApi::start(config).await.unwrap();
    let started = began.elapsed();
    let (_, path) = project(&api);
    let began = Instant::now();
    let page = get(&api, &format!("{path}?itemsPerPage=500&includeRaw=true")).await;
    let paged = began.elapsed();
    println!("start {started:?}, page of {} bytes {paged:?}", page.body.len());
    assert!(started < Duration::from_secs(10), "{started:?}");
    assert_eq!(page.ids("results").len(), 500);
}

#[test]
fn a_thread_of_its_own_serves_and_stops() {
    let api = FakeApi::start_thread(Config::default()).unwrap();
    let url = api.url().trim_start_matches("http://").to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.block_on(get(&api, "/orgs")).status, 200);
    api.stop();
    assert!(std::net::TcpStream::connect(url).is_err());
}

#[tokio::test]
async fn the_same_seed_makes_the_same_records() {
    let config = |seed| Config { seed, faults: Faults::some(0.1), ..Config::default() };
    let first = FakeApi::start(config(7)).await.unwrap();
    let second = FakeApi::start(config(7)).await.unwrap();
    let other = FakeApi::start(config(8)).await.unwrap();
    for partition in first.partitions() {
        assert_eq!(first.events(&partition), second.events(&partition));
        assert!(first.ids(&partition).is_disjoint(&other.ids(&partition)));
    }
}

#[tokio::test]
async fn records_are_json_and_their_times_are_those_of_the_index() {
    let config = Config { faults: Faults { collisions: 0.2, ..Faults::default() }, ..Config::default() };
    let api = FakeApi::start(config).await.unwrap();
    for partition in api.partitions() {
        for truth in api.events(&partition) {
            let record: Value = serde_json::from_slice(&truth.record).unwrap();
            let text = match partition {
                Partition::Host { .. } => continue,
                Partition::Atlassian => &record["attributes"]["processedAt"],
                _ => &record["created"],
            };
            let at = DateTime::parse_from_rfc3339(text.as_str().unwrap()).unwrap();
            assert_eq!(at, truth.at, "{record}");
            assert_eq!(record["id"], truth.id.as_str());
        }
    }
    let (id, _) = project(&api);
    let hosts = api
        .partitions()
        .into_iter()
        .filter(|partition| matches!(partition, Partition::Host { project, .. } if *project == id));
    let (mut odd, mut twins) = (0, 0);
    for partition in hosts {
        let truths = api.events(&partition);
        twins += truths.len() - api.ids(&partition).len();
        for truth in truths {
            let record: Value = serde_json::from_slice(&truth.record).unwrap();
            let text = record["timestamp"].as_str().unwrap();
            let (zone, hours) = if text.contains("EDT") { ("EDT", 4) } else { ("GMT", 0) };
            odd += usize::from(hours == 4);
            // without the weekday, which may be wrong
            let format = format!("%b %d %H:%M:%S {zone} %Y");
            let at = chrono::NaiveDateTime::parse_from_str(&text[4..], &format).unwrap();
            let at = at.and_utc() + chrono::TimeDelta::hours(hours);
            assert_eq!(at.timestamp(), truth.at.timestamp(), "{record}");
            let line = record["logLine"].as_str().unwrap();
            let exact = truth.at.format("%Y-%m-%dT%H:%M:%S%.3f").to_string();
            assert!(line.contains(&exact), "{line} {exact}");
            if line.starts_with('{') {
                serde_json::from_str::<Value>(line).unwrap();
            }
        }
    }
    assert!(odd > 0 && twins > 0, "{odd} {twins}");
}
