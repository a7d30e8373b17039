//! Accounts, passwords and the lock-out, on every store.

use std::sync::Arc;
use std::time::Duration;

use callgate::account::Config;
use callgate::account::Credentials;
use callgate::account::Email;
use callgate::account::Login;
use callgate::account::Profile;
use callgate::account::User;
use callgate::account::client_digest;
use callgate::base::clock::ManualClock;
use callgate::base::secret::SecretText;
use callgate::base::secret::entropy::OsEntropy;
use callgate::flow::directory::Directory;
use callgate::flow::directory::DirectoryError;
use callgate::flow::directory::Draft;
use callgate::flow::directory::NewPassword;
use callgate::flow::directory::Presented;
use callgate::store::Store;
use callgate::store::faulty::Faulty;
use callgate::store::faulty::Lose;
use callgate::store::faulty::When;
use callgate::store::port::OperationKind;

use super::fresh;
use crate::support::log::Log;

const PASSWORD: &str = "correct horse battery";

/// As in production, but for what a hash costs.
fn config() -> Config {
    Config { memory_kib: 64, passes: 1, attempts: 5, lock_minutes: 15, ..Config::default() }
}

/// A node, and the clock of all nodes of a test.
fn node(store: &Arc<dyn Store>, clock: &Arc<ManualClock>, config: Config) -> Arc<Directory> {
    let (store, clock) = (Arc::clone(store), Arc::clone(clock));
    Arc::new(Directory::new(store, clock, Arc::new(OsEntropy::new()), config))
}

async fn alone() -> (Arc<Directory>, Arc<dyn Store>, Arc<ManualClock>) {
    let (store, clock) = (fresh().await, Arc::new(ManualClock::default()));
    (node(&store, &clock, config()), store, clock)
}

fn secret(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

fn login(text: &str) -> Login {
    Login::read(text).unwrap()
}

fn draft(name: &str) -> Draft {
    Draft {
        login: login(name),
        profile: Profile {
            name: "Ada Lovelace".to_owned(),
            email: Some(Email::read("ada@example.com").unwrap()),
            ..Profile::default()
        },
        password: Some(NewPassword::Plain(secret(PASSWORD))),
        roles: vec!["sales".to_owned()],
        groups: Vec::new(),
    }
}

async fn enters(directory: &Directory, login: &str, password: &str) -> bool {
    let presented = Presented::Password(secret(password));
    directory.sign_in(login, presented).await.unwrap().is_some()
}

/// What is stored of the password of an account.
async fn credentials(store: &Arc<dyn Store>, user: &User) -> Credentials {
    let key = format!("password:{}", user.id);
    let stored = store.read_records(vec![key]).await.unwrap().pop().flatten();
    Credentials::decode(&stored.unwrap()).unwrap()
}

#[tokio::test]
async fn who_knows_the_password_enters_and_nobody_else() {
    let (directory, ..) = alone().await;
    let ada = directory.add(draft("Ada")).await.unwrap();
    let right = Presented::Password(secret(PASSWORD));
    assert_eq!(directory.sign_in(" aDa ", right).await.unwrap(), Some(ada.clone()));
    for (login, password) in [
        ("ada", "correct horse batter"),
        ("ada", ""),
        ("ada", "Correct horse battery"),
        ("adam", PASSWORD),
        ("", PASSWORD),
        ("a\u{0}da", PASSWORD),
        (&"a".repeat(9_000), PASSWORD),
    ] {
        assert!(!enters(&directory, login, password).await, "{login:?} {password:?}");
    }
    assert_eq!(directory.find(&login("ADA")).await.unwrap(), Some(ada.clone()));
    assert_eq!(directory.get(ada.id).await.unwrap(), Some(ada));
}

#[tokio::test]
async fn a_login_belongs_to_one_account_whatever_its_case() {
    let (directory, store, clock) = alone().await;
    let other = node(&store, &clock, config());
    let adding = ["ada", "Ada", "ADA", "aDA", "adA", "ada "].into_iter().enumerate();
    let adding = adding.map(|(nth, name)| {
        let directory = Arc::clone(if nth % 2 == 0 { &directory } else { &other });
        tokio::spawn(async move { directory.add(draft(name)).await })
    });
    let (mut added, mut refused) = (0, 0);
    for done in adding.collect::<Vec<_>>() {
        match done.await.unwrap() {
            Ok(_) => added += 1,
            Err(DirectoryError::LoginTaken) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((added, refused), (1, 5));
    assert_eq!(directory.list(None, 100).await.unwrap().len(), 1);
    let ada = directory.find(&login("ada")).await.unwrap().unwrap();
    directory.remove(ada.id).await.unwrap();
    assert!(!enters(&directory, "ada", PASSWORD).await);
    let again = directory.add(draft("ada")).await.unwrap();
    assert_ne!(again.id, ada.id);
    assert!(matches!(directory.remove(ada.id).await, Err(DirectoryError::Unknown)));
}

#[tokio::test]
async fn of_64_parallel_wrong_passwords_exactly_so_many_are_checked() {
    let (log, _capture) = Log::capture();
    let (directory, store, clock) = alone().await;
    let other = node(&store, &clock, config());
    let ada = directory.add(draft("ada")).await.unwrap();
    let guesses = (0..64).map(|nth| {
        let directory = Arc::clone(if nth % 2 == 0 { &directory } else { &other });
        tokio::spawn(async move { enters(&directory, "ada", &format!("a guess {nth}")).await })
    });
    for guess in guesses.collect::<Vec<_>>() {
        assert!(!guess.await.unwrap());
    }
    let attempts = credentials(&store, &ada).await.attempts;
    assert_eq!((attempts.checked, attempts.refused), (5, 59));
    assert!(!enters(&directory, "ada", PASSWORD).await, "locked, and it does not say so");
    let locked = log.of("account.locked");
    assert_eq!(locked.len(), 1, "{locked:?}");
    assert_eq!(locked[0]["user"], ada.id.to_string());
    assert!(!log.text().contains("a guess") && !log.text().contains(PASSWORD));

    clock.advance(Duration::from_mins(15));
    assert!(enters(&other, "ada", PASSWORD).await, "the lock ends by itself");
    assert_eq!(credentials(&store, &ada).await.attempts.checked, 0);
}

#[tokio::test]
async fn right_passwords_that_arrive_together_are_not_taken_for_wrong_ones() {
    let (directory, ..) = alone().await;
    directory.add(draft("ada")).await.unwrap();
    let entering = (0..32).map(|_| {
        let directory = Arc::clone(&directory);
        tokio::spawn(async move { enters(&directory, "ada", PASSWORD).await })
    });
    for enters in entering.collect::<Vec<_>>() {
        assert!(enters.await.unwrap());
    }
}

#[tokio::test]
async fn a_new_password_unlocks_and_the_old_one_is_gone() {
    let (directory, ..) = alone().await;
    let ada = directory.add(draft("ada")).await.unwrap();
    for _ in 0..6 {
        assert!(!enters(&directory, "ada", "wrong").await);
    }
    let refused = directory.set_password(ada.id, NewPassword::Plain(secret("short"))).await;
    assert!(matches!(refused, Err(DirectoryError::BadPassword(_))));
    assert!(!enters(&directory, "ada", PASSWORD).await, "a refused change unlocks nothing");
    let other = NewPassword::Plain(secret("another good one"));
    directory.set_password(ada.id, other).await.unwrap();
    assert!(!enters(&directory, "ada", PASSWORD).await);
    assert!(enters(&directory, "ada", "another good one").await);
}

#[tokio::test]
async fn a_disabled_account_enters_with_no_password_and_keeps_its_login() {
    let (directory, ..) = alone().await;
    let ada = directory.add(draft("ada")).await.unwrap();
    let disable = |disabled| {
        directory.change(ada.id, move |user| {
            user.disabled = disabled;
            user.login = login("eve");
        })
    };
    assert_eq!(disable(true).await.unwrap().login, ada.login, "the login stays");
    assert!(!enters(&directory, "ada", PASSWORD).await);
    assert!(matches!(directory.add(draft("ada")).await, Err(DirectoryError::LoginTaken)));
    disable(false).await.unwrap();
    assert!(enters(&directory, "ada", PASSWORD).await);
}

/// A stranger who counts what the store does, or how long it takes, learns nothing.
#[tokio::test]
async fn an_attempt_costs_the_same_whether_there_is_such_an_account_or_not() {
    let (store, clock) = (fresh().await, Arc::new(ManualClock::default()));
    let faulty = Arc::new(Faulty::new(store));
    let directory = node(&(Arc::clone(&faulty) as Arc<dyn Store>), &clock, config());
    let ada = directory.add(draft("ada")).await.unwrap();
    let bob = directory.add(Draft { password: None, ..draft("bob") }).await.unwrap();
    let eve = directory.add(draft("eve")).await.unwrap();
    directory.change(eve.id, |user| user.disabled = true).await.unwrap();
    assert_ne!(ada.id, bob.id);
    let mut costs = Vec::new();
    for _ in 0..8 {
        for login in ["ada", "bob", "eve", "nobody", "\u{7}"] {
            // A plan that loses nothing counts.
            faulty.lose(OperationKind::ReadRecords, Lose::Request, When::Every(0));
            faulty.lose(OperationKind::WriteRecords, Lose::Request, When::Every(0));
            assert!(!enters(&directory, login, "a wrong one").await);
            let reads = faulty.calls(OperationKind::ReadRecords);
            costs.push((login, reads, faulty.calls(OperationKind::WriteRecords)));
        }
    }
    // A text that can be no login reads one record less, and nothing can be learned from it.
    costs.retain(|(login, ..)| *login != "\u{7}");
    assert!(costs.iter().all(|(_, reads, writes)| (*reads, *writes) == (2, 1)), "{costs:?}");
}

#[tokio::test]
async fn changed_parameters_are_taken_at_the_next_right_password() {
    let (directory, store, clock) = alone().await;
    let ada = directory.add(draft("ada")).await.unwrap();
    let costly = node(&store, &clock, Config { memory_kib: 128, ..config() });
    let made_with = |hash: &str| hash.split('$').nth(3).unwrap().to_owned();
    let before = credentials(&store, &ada).await;
    assert_eq!(made_with(before.password.as_str()), "m=64,t=1,p=1");
    assert!(!enters(&costly, "ada", "wrong").await);
    assert_eq!(credentials(&store, &ada).await.password, before.password);
    assert!(enters(&costly, "ada", PASSWORD).await);
    let after = credentials(&store, &ada).await;
    assert_eq!(made_with(after.password.as_str()), "m=128,t=1,p=1");
    assert_eq!(after.changed_at, before.changed_at, "the password is the same");
    assert!(enters(&costly, "ada", PASSWORD).await);
}

#[tokio::test]
async fn a_client_digest_enters_only_where_the_settings_allow_it() {
    let (directory, store, clock) = alone().await;
    let ada = directory.add(draft("ada")).await.unwrap();
    let digest = client_digest(&secret(PASSWORD));
    let by_digest = |directory: &Arc<Directory>, digest: &SecretText| {
        let (directory, digest) = (Arc::clone(directory), digest.clone());
        async move {
            let presented = Presented::Digest(digest);
            directory.sign_in("ada", presented).await.unwrap().is_some()
        }
    };
    assert!(!by_digest(&directory, &digest).await, "it is off");
    assert_eq!(credentials(&store, &ada).await.digest, None, "and nothing is stored for it");
    let open = node(&store, &clock, Config { client_digest: true, ..config() });
    assert!(!by_digest(&open, &digest).await, "the password was not used since");
    assert!(enters(&open, "ada", PASSWORD).await);
    assert!(by_digest(&open, &digest).await);
    assert!(by_digest(&open, &secret(&digest.expose().to_uppercase())).await);
    assert!(!by_digest(&open, &secret(PASSWORD)).await, "the password is no digest");
    assert!(!enters(&open, "ada", digest.expose()).await, "and the digest no password");
    let stored = credentials(&store, &ada).await;
    let hashes = [stored.password.as_str(), stored.digest.as_ref().unwrap().as_str()];
    assert!(hashes.iter().all(|hash| hash.starts_with("$argon2id$")), "{hashes:?}");
    assert!(enters(&directory, "ada", PASSWORD).await);
    assert_eq!(credentials(&store, &ada).await.digest, None, "switched off, it is forgotten");
}

#[tokio::test]
async fn beyond_the_places_to_wait_callers_are_refused_at_once() {
    let (store, clock) = (fresh().await, Arc::new(ManualClock::default()));
    let directory = node(&store, &clock, Config { waiting: 3, hashers: 1, ..config() });
    directory.add(draft("ada")).await.unwrap();
    let attempts = (0..32).map(|nth| {
        let directory = Arc::clone(&directory);
        let presented = Presented::Password(secret(PASSWORD));
        tokio::spawn(async move { directory.sign_in(&format!("user{nth}"), presented).await })
    });
    let mut busy = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Ok(entered) => assert_eq!(entered, None),
            Err(DirectoryError::Busy) => busy += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!((1..=28).contains(&busy), "{busy}");
    assert!(enters(&directory, "ada", PASSWORD).await);
}

#[tokio::test]
async fn a_store_that_fails_lets_nobody_in_and_is_no_wrong_password() {
    let (store, clock) = (fresh().await, Arc::new(ManualClock::default()));
    let faulty = Arc::new(Faulty::new(Arc::clone(&store)));
    let directory = node(&(Arc::clone(&faulty) as Arc<dyn Store>), &clock, config());
    let ada = directory.add(draft("ada")).await.unwrap();
    for lose in [Lose::Request, Lose::Reply] {
        for verb in [OperationKind::ReadRecords, OperationKind::WriteRecords] {
            faulty.lose(verb, lose, When::Every(1));
            let attempt = directory.sign_in("ada", Presented::Password(secret(PASSWORD))).await;
            assert!(matches!(attempt, Err(DirectoryError::Store(_))), "{verb:?} {lose:?}");
            faulty.heal();
        }
    }
    assert!(enters(&directory, "ada", PASSWORD).await);
    assert_eq!(credentials(&store, &ada).await.attempts.checked, 0);
}

#[tokio::test]
async fn pages_of_accounts_show_each_once() {
    let (directory, ..) = alone().await;
    let mut added = Vec::new();
    for nth in 0..7 {
        let draft = Draft { password: None, ..draft(&format!("user{nth}")) };
        added.push(directory.add(draft).await.unwrap().id);
    }
    added.sort();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = directory.list(after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        found.extend(page.iter().map(|user| user.id));
    }
    assert_eq!(found, added);
}
