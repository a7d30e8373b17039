//! Many sign-ins of one client: what others notice of them, and how many of them may fail.
//!
//! Clients are told apart as behind a proxy, which names them in `X-Forwarded-For`.

use std::sync::Arc;
use std::time::Duration;

use callgate::Settings;
use callgate::account::Login;
use callgate::account::Profile;
use callgate::base::clock::ManualClock;
use callgate::base::secret::SecretText;
use callgate::base::secret::entropy::OsEntropy;
use callgate::flow::directory::Directory;
use callgate::flow::directory::Draft;
use callgate::flow::directory::NewPassword;
use callgate::gate::Answer;
use callgate::http::proxies::TrustedProxies;
use callgate::http::rates;
use callgate::store::Store;
use tokio::sync::mpsc;

use super::PASSWORD;
use crate::support::settings;
use crate::support::wire::Served;

/// A served gate where Ada has an account.
async fn served(change: impl FnOnce(&mut Settings)) -> Served {
    let trusted_proxies = TrustedProxies::new(vec!["127.0.0.1".parse().unwrap()]);
    let mut settings = Settings { trusted_proxies, ..settings() };
    (settings.accounts.memory_kib, settings.accounts.passes) = (64, 1);
    change(&mut settings);
    let config = settings.accounts;
    let served = Served::start(settings).await;
    let store: Arc<dyn Store> = served.house.store.clone();
    let (clock, entropy) = (Arc::new(ManualClock::default()), Arc::new(OsEntropy::new()));
    let draft = Draft {
        login: Login::read("ada").unwrap(),
        profile: Profile::default(),
        password: Some(NewPassword::Plain(SecretText::new(PASSWORD.to_owned()))),
        roles: Vec::new(),
        groups: Vec::new(),
    };
    Directory::new(store, clock, entropy, config).add(draft).await.unwrap();
    served
}

/// A sign-in of the client with this address.
async fn login(served: &Served, address: &str, password: &str) -> Answer {
    let line = "POST /rest/$directory/login HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n";
    let asked = format!("username-4D: ada\r\npassword-4D: {password}\r\n");
    served.ask(&format!("{line}X-Forwarded-For: {address}\r\n{asked}\r\n")).await
}

/// A hash takes long here, so the sign-ins of one client wait when that of another one arrives.
#[tokio::test]
async fn one_client_leaves_places_to_wait_to_others() {
    let served = served(|settings| {
        (settings.accounts.hashers, settings.accounts.waiting) = (1, 15);
        (settings.accounts.memory_kib, settings.accounts.passes) = (8_192, 8);
        settings.accounts.attempts = 1_000;
    });
    let served = Arc::new(served.await);
    let (tell, mut told) = mpsc::unbounded_channel();
    for _ in 0..24 {
        let (served, tell) = (Arc::clone(&served), tell.clone());
        tokio::spawn(async move {
            let answer = login(&served, "192.0.2.1", "a guess").await;
            let _ = tell.send(answer.status);
        });
    }
    while told.recv().await.unwrap() != 503 {}
    let answer = login(&served, "192.0.2.2", PASSWORD).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    drop(tell);
    let (mut checked, mut busy) = (0, 1);
    while let Some(status) = told.recv().await {
        match status {
            401 => checked += 1,
            503 => busy += 1,
            other => assert_eq!(other, 401),
        }
    }
    assert!(checked >= 4 && checked + busy <= 24, "{checked} and {busy}");
}

#[tokio::test]
async fn a_client_whose_sign_ins_fail_waits_and_others_do_not() {
    let served = served(|settings| {
        settings.rate_limits = true;
        settings.accounts.attempts = 1_000;
        let few = rates::Rules { sign_ins_per_min: 1, sign_ins_burst: 3, ..settings.rates };
        settings.rates = few;
    });
    let served = served.await;
    for _ in 0..8 {
        assert_eq!(login(&served, "192.0.2.1", PASSWORD).await.status, 200, "none of them fails");
    }
    for _ in 0..3 {
        assert_eq!(login(&served, "192.0.2.1", "a guess").await.status, 401);
    }
    for password in ["a guess", PASSWORD] {
        let answer = login(&served, "192.0.2.1", password).await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, "60"), "{password}");
    }
    assert_eq!(login(&served, "192.0.2.2", PASSWORD).await.status, 200);
    served.house.clock.advance(Duration::from_mins(1));
    assert_eq!(login(&served, "192.0.2.1", PASSWORD).await.status, 200);
}
