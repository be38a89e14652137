//! Runs the fake APIs by hand: `cargo run --example atlas_api -- --address 127.0.0.1:8080 --faults 0.05`.
#![allow(clippy::print_stdout)]

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use jaquard::testkit::fake_api::{
    Algorithm, Auth, Clock, Config, Digest, FakeApi, Faults, RateLimits, ServiceAccount,
};

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Login {
    None,
    Digest,
    DigestSha256,
    ServiceAccount,
    Both,
}

/// Fake audit APIs of MongoDB Atlas and Atlassian.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: SocketAddr,
    /// Events of all projects together; the organisations get a tenth of it each.
    #[arg(long, default_value_t = 10_000)]
    events: usize,
    /// Projects.
    #[arg(long, default_value_t = 5)]
    projects: usize,
    /// Access records of each host.
    #[arg(long, default_value_t = 500)]
    access_records: usize,
    /// Rate of faults, from 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    faults: f64,
    /// Server seconds per real second; as much of the future is prepared as an hour of it shows.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Days of the past.
    #[arg(long, default_value_t = 7)]
    days: u64,
    /// How Atlas wants clients to log in.
    #[arg(long, value_enum, default_value = "none")]
    auth: Login,
    /// The same seed makes the same records and faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Counts rate limits without enforcing them.
    #[arg(long)]
    no_limits: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let (digest, account) = (Digest::default(), ServiceAccount::default());
    let auth = match arguments.auth {
        Login::None => Auth::None,
        Login::Digest => Auth::Digest(digest.clone()),
        Login::DigestSha256 => Auth::Digest(Digest { algorithm: Algorithm::Sha256, ..digest.clone() }),
        Login::ServiceAccount => Auth::ServiceAccount(account.clone()),
        Login::Both => Auth::Both(digest.clone(), account.clone()),
    };
    let key = "fake-atlassian-key";
    let config = Config {
        address: arguments.address,
        seed: arguments.seed,
        projects: arguments.projects,
        project_events: arguments.events / arguments.projects.max(1),
        organization_events: arguments.events / 10,
        atlassian_events: arguments.events / 10,
        access_records: arguments.access_records,
        before: Duration::from_hours(arguments.days * 24),
        after: Duration::from_secs_f64(3600.0 * arguments.speed.clamp(0.0, 1e6)),
        clock: Clock { speed: arguments.speed, ..Clock::live() },
        auth,
        atlassian_key: Some(key.to_owned()),
        limits: if arguments.no_limits { RateLimits::off() } else { RateLimits::default() },
        faults: Faults::some(arguments.faults),
        ..Config::default()
    };
    let api = FakeApi::start(config).await?;
    let url = api.url();
    println!("Atlas         {url}/api/atlas/v2   tokens {url}/api/oauth/token");
    println!("  organisation {}", api.config().organization);
    println!("  projects     {}", api.projects().join(" "));
    match arguments.auth {
        Login::None => println!("  no login"),
        Login::Digest | Login::DigestSha256 => {
            println!("  API key      {} {}", digest.public, digest.private);
        }
        Login::ServiceAccount => println!("  account      {} {}", account.client_id, account.secret),
        Login::Both => {
            println!("  API key      {} {}", digest.public, digest.private);
            println!("  account      {} {}", account.client_id, account.secret);
        }
    }
    println!("Atlassian     {url}/admin");
    println!("  organisation {}", api.config().atlassian_organization);
    println!("  API key      {key}");
    println!();
    println!("In a pipeline, point the source's base URL here, for example:");
    println!();
    println!("  base_url = \"{url}\"");
    println!("  organization = \"{}\"", api.config().organization);
    println!();
    println!("Or by hand:");
    println!();
    let login = match arguments.auth {
        Login::Digest | Login::DigestSha256 | Login::Both => {
            format!("--digest -u {}:{} ", digest.public, digest.private)
        }
        _ => String::new(),
    };
    let path = format!("/api/atlas/v2/orgs/{}/events?itemsPerPage=2", api.config().organization);
    println!("  curl {login}-H 'Accept: application/vnd.atlas.2023-01-01+json' '{url}{path}'");
    loop {
        tokio::time::sleep(Duration::from_mins(1)).await;
        let requests = api.requests();
        println!(
            "{} requests, {} answered with 200, {} over budget",
            requests.total(),
            requests.status(200),
            api.budget_violations()
        );
    }
}
