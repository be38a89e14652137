//! Buckets under paused time.

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn observe(limiter: &Limiter, status: u16, pairs: &[(&'static str, &str)]) -> Option<Duration> {
    limiter.observe("s", &headers(pairs), status, SystemTime::UNIX_EPOCH)
}

/// Seconds until `count` permits are there.
async fn seconds_for(limiter: &Limiter, count: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        limiter.acquire("s").await;
    }
    start.elapsed().as_secs_f64()
}

fn about(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 0.01, "{actual}, expected {expected}");
}

#[tokio::test(start_paused = true)]
async fn a_burst_then_the_rate() {
    let limiter = Limiter::new(Rate::new(300, 100, MINUTE));
    about(seconds_for(&limiter, 300).await, 0.0);
    about(seconds_for(&limiter, 1).await, 0.6);
    about(seconds_for(&limiter, 100).await, 60.0);
    tokio::time::advance(MINUTE * 60).await;
    about(seconds_for(&limiter, 301).await, 0.6);
    // another scope has its own
    limiter.set_rate("t", Rate::new(1, 1, MINUTE));
    let start = Instant::now();
    limiter.acquire("t").await;
    limiter.acquire("t").await;
    about(start.elapsed().as_secs_f64(), 60.0);
}

#[tokio::test(start_paused = true)]
async fn thousands_wait_in_order() {
    let limiter = Arc::new(Limiter::new(Rate::new(10, 10, Duration::from_secs(1))));
    let order = Arc::new(Mutex::new(Vec::new()));
    let start = Instant::now();
    let mut tasks = Vec::new();
    for index in 0..5000 {
        let (limiter, order) = (Arc::clone(&limiter), Arc::clone(&order));
        tasks.push(tokio::spawn(async move {
            limiter.acquire("s").await;
            order.lock().unwrap().push(index);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert!(order.lock().unwrap().iter().copied().eq(0..5000));
    about(start.elapsed().as_secs_f64(), 499.0);
}

#[tokio::test(start_paused = true)]
async fn dropped_waiters_take_nothing() {
    let limiter = Arc::new(Limiter::new(Rate::new(1, 1, MINUTE)));
    limiter.acquire("s").await;
    let waiters: Vec<_> = (0..10)
        .map(|_| {
            let limiter = Arc::clone(&limiter);
            tokio::spawn(async move { drop(limiter.acquire("s").await) })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    for waiter in &waiters {
        waiter.abort();
    }
    about(seconds_for(&limiter, 1).await, 59.0);
}

#[tokio::test(start_paused = true)]
async fn unused_permits_go_back() {
    let limiter = Limiter::new(Rate::new(2, 1, MINUTE));
    for _ in 0..10 {
        limiter.acquire("s").await.give_back();
    }
    about(seconds_for(&limiter, 2).await, 0.0);
    about(seconds_for(&limiter, 1).await, 60.0);
}

#[tokio::test(start_paused = true)]
async fn a_429_stops_the_scope() {
    let limiter = Arc::new(Limiter::new(Rate::new(100, 100, MINUTE)));
    assert_eq!(observe(&limiter, 429, &[("retry-after", "30"), ("ratelimit-reset", "7")]), Some(MINUTE / 2));
    let start = Instant::now();
    limiter.acquire("other").await;
    about(start.elapsed().as_secs_f64(), 0.0);
    // the bucket was emptied and filled since
    about(seconds_for(&limiter, 50).await, 30.0);
    about(seconds_for(&limiter, 1).await, 0.6);
    // a longer pause reaches those that wait already, a shorter one changes nothing
    assert_eq!(observe(&limiter, 503, &[("retry-after", "10")]), Some(Duration::from_secs(10)));
    let waiter = tokio::spawn({
        let limiter = Arc::clone(&limiter);
        async move { seconds_for(&limiter, 1).await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    observe(&limiter, 429, &[("retry-after", "20")]);
    observe(&limiter, 429, &[("retry-after", "1")]);
    about(waiter.await.unwrap(), 25.0);
}

#[tokio::test(start_paused = true)]
async fn pauses_are_cut() {
    let limiter = Limiter::new(Rate::new(9, 9, MINUTE)).with_max_pause(MINUTE);
    assert_eq!(observe(&limiter, 429, &[("retry-after", "99999999999999")]), Some(MINUTE));
    assert_eq!(observe(&limiter, 429, &[("retry-after", "86400")]), Some(MINUTE));
    about(seconds_for(&limiter, 1).await, 60.0);
    limiter.pause("s", Duration::MAX);
    about(seconds_for(&limiter, 1).await, 60.0);
}

#[tokio::test(start_paused = true)]
async fn a_429_without_a_word() {
    let limiter = Limiter::new(Rate::new(10, 10, MINUTE));
    assert_eq!(observe(&limiter, 429, &[]), None);
    about(seconds_for(&limiter, 1).await, 6.0);
    assert_eq!(observe(&limiter, 429, &[("x-ratelimit-reset", "1970-01-01T00:00:20Z")]), Some(MINUTE / 3));
}

#[tokio::test(start_paused = true)]
async fn the_server_counts_too() {
    let limiter = Limiter::new(Rate::new(100, 60, MINUTE));
    assert_eq!(observe(&limiter, 200, &[("ratelimit-limit", "100"), ("ratelimit-remaining", "3")]), None);
    about(seconds_for(&limiter, 3).await, 0.0);
    about(seconds_for(&limiter, 1).await, 1.0);
    // more than there is here changes nothing
    observe(&limiter, 200, &[("ratelimit-remaining", "50")]);
    about(seconds_for(&limiter, 1).await, 1.0);
    let pause = observe(&limiter, 200, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "12")]);
    assert_eq!(pause, Some(Duration::from_secs(12)));
    about(seconds_for(&limiter, 1).await, 12.0);
    // a smaller bucket
    observe(&limiter, 200, &[("ratelimit-limit", "5"), ("ratelimit-remaining", "5")]);
    tokio::time::advance(MINUTE * 10).await;
    about(seconds_for(&limiter, 5).await, 0.0);
    about(seconds_for(&limiter, 1).await, 1.0);
    // and never a larger one
    observe(&limiter, 200, &[("ratelimit-limit", "5000")]);
    tokio::time::advance(MINUTE * 10).await;
    about(seconds_for(&limiter, 101).await, 1.0);
    // not limited, so the header is about something else
    assert_eq!(observe(&limiter, 200, &[("retry-after", "60")]), None);
}
