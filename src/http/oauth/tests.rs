//! A keeper under paused time, with an endpoint that plays a script.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Gives `token-1`, `token-2`, … of an hour, each after 2 s.
#[derive(Default)]
struct Server {
    requests: AtomicUsize,
    /// Results to give first.
    script: Mutex<VecDeque<Result<Grant, TokenError>>>,
    revoked: Mutex<Vec<String>>,
}

impl Endpoint for Arc<Server> {
    async fn fetch(&self) -> Result<Grant, TokenError> {
        let count = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let scripted = self.script.lock().unwrap().pop_front();
        tokio::time::sleep(SECOND * 2).await;
        scripted.unwrap_or_else(|| Ok(grant(&format!("token-{count}"), 3600)))
    }

    async fn revoke(&self, token: &Secret) -> Result<(), TokenError> {
        self.revoked.lock().unwrap().push(token.reveal().to_owned());
        Ok(())
    }
}

fn grant(token: &str, life: u64) -> Grant {
    let body = format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{life}}}"#);
    parse_grant(200, body.as_bytes(), None, &[]).unwrap()
}

fn refused() -> TokenError {
    TokenError::Refused { reason: "invalid_client".to_owned() }
}

fn unavailable(retry_after: Option<Duration>) -> TokenError {
    TokenError::Unavailable { reason: "status 503".to_owned(), retry_after }
}

fn keeper() -> (Arc<Server>, Arc<TokenKeeper<Arc<Server>>>) {
    scripted([])
}

fn scripted<const N: usize>(
    script: [Result<Grant, TokenError>; N],
) -> (Arc<Server>, Arc<TokenKeeper<Arc<Server>>>) {
    let server = Arc::new(Server { script: Mutex::new(script.into()), ..Server::default() });
    (Arc::clone(&server), Arc::new(TokenKeeper::new(server)))
}

impl Server {
    fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Runs `count` callers at once; their tokens or errors.
async fn callers(keeper: &Arc<TokenKeeper<Arc<Server>>>, count: usize) -> Vec<Result<String, TokenError>> {
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let keeper = Arc::clone(keeper);
            tokio::spawn(async move { keeper.get().await.map(|token| token.reveal().to_owned()) })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_make_one_request() {
    let (server, keeper) = keeper();
    let results = callers(&keeper, 1000).await;
    assert!(results.iter().all(|result| result.as_deref() == Ok("token-1")));
    assert_eq!(server.count(), 1);
    assert!(!format!("{:?}", keeper.get().await.unwrap()).contains("token-1"));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_caller_does_not_stop_the_others() {
    let (server, keeper) = keeper();
    let first = tokio::spawn({
        let keeper = Arc::clone(&keeper);
        async move { keeper.get().await.map(drop) }
    });
    tokio::time::sleep(SECOND).await;
    first.abort();
    let results = callers(&keeper, 10).await;
    assert!(results.iter().all(|result| result.as_deref() == Ok("token-2")), "{results:?}");
    assert_eq!(server.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn renewed_before_the_end_and_beside_its_use() {
    let (server, keeper) = keeper();
    let start = Instant::now();
    keeper.get().await.unwrap();
    tokio::time::sleep_until(start + SECOND * 3539).await;
    assert_eq!(keeper.get().await.unwrap().reveal(), "token-1");
    tokio::time::sleep_until(start + SECOND * 3540).await;
    let results = callers(&keeper, 100).await;
    let old = results.iter().filter(|result| result.as_deref() == Ok("token-1")).count();
    let new = results.iter().filter(|result| result.as_deref() == Ok("token-2")).count();
    assert_eq!((old, new, server.count()), (99, 1, 2));
    // after a long sleep all wait for a new one
    tokio::time::advance(SECOND * 7200).await;
    let results = callers(&keeper, 100).await;
    assert!(results.iter().all(|result| result.as_deref() == Ok("token-3")));
}

#[tokio::test(start_paused = true)]
async fn short_lives() {
    let (server, keeper) = scripted([Ok(grant("short", 60))]);
    keeper.get().await.unwrap();
    tokio::time::sleep(SECOND * 51).await;
    assert_eq!(keeper.get().await.unwrap().reveal(), "short");
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!(keeper.get().await.unwrap().reveal(), "token-2");
    assert_eq!(server.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_old_token_is_used_while_renewal_fails() {
    let (server, keeper) = scripted([Ok(grant("old", 3600)), Err(unavailable(None)), Err(refused())]);
    keeper.get().await.unwrap();
    tokio::time::sleep(SECOND * 3540).await;
    for _ in 0..3 {
        assert_eq!(keeper.get().await.unwrap().reveal(), "old");
    }
    assert_eq!(server.count(), 2);
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!(keeper.get().await.unwrap().reveal(), "old");
    assert_eq!(server.count(), 3);
    tokio::time::sleep(SECOND * 45).await;
    assert_eq!(keeper.get().await.unwrap_err(), refused());
    assert_eq!(server.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_401_replaces_the_token_once() {
    let (server, keeper) = keeper();
    let token = keeper.get().await.unwrap();
    // a hundred requests were under way with it
    for _ in 0..100 {
        assert!(keeper.invalidate(&token));
    }
    let results = callers(&keeper, 100).await;
    assert!(results.iter().all(|result| result.as_deref() == Ok("token-2")));
    assert!(keeper.invalidate(&token), "a late one");
    assert_eq!(keeper.get().await.unwrap().reveal(), "token-2");
    assert_eq!(server.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_same_token_again_is_an_error() {
    let (server, keeper) = scripted([Ok(grant("same", 3600)), Ok(grant("same", 3600))]);
    let token = keeper.get().await.unwrap();
    keeper.invalidate(&token);
    assert!(keeper.get().await.unwrap_err().to_string().contains("again"));
    assert!(keeper.get().await.is_err());
    assert_eq!(server.count(), 2);
    tokio::time::sleep(SECOND * 30).await;
    assert_eq!(keeper.get().await.unwrap().reveal(), "token-3");
}

#[tokio::test(start_paused = true)]
async fn failures_are_shared_and_kept() {
    let (server, keeper) = scripted([Err(refused()), Err(refused()), Err(unavailable(Some(SECOND * 90)))]);
    let results = callers(&keeper, 1000).await;
    assert!(results.iter().all(|result| *result == Err(refused())));
    assert_eq!(server.count(), 1);
    for (wait, expected) in [(29, 1), (2, 2), (59, 2), (2, 3), (89, 3)] {
        tokio::time::sleep(SECOND * wait).await;
        assert!(keeper.get().await.is_err());
        assert_eq!(server.count(), expected);
    }
    tokio::time::sleep(SECOND).await;
    assert_eq!(keeper.get().await.unwrap().reveal(), "token-4");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_makes_no_storm() {
    let (server, keeper) = keeper();
    server.script.lock().unwrap().extend((0..10_000).map(|_| Err(refused())));
    let start = Instant::now();
    while start.elapsed() < SECOND * 3600 {
        assert!(keeper.get().await.is_err());
        tokio::time::sleep(SECOND / 10).await;
    }
    assert!(server.count() <= 10, "{}", server.count());
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_never_accepted_make_no_storm() {
    let (server, keeper) = keeper();
    let start = Instant::now();
    let mut starts = VecDeque::new();
    while start.elapsed() < SECOND * 600 {
        let token = keeper.get().await.unwrap();
        starts.push_back(Instant::now());
        keeper.invalidate(&token);
    }
    assert!(server.count() <= 8 * 11, "{}", server.count());
    for (first, ninth) in starts.iter().zip(starts.iter().skip(8)) {
        assert!(*ninth - *first >= SECOND * 60);
    }
}

#[tokio::test(start_paused = true)]
async fn closing_revokes() {
    let (server, keeper) = keeper();
    keeper.close().await.unwrap();
    assert_eq!(keeper.get().await.unwrap_err(), TokenError::Closed);
    assert!(server.revoked.lock().unwrap().is_empty() && server.count() == 0);

    // a token that is under way is revoked too, and nobody gets it
    let (server, keeper) = self::keeper();
    let caller = tokio::spawn({
        let keeper = Arc::clone(&keeper);
        async move { keeper.get().await.map(drop) }
    });
    tokio::time::sleep(SECOND).await;
    keeper.close().await.unwrap();
    assert_eq!(caller.await.unwrap(), Err(TokenError::Closed));
    assert_eq!(*server.revoked.lock().unwrap(), ["token-1"]);
    keeper.close().await.unwrap();
    assert_eq!(server.revoked.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_the_limit() {
    let (_, keeper) = keeper();
    for _ in 0..8 {
        let token = keeper.get().await.unwrap();
        keeper.invalidate(&token);
    }
    let caller = tokio::spawn({
        let keeper = Arc::clone(&keeper);
        async move { keeper.get().await.map(drop) }
    });
    tokio::time::sleep(SECOND).await;
    let start = Instant::now();
    keeper.close().await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(caller.await.unwrap(), Err(TokenError::Closed));
}
