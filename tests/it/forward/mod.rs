//! Rows that forward: what an upstream is told, what it is not, and what becomes of its answer.

mod failures;
mod identity;
mod repeats;
mod streams;
mod tokens;
mod tunnels;

use callgate::Settings;

use crate::support::House;
use crate::support::upstream::Upstream;
use crate::support::wire::Served;

/// The rows of these tests, each with the upstream behind it.
fn rows(upstream: &Upstream) -> String {
    let base = format!("http://{}/base/", upstream.address);
    let row = |pattern: &str, more: &str| {
        format!(r#"{{ "forward": "{base}", "pattern": "{pattern}"{more} }}"#)
    };
    [
        row("up", ""),
        row("up-state", r#", "otp": { "param": "state" }"#),
        row("up-context", r#", "otp": { "mode": "context" }"#),
        row("up-share", r#", "otp": { "mode": "share" }"#),
        row("up-admin", r#", "requires": "admin""#),
        row("up-get", r#", "verbs": "GET""#),
        row("up-small", r#", "limits": { "bodyBytes": 10 }"#),
        row("up-hasty", r#", "limits": { "timeoutMs": 150 }"#),
        row("up-again", r#", "repeat": 7200"#),
        row("up-again-hasty", r#", "repeat": 7200, "limits": { "timeoutMs": 150 }"#),
    ]
    .join(",")
}

async fn house(upstream: &Upstream, settings: Settings) -> House {
    House::with_rows(settings, &rows(upstream)).await
}

async fn served(upstream: &Upstream, settings: Settings) -> Served {
    Served::with_rows(settings, &rows(upstream)).await
}
