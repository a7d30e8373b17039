//! What is said about real databases as they are set up, and what `strict` makes of it.

use std::io::BufRead;
use std::io::BufReader;

use super::Place;
use crate::services::postgres;
use crate::services::redis;

const STRICT: [&str; 9] = [
    "serve",
    "--listen",
    "127.0.0.1:0",
    "--internal",
    "off",
    "--public-origin",
    "https://shop.example",
    "--safety",
    "strict",
];

#[test]
fn a_weak_database_is_told_what_to_change_and_refused_in_strict() {
    if !postgres::is_installed() {
        return;
    }
    // As tests start it.
    let server = postgres::Server::start();
    let (place, url) = (Place::new(), server.url());
    let said = place.run(&["store", "doctor", &url]);
    assert_eq!((said.code, &*said.err), (Some(78), ""), "{said:?}");
    for line in [
        "  a crash      loses nothing that was answered\n",
        "  a power cut  can lose what was answered\n",
        "  lacking      a power cut can lose what was answered and break the database, for fsync",
        "  to change    set fsync = on in postgresql.conf\n",
    ] {
        assert!(said.out.contains(line), "{line:?} is not in\n{}", said.out);
    }
    let (code, json) = place.json(&["store", "doctor", &url]);
    assert_eq!((code, &json["survivesPowerLoss"]), (Some(78), &false.into()));
    assert_eq!(json["lacks"][0]["remedy"], "set fsync = on in postgresql.conf");
    let strict = place.run(&[&STRICT[..], &["--store", &url]].concat());
    assert_eq!((strict.code, &*strict.out), (Some(78), ""), "{strict:?}");
    let why =
        "store postgres: it is not fit for production; safety is \"strict\"\nerror: a power cut";
    assert!(strict.err.contains(why), "{strict:?}");
    assert!(strict.err.contains("; set fsync = on in postgresql.conf"), "{strict:?}");
}

#[test]
fn a_sound_database_has_nothing_to_change_and_serves_in_strict() {
    if !postgres::is_installed() {
        return;
    }
    let server = postgres::Server::start_with(&["fsync=on"]);
    let (place, url) = (Place::new(), server.url());
    let said = place.run(&["store", "doctor", &url]);
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    assert!(said.out.starts_with("postgres://callgate@127.0.0.1:"), "{said:?}");
    let single = "  single use   a token is redeemed once at most, on whichever node, through crashes, power";
    assert!(said.out.contains(single), "{said:?}");
    assert!(said.out.ends_with("  to change    nothing\n"), "{said:?}");
    let settings = place.run(&["settings", "--store", &url]);
    assert_eq!((settings.code, &*settings.err), (Some(0), ""), "{settings:?}");
    let comments = settings.out.lines().filter_map(|line| line.strip_prefix("# "));
    assert!(comments.eq(said.out.lines()), "{settings:?}");
    let mut child = place.start(&[&STRICT[..], &["--store", &url]].concat());
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on "), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_lack_is_logged_at_the_start() {
    if !postgres::is_installed() {
        return;
    }
    let server = postgres::Server::start();
    let (place, url) = (Place::new(), server.url());
    let words = ["serve", "--listen", "127.0.0.1:0", "--internal", "off", "--store", &url];
    let mut child = place.start(&words);
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let lines = lines.map(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap());
    let lack = lines.into_iter().find(|line| line["event"] == "store.lack").unwrap();
    assert_eq!((&lack["level"], &lack["store"]), (&"WARN".into(), &"postgres".into()));
    assert_eq!(lack["remedy"], "set fsync = on in postgresql.conf");
    assert!(lack["message"].as_str().unwrap().starts_with("a power cut can lose"), "{lack}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_password_comes_from_the_url_or_a_file() {
    if !postgres::is_installed() {
        return;
    }
    let mut server = postgres::Server::start_with(&["fsync=on"]);
    server.write(
        "pg_hba.conf",
        "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
    );
    server.sql("SELECT pg_reload_conf()");
    let place = Place::new();
    let bare = server.url().replace(":secret@", "@");
    let wrong = server.url().replace(":secret@", ":hunter2canary@");
    place.write("password", "secret\n");
    place.write("wrong", "hunter2canary\n");
    assert_eq!(place.run(&["store", "doctor", &server.url()]).code, Some(0));
    let file = place.run(&["store", "doctor", &bare, "--password-file", "password"]);
    assert_eq!(file.code, Some(0), "{file:?}");
    let settings = ["--store", &bare, "--store-password-file", "password"];
    let named = place.run(&[&["store", "doctor"], &settings[..]].concat());
    assert_eq!(named.code, Some(0), "{named:?}");
    for words in [
        &["store", "doctor", &wrong][..],
        &["store", "doctor", &bare],
        &["store", "doctor", &bare, "--password-file", "wrong"],
        &["store", "copy", "embedded:old", &wrong],
    ] {
        std::fs::create_dir_all(place.path("old")).unwrap();
        place.write("old/callgate.redb", "");
        let refused = place.run(words);
        assert!(!matches!(refused.code, Some(0 | 64)) && refused.out.is_empty(), "{refused:?}");
        assert!(refused.err.starts_with("callgate: store "), "{refused:?}");
    }
    server.stop();
    let gone = place.run(&["store", "doctor", &server.url()]);
    assert_eq!((gone.code, &*gone.out), (Some(69), ""), "{gone:?}");
    assert!(gone.err.starts_with("callgate: store postgres://callgate@127.0.0.1:"), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_is_judged_by_what_it_writes_down() {
    if !redis::is_installed() {
        return;
    }
    let place = Place::new();
    let forgetful = redis::Redis::start("").await;
    let said = place.run(&["store", "doctor", &forgetful.url()]);
    assert_eq!((said.code, &*said.err), (Some(78), ""), "{said:?}");
    assert!(said.out.contains("  to change    set appendonly yes and appendfsync always\n"));
    let strict = place.run(&[&STRICT[..], &["--store", &forgetful.url()]].concat());
    assert_eq!((strict.code, &*strict.out), (Some(78), ""), "{strict:?}");
    assert!(strict.err.contains("store redis: it is not fit for production"), "{strict:?}");
    let lazy = redis::Redis::start("--appendonly yes --appendfsync everysec").await;
    let (code, json) = place.json(&["store", "doctor", &lazy.url()]);
    assert_eq!((code, &json["lacks"][0]["remedy"]), (Some(78), &"set appendfsync always".into()));
    let sound = redis::Redis::durable().await;
    let said = place.run(&["store", "doctor", &sound.url()]);
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    assert!(said.out.contains("  a power cut  loses nothing that was answered\n"), "{said:?}");
    assert!(said.out.contains(" the tokens minted before\n"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_of_a_redis_comes_from_the_url_or_a_file() {
    if !redis::is_installed() {
        return;
    }
    let place = Place::new();
    let mut server = redis::Redis::with_password("hunter2canary").await;
    let bare = server.url().replace(":hunter2canary@", "");
    place.write("password", "hunter2canary\n");
    place.write("wrong", "secret\n");
    for (words, codes) in [
        (&["store", "doctor", &server.url()][..], [78, 78]),
        (&["store", "doctor", &bare, "--password-file", "password"], [78, 78]),
        (&["store", "doctor", "--store", &bare, "--store-password-file", "password"], [78, 78]),
        (&["store", "doctor", &bare, "--password-file", "wrong"], [69, 78]),
        (&["store", "doctor", &bare], [69, 78]),
    ] {
        let ended = place.run(words);
        assert!(codes.map(Some).contains(&ended.code), "{words:?}: {ended:?}");
        let judged = ended.out.contains("  lacking      a server that restarts");
        assert_eq!(judged, codes == [78, 78], "{words:?}: {ended:?}");
    }
    server.kill();
    let gone = place.run(&["store", "doctor", &bare, "--password-file", "password"]);
    assert_eq!((gone.code, &*gone.out), (Some(69), ""), "{gone:?}");
    assert!(gone.err.starts_with(&format!("callgate: store {bare}")), "{gone:?}");
}
