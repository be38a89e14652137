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

/// What a server has to tell: pages by number, each a list of ids; then the same again, forever.
fn scripted(pages: &'static [&'static str]) -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let handler = move || {
                let at = count.fetch_add(1, Ordering::SeqCst);
                async move { pages[at % pages.len()] }
            };
            let moved = || async { (StatusCode::FOUND, [(header::LOCATION, "https://login.example.com/")]) };
            let router = Router::new().route("/", get(moved)).route("/feed", get(handler));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(format!("http://{}", listener.local_addr().unwrap())).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
    });
    (receiver.recv().unwrap(), asked)
}

fn ids(workspace: &Workspace) -> Vec<String> {
    let value = |line: &String| serde_json::from_str::<Value>(line).unwrap();
    workspace.lines("out.ndjson").iter().map(|line| value(line)["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_a_feed_shows_again_after_a_pause_is_still_known() {
    let (base, _) =
        scripted(&[r#"[{"id":"a"},{"id":"b"}]"#, r#"[{"id":"a"}]"#, r#"[{"id":"b"},{"id":"c"}]"#]);
    let workspace = Workspace::new();
    let source = format!("[sources.api]\ntype = \"http_poll\"\nurl = \"{base}/feed\"\nid = \".id\"\n");
    workspace.write("pipeline.toml", format!("data_dir = \"state\"\n{source}{SINK}"));
    for _ in 0..6 {
        workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(0);
    }
    assert_eq!(ids(&workspace), ["a", "b", "c"]);
}

#[test]
fn a_long_run_of_pages_is_read_to_its_end_also_with_a_state_that_only_the_last_page_has() {
    let base = serve();
    let workspace = Workspace::new();
    let source = format!(
        "[sources.api]\ntype = \"http_poll\"\nbase_url = \"{base}\"\nurl = \"/offsets\"\nquery = {{ offset = 0, limit = 1 }}\n\
         records = '[range(7) as $n | .body.items[] | {{id: \"\\(.id)-\\($n)\"}}][]'\n\
         next = 'if $page > 120 then null else {{ query: {{ offset: ($page % 23) }} }} end'\n\
         state = 'if $page > 120 then {{done: true}} else $state end'\nid = '\"\\(.id)-\\($page)\"'\nstart = \"all\"\n"
    );
    workspace.write("pipeline.toml", format!("data_dir = \"state\"\n{source}{SINK}"));
    let run = workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(0);
    assert!(run.stderr.contains(&format!("read={}", 121 * 7)), "{}", run.stderr);
}

#[test]
fn a_cursor_that_stays_where_it_is_ends_the_run() {
    let (base, asked) = scripted(&[r#"{"items":[{"id":"x"}],"cursor":"same"}"#]);
    let workspace = Workspace::new();
    let source = format!(
        "[sources.api]\ntype = \"http_poll\"\nbase_url = \"{base}\"\nrequest = '{{url: \"/feed\", query: {{cursor: $state}}}}'\n\
         records = '.body.items[]'\nnext = '{{query: {{cursor: .body.cursor}}}}'\nstate = '.body.cursor'\nid = '.id'\nstart = \"all\"\n"
    );
    workspace.write("pipeline.toml", format!("data_dir = \"state\"\n{source}{SINK}"));
    workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(0);
    assert_eq!(ids(&workspace), ["x"]);
    assert!(asked.load(std::sync::atomic::Ordering::SeqCst) <= 3);
}

#[test]
fn a_server_whose_front_page_leads_elsewhere_still_tells_its_clock() {
    let (base, _) = scripted(&[r#"[{"id":"a"}]"#]);
    let workspace = Workspace::new();
    let source = format!(
        "[sources.api]\ntype = \"http_poll\"\nbase_url = \"{base}\"\nurl = \"/feed\"\nid = '.id'\nwindow = {{}}\nstart = \"2026-01-01T00:00:00Z\"\nauth = {{ type = \"bearer\", token = \"hidden\" }}\n"
    );
    workspace.write("pipeline.toml", format!("data_dir = \"state\"\n{source}{SINK}"));
    workspace.run(&["run", "--once", "pipeline.toml"]).expect_code(0);
    // this server takes no notice of windows: each of them holds the same record
    assert!(ids(&workspace).iter().all(|id| id == "a"));
}

#[test]
fn a_closed_output_and_alerts_alone_end_a_run() {
    let workspace = Workspace::new();
    workspace.write(
        "pipeline.toml",
        "data_dir = \"state\"\n[sources.made]\ntype = \"generate\"\nshape = \"mongodb_atlas/organization_events\"\ncount = 100000\n\
         [sources.alerts]\ntype = \"alerts\"\n[sinks.screen]\ntype = \"console\"\ninputs = [\"made\"]\n\
         [sinks.notices]\ntype = \"file\"\ninputs = [\"alerts\"]\npath = \"alerts.ndjson\"\n",
    );
    let mut child = workspace
        .command(&["run", "--once", "pipeline.toml"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    workspace.write(
        "alone.toml",
        "data_dir = \"alone\"\n[sources.alerts]\ntype = \"alerts\"\n[sinks.s]\ntype = \"blackhole\"\ninputs = [\"alerts\"]\n",
    );
    workspace.run(&["run", "--once", "alone.toml"]).expect_code(0);
}
