//! What callgate tells about a database: how safe it is as it is set up.

use callgate::store::shared::engine::Engine;

use crate::services::postgres::Server;
use crate::services::postgres::is_installed;

use super::kit;

async fn lacks(engine: &dyn Engine) -> Vec<String> {
    let guarantees = engine.check().await.unwrap();
    guarantees.lacks.iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_database_lacks_nothing() {
    if !is_installed() {
        return;
    }
    let server = Server::start_with(&[]);
    let engine = kit::open(&server.url()).await;
    let guarantees = engine.check().await.unwrap();
    assert_eq!(guarantees.lacks, []);
    assert_eq!(guarantees.store, "postgres");
    assert!(guarantees.survives_crash && guarantees.survives_power_loss && guarantees.shared);
    let notes = guarantees.notes.join("\n");
    assert!(notes.starts_with("PostgreSQL "), "{notes}");
    assert!(notes.contains("no standby confirms a commit"), "{notes}");
    assert_eq!(engine.ahead().as_millis(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_named_with_what_to_change() {
    if !is_installed() {
        return;
    }
    let options = ["fsync=off", "full_page_writes=off", "synchronous_commit=off"];
    let server = Server::start_with(&options);
    let engine = kit::open(&format!("{}?fence=off", server.url())).await;
    let guarantees = engine.check().await.unwrap();
    assert!(!guarantees.survives_power_loss);
    let notes = guarantees.notes.join("\n");
    assert!(notes.contains("synchronous_commit is off for this role; callgate sets it"), "{notes}");
    let told = lacks(&*engine).await;
    let begins = |text: &str| told.iter().any(|lack| lack.contains(text));
    assert!(begins("set fsync = on in postgresql.conf"), "{told:#?}");
    assert!(begins("set full_page_writes = on in postgresql.conf"), "{told:#?}");
    assert!(begins("take fence=off out of the URL"), "{told:#?}");
    assert_eq!(told.len(), 3, "{told:#?}");

    server.sql("ALTER TABLE callgate.token SET UNLOGGED");
    let told = lacks(&*engine).await;
    assert!(told.iter().any(|lack| lack.contains("unlogged: token")), "{told:#?}");
    server.sql("ALTER TABLE callgate.token SET LOGGED");
    assert_eq!(lacks(&*engine).await.len(), 3);

    // Somebody drops a table: that is no outage but a broken store.
    server.sql("DROP TABLE callgate.session CASCADE");
    let error = engine.read(kit::session_id(1)).await.unwrap_err();
    assert!(matches!(error, callgate::store::StoreError::Corrupt(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standbys_that_confirm_commits_are_told() {
    if !is_installed() {
        return;
    }
    let primary = Server::start();
    let engine = kit::open(&primary.url()).await;
    primary.sql("GRANT pg_read_all_stats TO callgate");
    let notes = engine.check().await.unwrap().notes.join("\n");
    assert!(notes.contains("no standby is connected"), "{notes}");
    let standby = primary.standby();
    primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
    primary.sql("SELECT pg_reload_conf()");
    let mut notes = String::new();
    for _ in 0..200 {
        notes = engine.check().await.unwrap().notes.join("\n");
        if notes.contains("loses nothing that was answered") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(notes.contains("commits wait for the standbys \"*\""), "{notes}");
    drop(standby);
    for _ in 0..200 {
        notes = engine.check().await.unwrap().notes.join("\n");
        if notes.contains("none is connected") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(notes.contains("and none is connected: nothing can be written"), "{notes}");
}
