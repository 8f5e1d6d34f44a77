//! `/healthz` and `/readyz` follow the engine's passes.

use std::time::Duration;

use reqwest::StatusCode;

use super::world::ApiWorld;

/// Longer than a pass may take before the engine is taken for stuck.
const TOO_LONG: Duration = Duration::from_secs(31);

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_stands_still_is_told_and_one_that_goes_on_too() {
    let world = ApiWorld::new().await;
    assert_eq!(world.get("/healthz").await.status, StatusCode::OK);
    world.clock.freeze(true);
    world.clock.pass(TOO_LONG);
    for path in ["/healthz", "/readyz"] {
        let answered = world.get(path).await;
        assert_eq!(answered.status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {answered:?}");
        let why = answered.json["detail"].as_str().unwrap_or_default();
        assert!(why.starts_with("the engine has ended no pass for 3"), "{path}: {why}");
    }
    world.clock.freeze(false);
    for path in ["/healthz", "/readyz"] {
        world.until(path, |answered| answered.status == StatusCode::OK).await;
    }
    world.clock.pass(TOO_LONG);
    world.until("/healthz", |answered| answered.status == StatusCode::OK).await;
}

#[tokio::test]
async fn what_is_ending_is_well_and_takes_nothing() {
    let world = ApiWorld::new().await;
    world.handle.drain().await;
    let answered =
        world.until("/readyz", |answered| answered.status == StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(answered.json["detail"], "ending");
    assert_eq!(world.get("/healthz").await.status, StatusCode::OK);
}
