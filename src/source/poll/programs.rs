//! The programs of a polled source, on a thread of their own: values do not cross threads and need
//! a deep stack, and no program may hold up a task that waits for the network.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};
use xxhash_rust::xxh3::xxh3_128;

use super::plan::{Code, Codec, Fixed, Plan, Pull, Spread};
use crate::event::{Fault, json as text};
use crate::http::Response;
use crate::http::body::Decoder;
use crate::jq::{Json, Limits, RunError, Runner, WriteLimits};

/// Variables of all these programs, besides `$args`.
pub(in crate::source) const GIVEN: [&str; 6] = ["window", "state", "page", "now", "start", "partition"];

/// Pages that may wait for the thread.
const AHEAD: usize = 4;

/// What the variables are for one call.
#[derive(Debug, Clone, Default)]
pub(super) struct Given {
    pub(super) window: Option<(String, String)>,
    pub(super) state: Value,
    pub(super) page: u64,
    pub(super) now: Option<String>,
    pub(super) start: Option<String>,
    pub(super) partition: Value,
}

impl Given {
    fn to_tree(&self) -> Value {
        let window = self.window.as_ref().map(|(start, end)| json!({ "start": start, "end": end }));
        json!({
            "window": window,
            "state": self.state,
            "page": self.page,
            "now": self.now,
            "start": self.start,
            "partition": self.partition,
        })
    }
}

/// Which resource is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Stream,
    /// A level of their discovery.
    Partitions(usize),
}

/// What a page says of the pages after it.
#[derive(Debug)]
pub(super) struct Turning {
    /// Null: it was the last one. Text: the URL of the next. An object: a merge patch of the request.
    pub(super) next: Value,
    /// The window holds more than the API gives.
    pub(super) overflow: bool,
}

/// What a page holds.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) records: Vec<Record>,
    /// `$state` from here on, if the source has a `state` program.
    pub(super) state: Option<Value>,
}

/// One record of a page.
#[derive(Debug)]
pub(super) struct Record {
    /// The JSON text, or what is known of a record that could not be read.
    pub(super) content: Result<Bytes, Box<Fault>>,
    /// Digest of its id.
    pub(super) id: u128,
    /// The id itself if a program gave it.
    pub(super) name: Option<String>,
}

/// Why a program gave nothing.
#[derive(Debug, Clone)]
pub(super) enum ProgramError {
    /// The body is not what the source expects; it may have been cut.
    Body(String),
    /// A program failed, or gave something that makes no sense.
    Program(String),
}

enum Job {
    Id(Value, oneshot::Sender<Result<String, ProgramError>>),
    Request(Which, Given, oneshot::Sender<Result<Value, ProgramError>>),
    Page {
        which: Which,
        given: Given,
        response: Box<Response>,
        turning: oneshot::Sender<Result<Turning, ProgramError>>,
        page: oneshot::Sender<Result<Page, ProgramError>>,
    },
}

/// Hands work to the thread. The thread ends with the last handle.
#[derive(Debug, Clone)]
pub(in crate::source) struct ProgramSet {
    jobs: mpsc::Sender<Job>,
}

fn gone() -> ProgramError {
    ProgramError::Program("the thread of the programs is gone".to_owned())
}

impl ProgramSet {
    /// Starts the thread.
    pub(super) fn start(name: &str, plan: &Arc<Plan>) -> std::io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel(AHEAD);
        let plan = plan.clone();
        Runner::worker_thread(format!("poll {name}")).spawn(move || {
            Runner::enter_worker();
            let mut stream = Runners::new(&plan.pull, &plan);
            let levels = plan.partitions.iter().flat_map(|found| &found.levels);
            let mut levels: Vec<_> = levels.map(|pull| Runners::new(pull, &plan)).collect();
            let mut id = plan
                .partitions
                .as_ref()
                .map(|found| Runner::new(found.id.program.clone(), &plan.args, plan.limits.clone()));
            while let Some(job) = queue.blocking_recv() {
                let which = match &job {
                    Job::Request(which, ..) | Job::Page { which, .. } => *which,
                    Job::Id(..) => {
                        let Job::Id(about, reply) = job else { continue };
                        let found = id.as_mut().map(|id| id_of(id, &about));
                        drop(reply.send(found.unwrap_or_else(|| Err(gone()))));
                        continue;
                    }
                };
                let runners = match which {
                    Which::Stream => &mut stream,
                    Which::Partitions(level) => &mut levels[level],
                };
                // who asked may have been stopped in the meantime
                match job {
                    Job::Request(_, given, reply) => drop(reply.send(runners.request(&given))),
                    Job::Page { given, response, turning, page, .. } => {
                        runners.page(&given, &response, turning, page);
                    }
                    Job::Id(..) => {}
                }
            }
        })?;
        Ok(ProgramSet { jobs })
    }

    /// The first request of a turn.
    pub(super) async fn request(&self, which: Which, given: Given) -> Result<Value, ProgramError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job::Request(which, given, reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// The id of a partition.
    pub(super) async fn id(&self, about: Value) -> Result<String, ProgramError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job::Id(about, reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Reads a page: first what comes after it, so that the next request can be on its way, then
    /// what it holds.
    pub(super) async fn page(
        &self,
        which: Which,
        given: Given,
        response: Response,
    ) -> Result<(Turning, oneshot::Receiver<Result<Page, ProgramError>>), ProgramError> {
        let (turning, first) = oneshot::channel();
        let (page, second) = oneshot::channel();
        let job = Job::Page { which, given, response: Box::new(response), turning, page };
        self.jobs.send(job).await.map_err(|_| gone())?;
        Ok((first.await.map_err(|_| gone())??, second))
    }
}

struct Runners {
    request: Request,
    codec: Codec,
    max_body: u64,
    records: (Runner, &'static str),
    next: Option<(Runner, &'static str)>,
    id: Option<(Runner, &'static str)>,
    state: Option<(Runner, &'static str)>,
    overflow: Option<(Runner, &'static str)>,
    limits: Limits,
}

enum Request {
    Program(Box<Runner>, &'static str),
    Fixed(Value),
}

impl Runners {
    fn new(pull: &Pull, plan: &Plan) -> Self {
        let make =
            |code: &Code| (Runner::new(code.program.clone(), &plan.args, plan.limits.clone()), code.name);
        Runners {
            request: match &pull.request {
                Spread::Program(code) => {
                    let (runner, name) = make(code);
                    Request::Program(Box::new(runner), name)
                }
                Spread::Fixed(fixed) => {
                    let Fixed { method, url, headers, query, body } = &**fixed;
                    let mut shown = Map::new();
                    for (name, value) in headers {
                        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                        shown.insert(name.to_string(), value.into());
                    }
                    let mut request =
                        json!({ "url": url, "method": method.as_str(), "headers": shown, "query": query });
                    if let Some(body) = body {
                        request["body"] = body.clone();
                    }
                    Request::Fixed(request)
                }
            },
            codec: pull.codec,
            max_body: plan.client.max_body,
            records: make(&pull.records),
            next: pull.next.as_ref().map(make),
            id: pull.id.as_ref().map(make),
            state: pull.state.as_ref().map(make),
            overflow: pull.overflow.as_ref().map(make),
            limits: plan.limits.clone(),
        }
    }

    fn request(&mut self, given: &Given) -> Result<Value, ProgramError> {
        match &mut self.request {
            Request::Fixed(request) => Ok(request.clone()),
            Request::Program(runner, name) => {
                let tree = given.to_tree();
                let mut input = of_tree(&tree);
                let mut variables = of_tree(&tree);
                one(runner, name, &mut input, &mut variables)
            }
        }
    }

    fn page(
        &mut self,
        given: &Given,
        response: &Response,
        turning: oneshot::Sender<Result<Turning, ProgramError>>,
        page: oneshot::Sender<Result<Page, ProgramError>>,
    ) {
        let mut faults = Vec::new();
        let body = match self.body(response, &mut faults) {
            Ok(body) => body,
            Err(error) => return drop(turning.send(Err(error))),
        };
        let mut input = Json::record(vec![
            ("status", of_tree(&response.status.into())),
            ("headers", of_tree(&headers_tree(&response.headers))),
            ("body", body),
        ]);
        let mut variables = of_tree(&given.to_tree());
        let first = self.turning(&mut input, &mut variables);
        let is_known = first.is_ok();
        if turning.send(first).is_err() || !is_known {
            return;
        }
        let second = self.records(&mut input, &mut variables, faults);
        drop(page.send(second));
    }

    fn turning(&mut self, input: &mut Json, variables: &mut Json) -> Result<Turning, ProgramError> {
        let overflow = match &mut self.overflow {
            None => false,
            Some((runner, name)) => {
                !matches!(one(runner, name, input, variables)?, Value::Null | Value::Bool(false))
            }
        };
        let next = match &mut self.next {
            None => Value::Null,
            Some((runner, name)) => one(runner, name, input, variables)?,
        };
        if !matches!(next, Value::Null | Value::String(_) | Value::Object(_)) {
            let message = format!("`next` must yield null, a URL or a patch of the request, not {next}");
            return Err(ProgramError::Program(message));
        }
        Ok(Turning { next, overflow })
    }

    fn records(
        &mut self,
        input: &mut Json,
        variables: &mut Json,
        mut records: Vec<Record>,
    ) -> Result<Page, ProgramError> {
        let bounds = WriteLimits::from(&self.limits);
        let mut bytes = Vec::new();
        let mut found = Vec::new();
        let mut refused = None;
        let (runner, name) = &mut self.records;
        let run = runner.run_given(input, variables, &mut |record| {
            let start = bytes.len();
            match record.write(bounds, &mut bytes) {
                Ok(()) => {
                    found.push((start, bytes.len(), record));
                    true
                }
                Err(error) => {
                    refused = Some(format!("a record cannot be written as JSON: {error}"));
                    false
                }
            }
        });
        run.map_err(|error| failed(name, &error))?;
        if let Some(message) = refused {
            return Err(ProgramError::Program(format!("`{name}`: {message}")));
        }
        let bytes = Bytes::from(bytes);
        // equal records of one response are told apart by how many came before
        let mut occurrences: std::collections::HashMap<u128, u64> = std::collections::HashMap::new();
        let mut name_buffer = Vec::new();
        for (start, end, mut record) in found {
            let text = bytes.slice(start..end);
            let named = match &mut self.id {
                None => Ok(None),
                Some((runner, program)) => one_json(runner, program, &mut record, variables).map(|id| {
                    name_buffer.clear();
                    // an id that was made a moment ago is within every bound
                    let _ = id.write(bounds, &mut name_buffer);
                    (name_buffer != b"null").then(|| String::from_utf8_lossy(&name_buffer).into_owned())
                }),
            };
            let (content, id, name) = match named {
                Ok(Some(name)) => (Ok(text), xxh3_128(name.as_bytes()), Some(name)),
                Ok(None) => {
                    let digest = xxh3_128(&text);
                    let before = occurrences.entry(digest).or_default();
                    let id = nth(digest, *before);
                    *before += 1;
                    (Ok(text), id, None)
                }
                Err(ProgramError::Body(message) | ProgramError::Program(message)) => {
                    let id = xxh3_128(&text);
                    let fault = Fault { raw: text, ..Fault::new("jq", message) };
                    (Err(Box::new(fault)), id, None)
                }
            };
            records.push(Record { content, id, name });
        }
        let state = match &mut self.state {
            None => None,
            Some((runner, name)) => Some(one(runner, name, input, variables)?),
        };
        Ok(Page { records, state })
    }

    /// The body as programs see it.
    fn body(&self, response: &Response, faults: &mut Vec<Record>) -> Result<Json, ProgramError> {
        let body = self.unpacked(response)?;
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(of_tree(&match self.codec {
                Codec::Text => Value::from(""),
                Codec::Ndjson => Value::Array(Vec::new()),
                Codec::Auto | Codec::Json => Value::Null,
            }));
        }
        let content_type = response.headers.get(http::header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let depth = self.limits.depth;
        match self.codec {
            Codec::Text => Self::as_text(&body),
            Codec::Ndjson => Ok(lines(&body, depth, faults)),
            Codec::Json => Json::parse(body, depth)
                .map_err(|error| ProgramError::Body(format!("the body is not JSON: {error}"))),
            Codec::Auto if is_lines(content_type) => Ok(lines(&body, depth, faults)),
            // servers that do not say what they send say that it is text
            Codec::Auto if content_type.starts_with("text/") && !looks_like_json(&body) => {
                Self::as_text(&body)
            }
            Codec::Auto => match Json::parse(body.clone(), depth) {
                Ok(body) => Ok(body),
                // several values one after the other: a file of lines
                Err(_) if first_line_is_json(&body, depth) => Ok(lines(&body, depth, faults)),
                Err(error) => Err(ProgramError::Body(format!("the body is not JSON: {error}"))),
            },
        }
    }

    fn as_text(body: &Bytes) -> Result<Json, ProgramError> {
        match std::str::from_utf8(body) {
            Ok(text) => Ok(Json::string(text)),
            Err(error) => Err(ProgramError::Body(format!("the body is not UTF-8: {error}"))),
        }
    }

    /// The body without the file format around it.
    fn unpacked(&self, response: &Response) -> Result<Bytes, ProgramError> {
        if self.codec == Codec::Text || !response.body.starts_with(&[0x1f, 0x8b]) {
            return Ok(response.body.clone());
        }
        let unpack = || {
            let mut decoder = Decoder::new(["gzip"], self.max_body)?;
            let mut out = Vec::new();
            decoder.extend(&response.body, &mut out)?;
            decoder.finish()?;
            Ok::<_, crate::http::body::BodyError>(Bytes::from(out))
        };
        unpack().map_err(|error| ProgramError::Body(error.to_string()))
    }
}

/// What a partition's cursor is kept by.
fn id_of(runner: &mut Runner, about: &Value) -> Result<String, ProgramError> {
    let mut variables = of_tree(&Given::default().to_tree());
    match one(runner, "partitions/id", &mut of_tree(about), &mut variables)? {
        Value::Null => Err(ProgramError::Program(format!("a partition has no id: {about}"))),
        Value::String(id) => Ok(id),
        other => Ok(other.to_string()),
    }
}

/// The digest of the nth of several equal records.
fn nth(digest: u128, before: u64) -> u128 {
    if before == 0 {
        return digest;
    }
    let mut bytes = [0; 24];
    bytes[..16].copy_from_slice(&digest.to_le_bytes());
    bytes[16..].copy_from_slice(&before.to_le_bytes());
    xxh3_128(&bytes)
}

fn is_lines(content_type: &str) -> bool {
    ["ndjson", "jsonl", "json-lines", "json-seq", "x-json-stream"]
        .iter()
        .any(|kind| content_type.contains(kind))
}

fn looks_like_json(body: &[u8]) -> bool {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'['))
}

fn first_line_is_json(body: &[u8], depth: usize) -> bool {
    let line = body.split(|byte| *byte == b'\n').find(|line| !line.iter().all(u8::is_ascii_whitespace));
    line.is_some_and(|line| text::validate(line, depth).is_ok())
}

/// A JSON value a line as a list; lines that are none become records of their own.
fn lines(body: &Bytes, depth: usize, faults: &mut Vec<Record>) -> Json {
    let mut list = Vec::with_capacity(body.len() + 16);
    list.push(b'[');
    for line in body.split(|byte| *byte == b'\n') {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match text::validate(line, depth) {
            Ok(()) => {
                if list.len() > 1 {
                    list.push(b',');
                }
                list.extend_from_slice(line);
            }
            Err(error) => {
                let raw = body.slice_ref(line);
                let id = xxh3_128(&raw);
                let fault = Fault { raw, ..Fault::new("invalid_json", error.to_string()) };
                faults.push(Record { content: Err(Box::new(fault)), id, name: None });
            }
        }
    }
    list.push(b']');
    // each item was validated
    Json::parse(list.into(), depth.saturating_add(1)).unwrap_or_else(|_| of_tree(&Value::Array(Vec::new())))
}

fn headers_tree(headers: &HeaderMap) -> Value {
    let mut tree = Map::new();
    for name in headers.keys() {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        tree.insert(name.to_string(), values.join(", ").into());
    }
    Value::Object(tree)
}

fn of_tree(tree: &Value) -> Json {
    Json::from_text(Bytes::from(tree.to_string()))
}

fn failed(name: &str, error: &RunError) -> ProgramError {
    let place =
        error.position.as_ref().map(|at| format!(" at {}:{}", at.line, at.column)).unwrap_or_default();
    ProgramError::Program(format!("the program `{name}` failed{place}: {error}"))
}

/// The only output of a program.
fn one_json(
    runner: &mut Runner,
    name: &str,
    input: &mut Json,
    variables: &mut Json,
) -> Result<Json, ProgramError> {
    let mut outputs = Vec::new();
    runner
        .run_given(input, variables, &mut |output| {
            outputs.push(output);
            outputs.len() < 2
        })
        .map_err(|error| failed(name, &error))?;
    match (outputs.pop(), outputs.is_empty()) {
        (Some(output), true) => Ok(output),
        (None, _) => Err(ProgramError::Program(format!("the program `{name}` gave nothing"))),
        (Some(_), false) => Err(ProgramError::Program(format!("the program `{name}` gave several outputs"))),
    }
}

fn one(
    runner: &mut Runner,
    name: &str,
    input: &mut Json,
    variables: &mut Json,
) -> Result<Value, ProgramError> {
    let output = one_json(runner, name, input, variables)?;
    output.to_tree().map_err(|error| ProgramError::Program(format!("the program `{name}`: {error}")))
}
