//! How much one key may ask for.

use interline_engine::KeyRole;

use crate::world::{A, B, World};

#[tokio::test]
async fn a_key_in_a_loop_is_slowed_down_and_others_are_not() {
    let world = World::start("rate").await;
    let busy = world.key(Some(A), KeyRole::Read).await;
    let mut refused = None;
    // It gets 200 at once and 100 a second: whoever asks faster is told to wait.
    for _ in 0..20_000 {
        let answer = busy.get("/v1/connectors").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let answer = refused.expect("nobody was slowed down");
    assert!(answer.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    answer.refused(429, "too_many_requests");
    // Who exists is not told either: the rate comes before the app.
    let body = busy.get(&format!("/v1/apps/{B}")).await;
    assert!(matches!(body.status, 404 | 429), "{}", body.status);
    world.key(Some(A), KeyRole::Read).await.get("/v1/connectors").await.is(200);
}
