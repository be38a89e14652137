//! State store and file sink on a disk that loses and tears what was not synced.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jaquard::config::Size;
use jaquard::event::{Derivation, Origin, Place};
use jaquard::sink::file::{Compression, Files, Rotate, Settings};
use jaquard::sink::{Delivery, Part, PartEvent, Sink, SinkError, WriteError};
use jaquard::state::{Change, Journal, Store};
use jaquard::testkit::SimDisk;
use serde_json::json;

const EVENTS: u64 = 400;
const PARTS: u64 = 3;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn delivery(from: u64, to: u64) -> Delivery {
    let mut parts: BTreeMap<u64, Part> = BTreeMap::new();
    for n in from..to {
        let part = parts.entry(n % PARTS).or_insert_with(|| Part {
            partition: Arc::from(format!("part{}", n % PARTS)),
            data: Vec::new(),
            events: Vec::new(),
        });
        part.data.extend_from_slice(format!("{n} {}\n", "x".repeat((n % 50) as usize)).as_bytes());
        let event = PartEvent {
            end: part.data.len(),
            position: 0,
            offset: n.into(),
            text_hash: 0,
            derivation: Derivation::default(),
        };
        part.events.push(event);
    }
    let origin = Origin { source: Arc::from("source"), place: Place::Stdin, ingested_at: chrono::Utc::now() };
    Delivery { parts: parts.into_values().collect(), origin: Arc::new(origin), share: None }
}

/// One life of the process: from the recorded state on until everything is written, or the machine
/// goes off.
async fn live(disk: &SimDisk, settings: Settings, random: &mut Random) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let storage = disk.storage(Path::new("state")).map_err(|error| text(&error))?;
    let store = Store::open_on(storage).map_err(|error| text(&error))?;
    let journal = Journal::new(store.clone(), Arc::from("sink"));
    let sink = Files::new(Arc::new(disk.clone()), PathBuf::from("out"), settings, journal);
    sink.resume(store.rows("sink").map_err(|error| text(&error))?).await.map_err(|error| text(&error))?;
    let rows = store.rows("source").map_err(|error| text(&error))?;
    let mut cursor = rows.first().and_then(|(_, row)| row.as_u64()).unwrap_or(0);
    let mut epoch = store.last_epoch("source").map_err(|error| text(&error))?;
    while cursor < EVENTS {
        for _ in 0..=random.below(3) {
            let next = (cursor + 1 + random.below(20)).min(EVENTS);
            match sink.write(&delivery(cursor, next)).await {
                Ok(()) => cursor = next,
                Err(WriteError::All(SinkError::Retry(message))) => return Err(message),
                Err(error) => return Err(text(&error)),
            }
        }
        epoch += 1;
        sink.flush().await.map_err(|error| text(&error))?;
        let prepared = sink.prepare(epoch).await.map_err(|error| text(&error))?;
        let mut changes: Vec<Change> =
            prepared.into_iter().map(|(key, row)| (Arc::from("sink"), key, row)).collect();
        changes.push((Arc::from("source"), "next".to_owned(), Some(json!(cursor))));
        changes.push(Store::epoch_change("source", epoch));
        store.commit(&changes).map_err(|error| text(&error))?;
        sink.publish(epoch).await.map_err(|error| text(&error))?;
    }
    let closed: Vec<Change> =
        sink.close().into_iter().map(|(key, row)| (Arc::from("sink"), key, row)).collect();
    store.commit(&closed).map_err(|error| text(&error))
}

fn check(disk: &SimDisk, seed: u64) {
    let mut seen = vec![0; EVENTS as usize];
    for (path, bytes) in disk.files(Path::new("out")) {
        let bytes = if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            zstd::stream::decode_all(&bytes[..]).unwrap()
        } else {
            bytes
        };
        let text = String::from_utf8(bytes).unwrap();
        for line in text.lines() {
            let n: usize = line
                .split(' ')
                .next()
                .unwrap()
                .parse()
                .unwrap_or_else(|_| panic!("seed {seed}: {}: {line}", path.display()));
            seen[n] += 1;
        }
    }
    for (n, count) in seen.iter().enumerate() {
        assert_eq!(*count, 1, "seed {seed}: event {n}");
    }
}

async fn survive(seeds: std::ops::Range<u64>, settings: Settings) {
    let mut lives = 0;
    for seed in seeds.clone() {
        let mut random = Random(seed * 7919 + 17);
        let mut disk = SimDisk::default();
        let mut last = String::new();
        for life in 0.. {
            assert!(life < 300, "seed {seed} never ends: {last}");
            lives += 1;
            // later lives are longer, so that each job ends
            disk.die_after(20 + random.below(150 + 40 * life));
            match live(&disk, settings, &mut random).await {
                Ok(()) => break,
                Err(error) => last = error,
            }
            disk = disk.crash(&mut |bound| random.below(bound));
        }
        check(&disk, seed);
    }
    println!("{} jobs, {lives} lives", seeds.end - seeds.start);
    assert!(lives > 3 * (seeds.end - seeds.start), "the machine hardly ever went off");
}

fn settings(compression: Compression, rotate: Option<u64>) -> Settings {
    let rotate = Rotate { size: rotate.map(Size::new), age: None };
    Settings { compression, rotate, max_open_files: 2 }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_files_survive_power_cuts() {
    survive(1..120, settings(Compression::None, None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_files_survive_power_cuts() {
    survive(1000..1060, settings(Compression::Zstd, None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotated_files_survive_power_cuts() {
    survive(2000..2060, settings(Compression::None, Some(500))).await;
}

/// The disk fills up in the middle of a delivery: nothing of it stays, and with room again it is
/// written once.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_takes_all_of_a_delivery_or_nothing() {
    let disk = SimDisk::default();
    let store = Store::open_on(disk.storage(Path::new("state")).unwrap()).unwrap();
    let journal = Journal::new(store, Arc::from("sink"));
    let sink =
        Files::new(Arc::new(disk.clone()), PathBuf::from("out"), settings(Compression::None, None), journal);
    sink.write(&delivery(0, 30)).await.unwrap();
    let used: u64 = disk.files(Path::new("")).values().map(|bytes| bytes.len() as u64).sum();
    let before = disk.files(Path::new("out"));
    disk.set_room(Some(used + 200));
    for _ in 0..3 {
        let error = sink.write(&delivery(30, 60)).await.unwrap_err();
        assert!(matches!(error, WriteError::All(SinkError::Retry(_))), "{error}");
        assert_eq!(disk.files(Path::new("out")), before);
    }
    disk.set_room(None);
    sink.write(&delivery(30, EVENTS)).await.unwrap();
    check(&disk, 0);
}
