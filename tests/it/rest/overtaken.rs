//! A sign-in that is overtaken by a change which ends the sessions of its account. On every store.

use std::sync::Arc;
use std::sync::Mutex;

use callgate::account::Config;
use callgate::account::Login;
use callgate::base::Timestamp;
use callgate::base::clock::ManualClock;
use callgate::base::secret::SecretText;
use callgate::base::secret::entropy::OsEntropy;
use callgate::flow::directory::Directory;
use callgate::flow::directory::NewPassword;
use callgate::store::Store;
use callgate::store::port::Operation;
use callgate::store::port::OperationKind;
use callgate::store::port::Pending;
use callgate::store::port::StoreReply;
use serde_json::json;

use super::fresh;
use super::login::LOGIN;
use super::login::PASSWORD;
use super::login::add_ada;
use crate::support::House;
use crate::support::settings;

const ROWS: &str = include_str!("../../../examples/accounts/handlers.json");

/// What an operator does with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Nothing,
    Grants,
    NewPassword,
    SamePassword,
    TakesRole,
    TakesGroup,
    Disables,
}

/// A store that lets an operator change the account of Ada right before the session is stored in
/// which she signs in. No session of hers is there yet to be ended.
#[derive(Debug)]
struct Overtaken {
    inner: Arc<dyn Store>,
    change: Mutex<Option<(Change, Config)>>,
}

impl Store for Overtaken {
    fn run(&self, now: Timestamp, operation: Operation) -> Pending<'_, StoreReply> {
        Box::pin(async move {
            let stores = matches!(operation.kind(), OperationKind::Create | OperationKind::Patch);
            let change = if stores { self.change.lock().unwrap().take() } else { None };
            if let Some((change, config)) = change {
                apply(Arc::clone(&self.inner), change, config).await;
            }
            self.inner.run(now, operation).await
        })
    }
}

async fn apply(store: Arc<dyn Store>, change: Change, config: Config) {
    let (clock, entropy) = (Arc::new(ManualClock::default()), Arc::new(OsEntropy::new()));
    let directory = Directory::new(store, clock, entropy, config);
    let ada = directory.find(&Login::read("ada").unwrap()).await.unwrap().unwrap().id;
    let password = match change {
        Change::NewPassword => Some("another good one"),
        Change::SamePassword => Some(PASSWORD),
        _ => None,
    };
    if let Some(password) = password {
        let password = NewPassword::Plain(SecretText::new(password.to_owned()));
        directory.set_password(ada, password).await.unwrap();
    }
    let changing = directory.change(ada, |user| match change {
        Change::Grants => user.roles.push("boss".to_owned()),
        Change::TakesRole => user.roles.clear(),
        Change::TakesGroup => user.groups.clear(),
        Change::Disables => user.disabled = true,
        Change::Nothing | Change::NewPassword | Change::SamePassword => {}
    });
    changing.await.unwrap();
}

#[tokio::test]
async fn a_sign_in_that_is_overtaken_by_the_end_of_all_sessions_ends_too() {
    let changes = [
        (Change::Nothing, true),
        (Change::Grants, true),
        (Change::NewPassword, false),
        // Set at the same time by a clock that stands still, and a change all the same.
        (Change::SamePassword, false),
        (Change::TakesRole, false),
        (Change::TakesGroup, false),
        (Change::Disables, false),
    ];
    for (change, enters) in changes {
        for (by_rest, has_session) in [(true, false), (true, true), (false, false), (false, true)] {
            let told = format!("{change:?}, by rest: {by_rest}, has a session: {has_session}");
            let mut settings = settings();
            (settings.accounts.memory_kib, settings.accounts.passes) = (64, 1);
            let config = settings.accounts;
            let store = Arc::new(Overtaken { inner: fresh().await, change: Mutex::default() });
            let rows = ROWS.trim().trim_start_matches('[').trim_end_matches(']');
            let house = House::rows_on(store.clone(), settings, rows).await;
            add_ada(&house, config).await;
            let visitor = house.visitor();
            if has_session {
                visitor.write("a", "1").await;
            }
            *store.change.lock().unwrap() = Some((change, config));
            let call = if by_rest {
                let call = visitor.post(LOGIN).header("username-4D", "ada");
                call.header("password-4D", PASSWORD)
            } else {
                let body = json!({ "login": "ada", "password": PASSWORD }).to_string();
                let call = visitor.post("/api/v1/signin");
                call.header("content-type", "application/json").body(body)
            };
            let answer = call.send().await;
            let refusal = if by_rest { 401 } else { 400 };
            let status = if enters { 200 } else { refusal };
            assert_eq!(answer.status, status, "{told}: {}", answer.text());
            let sessions = house.stored().await;
            let signed = sessions.iter().filter(|it| it.record.access.account.is_some()).count();
            assert_eq!(signed, usize::from(enters), "{told}");
            let current = visitor.get("/rest/$directory/currentUser").send().await.json();
            assert_eq!(current["result"].is_object(), enters, "{told}: {current}");
        }
    }
}
