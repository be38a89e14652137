//! Every way of paging that the documentation shows, run word for word.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::io::Write as _;

use axum::Router;
use axum::extract::{Query, RawQuery};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use support::{Workspace, repository};

const ITEMS: usize = 23;
const SIZE: usize = 5;

type Members = Query<BTreeMap<String, String>>;

fn items(from: usize, count: usize) -> Vec<Value> {
    (from..ITEMS.min(from + count)).map(|n| json!({ "id": format!("e{n}"), "n": n })).collect()
}

fn number(query: &Members, name: &str, default: usize) -> usize {
    query.get(name).map_or(default, |text| text.parse().unwrap())
}

async fn links(query: Members) -> Response {
    let page = number(&query, "page", 0);
    let mut headers = HeaderMap::new();
    if (page + 1) * SIZE < ITEMS {
        let link = format!("</links?page={}>; rel=\"next\", </links>; rel=\"first\"", page + 1);
        headers.insert(header::LINK, link.parse().unwrap());
    }
    (headers, axum::body::Body::from(json!(items(page * SIZE, SIZE)).to_string())).into_response()
}

async fn rel(query: Members) -> String {
    let page = number(&query, "page", 0);
    let mut links = vec![json!({ "rel": "self", "href": "/rel" })];
    if (page + 1) * SIZE < ITEMS {
        links.push(json!({ "rel": "next", "href": format!("/rel?page={}", page + 1) }));
    }
    json!({ "results": items(page * SIZE, SIZE), "links": links }).to_string()
}

async fn cursor(query: Members) -> String {
    let at = query.get("cursor").map_or(0, |text| text.strip_prefix("c+/").unwrap().parse().unwrap());
    let found = items(at, number(&query, "limit", SIZE));
    let cursor = format!("c+/{}", at + found.len());
    json!({ "items": found, "cursor": cursor }).to_string()
}

async fn pages(query: Members) -> String {
    let (page, size) = (number(&query, "page", 1), number(&query, "size", SIZE));
    json!({ "items": items((page - 1) * size, size) }).to_string()
}

async fn offsets(query: Members) -> String {
    json!({ "items": items(number(&query, "offset", 0), number(&query, "limit", SIZE)) }).to_string()
}

async fn file() -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    for item in items(0, ITEMS) {
        writeln!(packed, "{item}").unwrap();
    }
    writeln!(packed, "no JSON").unwrap();
    packed.finish().unwrap()
}

async fn elsewhere(RawQuery(_): RawQuery) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, "http://127.0.0.1:9/stolen")]).into_response()
}

/// A server on a thread of its own; it lives as long as the process.
fn serve() -> String {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let router = Router::new()
                .route("/links", get(links))
                .route("/rel", get(rel))
                .route("/cursor", get(cursor))
                .route("/pages", get(pages))
                .route("/offsets", get(offsets))
                .route("/file", get(file))
                .route("/elsewhere", get(elsewhere));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(format!("http://{}", listener.local_addr().unwrap())).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
    });
    receiver.recv().unwrap()
}

const SINK: &str = "\n[sinks.out]\ntype = \"file\"\ninputs = [\"api\"]\npath = \"out.ndjson\"\n";

#[test]
fn every_documented_way_of_paging_works_as_it_is_written() {
    let base = serve();
    let text = std::fs::read_to_string(repository().join("docs/polling.md")).unwrap();
    let examples: Vec<_> = text
        .split("<!-- paging: ")
        .skip(1)
        .map(|part| (part.split(' ').next().unwrap(), part.split("```").nth(1).unwrap()))
        .collect();
    assert_eq!(examples.len(), 6);
    for (name, example) in examples {
        let workspace = Workspace::new();
        let source = example.trim_start_matches("toml\n").replace("https://api.example.com", &base);
        workspace.write("pipeline.toml", format!("data_dir = \"state\"\n{source}{SINK}"));
        let run = workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(0);
        let mut found: Vec<String> = workspace.lines("out.ndjson");
        found.sort();
        let mut expected: Vec<String> = items(0, ITEMS).iter().map(Value::to_string).collect();
        expected.sort();
        assert_eq!(found, expected, "{name}");
        let dead = usize::from(name == "file");
        let ledger = format!("read={} delivered={ITEMS} filtered=0 dead_lettered={dead}", ITEMS + dead);
        assert!(run.stderr.contains(&ledger), "{name}: {}", run.stderr);
        let again = workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(0);
        assert!(again.stderr.contains("read=0"), "{name}: {}", again.stderr);
    }
}

#[test]
fn a_login_never_leaves_its_origin() {
    let base = serve();
    let workspace = Workspace::new();
    for (url, next) in [("/elsewhere", "null"), ("/pages", "\"http://127.0.0.1:9/stolen\"")] {
        workspace.write(
            "pipeline.toml",
            format!(
                "data_dir = \"state\"\n[sources.api]\ntype = \"http_poll\"\nurl = \"{base}{url}\"\nnext = '{next}'\nauth = {{ type = \"bearer\", token = \"hidden\" }}\n{SINK}"
            ),
        );
        let run = workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(74);
        assert!(run.stderr.contains("another origin"), "{}", run.stderr);
        assert!(!run.stderr.contains("hidden") && !run.stderr.contains("stolen"), "{}", run.stderr);
    }
}

#[test]
fn what_makes_no_sense_is_said_before_anything_is_asked() {
    let workspace = Workspace::new();
    for (options, expected) in [
        ("url = \"/a\"\nrequest = '{url: \"/a\"}'", "give either `url` or `request`"),
        ("request = '{url: $wndow.start}'", "did you mean `$window`?"),
        ("request = '{url: \"/a\"}'\nwindow = {}", "missing option `start`"),
        ("url = \"/a\"\nbase_url = \"https://a.example/path\"", "this is no base of URLs"),
        ("url = \"/a\"\nauth = { type = \"digst\", username = \"a\" }", "did you mean \"digest\"?"),
        (
            "url = \"/a\"\nauth = { type = \"digest\", username = \"a\" }",
            "give `public_key` and `private_key`",
        ),
        ("url = \"/a\"\nauth = { username = \"a\" }", "missing option `type`"),
        ("url = \"/a\"\noverflow = 'true'", "works on windows only"),
        ("url = \"/a\"\nsnapshot = true\nwindow = {}\nstart = \"now\"", "a snapshot has no windows"),
        ("url = \"/a\"\nstart = \"yesterday\"", "write \"now\", \"all\" or a time"),
    ] {
        workspace.write("p.toml", format!("[sources.api]\ntype = \"http_poll\"\n{options}\n{SINK}"));
        let run = workspace.run(&["validate", "p.toml"]).expect_code(78);
        assert!(run.stderr.contains(expected), "{options}\n{}", run.stderr);
    }
}
