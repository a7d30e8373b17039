//! Making the tables: by many at once, by those who may not, and beside a later callgate.

use callgate::store::postgres;
use callgate::store::postgres::Address;
use callgate::store::shared::OpenError;
use callgate::store::shared::OpenErrorKind;
use callgate::store::shared::engine::Committed;
use callgate::store::shared::engine::Expect;

use super::kit;

async fn refused(url: &str) -> OpenError {
    match postgres::open(&Address::parse(url).unwrap(), "app").await {
        Ok(engine) => panic!("{engine:?} is open"),
        Err(error) => error,
    }
}

/// Works once with the database at this address.
async fn works(url: &str) {
    let engine = kit::open(url).await;
    kit::found(&*engine, kit::row(), kit::token(1, kit::session_id(1))).await;
    assert!(engine.claim(kit::order(kit::digest(1))).await.unwrap().granted);
    engine.close().await.unwrap();
}

/// The statements that an error tells to run.
fn remedy(error: &OpenError) -> &str {
    let (_, rest) = error.why.split_once("run: ").unwrap_or_else(|| panic!("{error}"));
    rest.rsplit_once(';').unwrap_or_else(|| panic!("{error}")).0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_together_make_the_tables_once() {
    let Some(url) = kit::url() else { return };
    let url = format!("{url}?schema=together&pool=2");
    let nodes: Vec<_> = (0..8)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { kit::open_as(&url, "together").await })
        })
        .collect();
    for (number, node) in nodes.into_iter().enumerate() {
        let engine = node.await.unwrap();
        let id = kit::session_id(u8::try_from(number).unwrap());
        let mut founding = kit::commit(id, Expect::Absent);
        founding.session = Some(kit::row());
        assert_eq!(engine.commit(founding).await.unwrap(), Committed::Done);
    }
    let sql = |statement| kit::server().unwrap().lock().unwrap().sql(statement);
    assert_eq!(sql("SELECT version, readable_from FROM together.schema_version"), "1|1\n2|1");
    assert_eq!(sql("SELECT count(*) FROM together.session"), "8");
}

#[tokio::test]
async fn a_later_schema_is_refused_unless_it_says_otherwise() {
    let Some(url) = kit::url() else { return };
    let url = format!("{url}?schema=later");
    works(&url).await;
    let sql = |statement| kit::server().unwrap().lock().unwrap().sql(statement);
    sql("INSERT INTO later.schema_version (version, readable_from) VALUES (99, 3)");
    let error = refused(&url).await;
    assert_eq!(error.kind, OpenErrorKind::Newer);
    assert!(error.to_string().contains("(version 99, and this one knows 2)"), "{error}");
    sql("UPDATE later.schema_version SET readable_from = 1 WHERE version = 99");
    works(&url).await;
}

#[tokio::test]
async fn who_may_not_make_the_tables_is_told_who_can_do_what() {
    let Some(url) = kit::url() else { return };
    let sql = |statement: &str| kit::server().unwrap().lock().unwrap().sql(statement);
    sql("CREATE ROLE \"a guest\" LOGIN");
    let guest = url.replace("callgate:secret@", "a%20guest@") + "?schema=guests";
    let error = refused(&guest).await;
    assert_eq!(error.kind, OpenErrorKind::Unfit);
    assert!(error.why.starts_with("the role \"a guest\" may not make its tables"), "{error}");
    sql(remedy(&error));
    works(&guest).await;

    // A role that works with the tables of another one.
    sql("CREATE ROLE worker LOGIN");
    works(&format!("{url}?schema=owned")).await;
    let worker = url.replace("callgate:secret@", "worker@") + "?schema=owned";
    let error = refused(&worker).await;
    assert_eq!(error.kind, OpenErrorKind::Unfit);
    assert!(error.why.starts_with("the role \"worker\" may not use its tables"), "{error}");
    sql(remedy(&error));
    works(&worker).await;
    for right in ["SELECT", "INSERT", "UPDATE", "DELETE"] {
        for table in ["session", "token"] {
            sql(&format!("REVOKE {right} ON owned.{table} FROM worker"));
            let error = refused(&worker).await;
            assert!(error.why.contains("may not use its tables"), "{right} {table}: {error}");
            sql(remedy(&error));
        }
    }
    works(&worker).await;
}

#[tokio::test]
async fn who_may_not_ask_for_the_incarnation_is_told_so() {
    let Some(url) = kit::url() else { return };
    let sql = |statement: &str| kit::server().unwrap().lock().unwrap().sql(statement);
    sql("CREATE DATABASE closed OWNER callgate");
    let url = format!("{}/closed", url.strip_suffix("/callgate").unwrap());
    let within = |statement: &str| {
        sql(&format!("\\connect closed\n{statement}"));
    };
    within("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC");
    let error = refused(&url).await;
    assert_eq!(error.kind, OpenErrorKind::Unfit);
    assert!(error.why.contains("may not read its epoch"), "{error}");
    works(&format!("{url}?fence=off")).await;
    within(remedy(&error));
    works(&url).await;
}

#[tokio::test]
async fn a_wrong_address_is_told_apart_from_a_wrong_login() {
    let Some(url) = kit::url() else { return };
    let error = refused("postgres://callgate:hunter2@127.0.0.1:1/callgate").await;
    assert_eq!(error.kind, OpenErrorKind::Unreachable);
    assert!(error.to_string().starts_with("store postgres://callgate@127.0.0.1:1/callgate: it"));
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    let error = refused(&url.replace("callgate:secret@", "nobody@")).await;
    assert_eq!(error.kind, OpenErrorKind::Unfit);
    assert!(error.why.contains("role \"nobody\" does not exist"), "{error}");
    let error = refused(&format!("{}/nowhere", url.strip_suffix("/callgate").unwrap())).await;
    assert_eq!(error.kind, OpenErrorKind::Unfit);
    assert!(error.why.contains("database \"nowhere\" does not exist"), "{error}");
}
