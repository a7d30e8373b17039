//! Every setting reaches the running gate. A setting that is not in the table below fails the test.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::net::TcpListener as Plain;
use std::net::ToSocketAddrs;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use callgate::Gate;
use callgate::Settings;
use callgate::backend::Budgets;
use callgate::base::Clock;
use callgate::base::clock::Stopwatch;
use callgate::http::outbound;
use callgate::settings::SETTINGS;
use callgate::store::live::Config;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use crate::support::House;
use crate::support::frames::PREFACE;
use crate::support::settings;
use crate::support::upstream::Upstream;
use crate::support::wire::Served;
use crate::support::wire::limited;
use crate::support::wire::soon;

/// Short enough to be told from every default, which are seconds at least.
const SHORT: Duration = Duration::from_millis(150);
/// Far longer than a test waits, so that this bound cannot be the one that ends it.
const NEVER: Duration = Duration::from_hours(1);
/// What a busy machine may take on top.
const SLACK: Duration = Duration::from_secs(4);

type Checking = Pin<Box<dyn Future<Output = ()>>>;

/// Where it is shown that a setting has its effect on a gate.
enum Shown {
    /// Here.
    Here(fn() -> Checking),
    /// By a test of another file, whose name begins with its path below `tests`.
    By(&'static str, &'static str),
}

use Shown::By;
use Shown::Here;

/// Each setting.
const TABLE: &[(&str, Shown)] = &[
    ("handlers", By("it/reload.rs", "a_changed_table_is_taken_whole")),
    ("classes", By("it/class_files.rs", "class_files_lie_where_the_settings_say")),
    ("roles", By("it/privileges.rs", "ROLES")),
    ("app", By("it/callbacks.rs", "a_token_of_another_application_is_unknown")),
    ("listen", By("it/init.rs", "from_init_to_a_restored_session_by_the_printed_commands_alone")),
    ("internal", By("it/ending.rs", "sigterm_says_so_first_and_goes_on_for_a_while")),
    ("store", By("it/stores/embedded.rs", "fn ")),
    (
        "store_password_file",
        By("engines/operator/doctor.rs", "a_password_comes_from_the_url_or_a_file"),
    ),
    (
        "safety",
        By(
            "engines/operator/doctor.rs",
            "a_weak_database_is_told_what_to_change_and_refused_in_strict",
        ),
    ),
    ("base_path", By("it/messages.rs", "a_mount_prefix_is_in_the_url_and_not_in_the_path")),
    (
        "public_origin",
        By(
            "it/front.rs",
            "no_way_to_name_a_host_changes_a_callback_url_or_reaches_a_row_it_should_not",
        ),
    ),
    ("confirm_page", By("it/confirm.rs", "the_owners_page_is_shown_in_place_of_the_shipped_one")),
    (
        "hosts",
        By(
            "it/front.rs",
            "no_way_to_name_a_host_changes_a_callback_url_or_reaches_a_row_it_should_not",
        ),
    ),
    ("fetch_hosts", By("it/classes/fetch.rs", "whoever_is_not_named_is_not_asked")),
    (
        "trusted_proxies",
        By("it/front.rs", "the_client_is_whom_a_trusted_proxy_names_and_nobody_else_can_choose_it"),
    ),
    ("private_hosts", Here(|| Box::pin(private_hosts()))),
    (
        "internal_hosts",
        By(
            "it/operator.rs",
            "the_internal_listener_answers_addresses_localhost_and_listed_names_only",
        ),
    ),
    ("cors", By("it/front.rs", "pages_of_other_origins_read_what_the_rules_allow")),
    ("hsts", By("it/front.rs", "browsers_are_told_to_stay_with_https_where_they_came_by_it")),
    ("rate_limits", By("it/limits.rs", "switched_off_nobody_is_limited")),
    ("sessions", By("it/sessions_off.rs", "a_class_is_given_no_session_and_a_browser_no_cookie")),
    ("reload", By("it/reload.rs", "readyz_tells_generation_and_refusal_and_stays_ready")),
    ("strict", By("it/class_files.rs", "under_strict_a_missing_class_refuses_the_start")),
    ("development", By("it/messages.rs", "in_development_the_handlers_own_text_is_shown")),
    (
        "keys",
        By("it/sessions.rs", "keys_rotate_without_a_logout_and_a_dropped_key_ends_its_cookies"),
    ),
    ("keys_file", Here(|| Box::pin(keys_file()))),
    ("new_key", Here(|| Box::pin(new_key()))),
    (
        "session.idle_minutes",
        By("it/sessions.rs", "the_idle_timeout_is_settable_and_at_least_an_hour"),
    ),
    (
        "session.absolute_minutes",
        By("it/sessions.rs", "an_absolute_limit_ends_the_busiest_session"),
    ),
    (
        "core_dumps",
        By("../src/cli/core_dumps.rs", "the_process_leaves_no_core_dump_once_that_is_forbidden"),
    ),
    ("session.guest_share", Here(|| Box::pin(guest_share()))),
    ("session.max", Here(|| Box::pin(session_max()))),
    ("session.answer_bytes", Here(|| Box::pin(session_answer_bytes()))),
    (
        "accounts.hash_kib",
        By("it/directory.rs", "changed_parameters_are_taken_at_the_next_right_password"),
    ),
    (
        "accounts.hash_passes",
        By("it/directory.rs", "changed_parameters_are_taken_at_the_next_right_password"),
    ),
    (
        "accounts.hashers",
        By("it/directory.rs", "beyond_the_places_to_wait_callers_are_refused_at_once"),
    ),
    (
        "accounts.waiting",
        By("it/directory.rs", "beyond_the_places_to_wait_callers_are_refused_at_once"),
    ),
    (
        "accounts.attempts",
        By("it/directory.rs", "of_64_parallel_wrong_passwords_exactly_so_many_are_checked"),
    ),
    (
        "accounts.lock_minutes",
        By("it/directory.rs", "of_64_parallel_wrong_passwords_exactly_so_many_are_checked"),
    ),
    (
        "accounts.password_min",
        By("it/users_cli.rs", "a_password_that_is_not_accepted_says_why_and_creates_nothing"),
    ),
    (
        "accounts.client_digest",
        By("it/rest/login.rs", "a_digest_enters_where_the_settings_accept_it"),
    ),
    ("cookie.prefix", By("it/sessions.rs", "the_cookie_says_how_it_is_guarded")),
    ("cookie.same_site", By("it/sessions.rs", "the_cookie_says_how_it_is_guarded")),
    ("cookie.secure", By("it/tls.rs", "cookies_and_callback_urls_know_that_it_is_https")),
    ("tls.cert", By("it/tls.rs", "both_protocols_and_both_versions_are_spoken")),
    ("tls.key", By("it/tls.rs", "both_protocols_and_both_versions_are_spoken")),
    ("tls.redirect_listen", By("it/tls.rs", "plain_http_leads_to_https_and_takes_no_token")),
    ("log.format", By("it/cli.rs", "every_line_of_a_log_in_json_is_json")),
    ("log.level", By("it/cli.rs", "every_line_of_a_log_in_json_is_json")),
    (
        "limits.connections",
        By("it/connections.rs", "an_address_has_so_many_connections_and_gets_its_place_back"),
    ),
    (
        "limits.connections_per_address",
        By("it/connections.rs", "an_address_has_so_many_connections_and_gets_its_place_back"),
    ),
    ("limits.header_bytes", Here(|| Box::pin(header_bytes()))),
    ("limits.headers", Here(|| Box::pin(headers()))),
    (
        "limits.target_bytes",
        By("it/wire.rs", "too_much_header_is_a_431_and_too_long_a_target_a_414"),
    ),
    ("limits.body_bytes", Here(|| Box::pin(body_bytes()))),
    (
        "limits.forward_body_bytes",
        By("it/forward/streams.rs", "a_body_beyond_its_limit_is_413_announced_or_not"),
    ),
    ("limits.handshake_secs", By("it/tls.rs", "a_hand_that_is_not_shaken_is_let_go")),
    ("limits.first_byte_secs", Here(|| Box::pin(first_byte()))),
    ("limits.header_secs", Here(|| Box::pin(header()))),
    ("limits.body_secs", Here(|| Box::pin(body()))),
    ("limits.body_gap_secs", Here(|| Box::pin(body_gap()))),
    ("limits.handler_secs", Here(|| Box::pin(handler()))),
    ("limits.connect_secs", Here(|| Box::pin(connect()))),
    (
        "limits.upstream_gap_secs",
        By("it/forward/failures.rs", "an_answer_that_pauses_for_too_long_is_broken_off"),
    ),
    (
        "limits.tunnel_idle_secs",
        By("it/forward/tunnels.rs", "a_silent_tunnel_is_closed_and_gives_its_seat_back"),
    ),
    (
        "limits.requests_per_connection",
        By("it/wire.rs", "a_connection_ends_after_its_number_of_requests"),
    ),
    ("limits.connection_age_secs", Here(|| Box::pin(connection_age()))),
    (
        "limits.write_stall_secs",
        By(
            "it/forward/streams.rs",
            "a_reader_who_takes_nothing_is_cut_off_and_the_upstream_is_released",
        ),
    ),
    ("limits.streams", Here(|| Box::pin(streams()))),
    ("limits.drain_lead_secs", By("it/ending.rs", "sigterm_says_so_first_and_goes_on_for_a_while")),
    ("limits.drain_secs", By("it/wire.rs", "who_does_not_end_in_time_is_cut_off")),
    (
        "rates.requests_per_sec",
        By("it/logs.rs", "every_limit_says_that_a_proxy_may_have_been_forgotten"),
    ),
    (
        "rates.requests_burst",
        By("it/logs.rs", "every_limit_says_that_a_proxy_may_have_been_forgotten"),
    ),
    (
        "rates.failures_per_min",
        By("it/logs.rs", "every_limit_says_that_a_proxy_may_have_been_forgotten"),
    ),
    (
        "rates.failures_burst",
        By("it/logs.rs", "every_limit_says_that_a_proxy_may_have_been_forgotten"),
    ),
    ("rates.failures_alarm_per_min", Here(|| Box::pin(failures_alarm()))),
    (
        "rates.sign_ins_per_min",
        By("it/accounts/floods.rs", "a_client_whose_sign_ins_fail_waits_and_others_do_not"),
    ),
    (
        "rates.sign_ins_burst",
        By("it/accounts/floods.rs", "a_client_whose_sign_ins_fail_waits_and_others_do_not"),
    ),
    (
        "rates.session_mints_per_min",
        By("it/limits.rs", "a_session_mints_sixty_at_once_and_then_ten_a_minute"),
    ),
    (
        "rates.session_mints_burst",
        By("it/limits.rs", "a_session_mints_sixty_at_once_and_then_ten_a_minute"),
    ),
    (
        "rates.mints_per_min",
        By("it/logs.rs", "every_limit_says_that_a_proxy_may_have_been_forgotten"),
    ),
    (
        "rates.mints_burst",
        By("it/logs.rs", "every_limit_says_that_a_proxy_may_have_been_forgotten"),
    ),
    (
        "rates.guests_per_min",
        By("it/logs.rs", "every_limit_says_that_a_proxy_may_have_been_forgotten"),
    ),
    (
        "rates.guests_burst",
        By("it/logs.rs", "every_limit_says_that_a_proxy_may_have_been_forgotten"),
    ),
    ("rates.all_guests_per_sec", By("it/limits.rs", "all_clients_together_begin_so_many_sessions")),
    ("rates.all_guests_burst", By("it/limits.rs", "all_clients_together_begin_so_many_sessions")),
    (
        "scripts.cpu_ms",
        Here(|| Box::pin(budget("spin", |scripts| scripts.cpu = Duration::from_millis(10)))),
    ),
    ("scripts.wall_ms", Here(|| Box::pin(wall()))),
    (
        "scripts.heap_bytes",
        Here(|| Box::pin(budget("fill", |scripts| scripts.heap_bytes = 4 << 20))),
    ),
    (
        "scripts.stack_bytes",
        Here(|| Box::pin(budget("dive", |scripts| scripts.stack_bytes = 128 << 10))),
    ),
    (
        "scripts.output_bytes",
        Here(|| Box::pin(budget("talk", |scripts| scripts.output_bytes = 1_024))),
    ),
    (
        "scripts.console_bytes",
        By("../src/gate/classes/folder.rs", "every_budget_of_the_settings_reaches_the_classes"),
    ),
    (
        "scripts.fetch_ms",
        By("../src/gate/classes/folder.rs", "every_budget_of_the_settings_reaches_the_classes"),
    ),
    (
        "scripts.fetch_bytes",
        By("../src/gate/classes/folder.rs", "every_budget_of_the_settings_reaches_the_classes"),
    ),
    ("scripts.calls", Here(|| Box::pin(calls()))),
];

#[test]
fn every_setting_is_in_the_table_and_every_test_that_it_names_is_there() {
    let listed: BTreeSet<&str> = TABLE.iter().map(|(name, _)| *name).collect();
    let all: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    let missing: Vec<_> = all.difference(&listed).collect();
    assert!(missing.is_empty(), "show that these reach the gate, here or elsewhere: {missing:?}");
    let gone: Vec<_> = listed.difference(&all).collect();
    assert!(gone.is_empty(), "there are no such settings: {gone:?}");
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for (name, shown) in TABLE {
        if let By(file, test) = shown {
            let text = std::fs::read_to_string(tests.join(file)).expect(file);
            assert!(text.contains(test), "{name}: there is no {test} in {file}");
        }
    }
}

#[tokio::test]
async fn every_setting_has_its_effect() {
    for (name, shown) in TABLE {
        if let Here(check) = shown {
            // What fails says in which check.
            eprintln!("{name}");
            check().await;
        }
    }
}

/// Waits for the end of something that only this setting can end so early.
async fn ends_soon<T>(what: impl Future<Output = T>) -> T {
    let begun = Stopwatch::start();
    let done = soon(what).await;
    assert!(begun.elapsed() < SLACK, "some other bound ended it after {:?}", begun.elapsed());
    done
}

async fn header_bytes() {
    let served = Served::start(limited(|limits| limits.header_bytes = 8 * 1024)).await;
    // Each of the fields is within the limit of a single one.
    let ask = |bytes: usize| {
        let half = "a".repeat(bytes / 2);
        format!("GET /whoami HTTP/1.1\r\nHost: x\r\nX-A: {half}\r\nX-B: {half}\r\n\r\n")
    };
    assert_eq!(served.ask(&ask(6_000)).await.status, 200);
    let mut wire = served.connect().await;
    wire.send(ask(10_000)).await;
    assert_eq!(wire.bare_answer().await.status, 431);
}

async fn headers() {
    let served = Served::start(limited(|limits| limits.headers = 40)).await;
    let ask = |count: usize| {
        format!("GET /whoami HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-A: 1\r\n".repeat(count - 1))
    };
    assert_eq!(served.ask(&ask(40)).await.status, 200);
    let mut wire = served.connect().await;
    wire.send(ask(41)).await;
    assert_eq!(wire.bare_answer().await.status, 431);
    let stream = served.house.visitor();
    let many = (0..41).fold(stream.get("/whoami"), |ask, _| ask.header("x-a", "1"));
    assert_eq!(many.send().await.status, 431, "and of HTTP/2");
}

async fn body_bytes() {
    let house = House::open(limited(|limits| limits.body_bytes = 100)).await;
    for (bytes, status) in [(100, 200), (101, 413)] {
        let answer = house.visitor().post("/echo").body(vec![b'a'; bytes]).send().await;
        assert_eq!(answer.status, status);
    }
}

async fn first_byte() {
    let served = Served::start(limited(|limits| {
        (limits.first_byte, limits.header) = (SHORT, NEVER);
    }))
    .await;
    let mut wire = served.connect().await;
    ends_soon(wire.rest()).await;
}

async fn header() {
    let served = Served::start(limited(|limits| {
        (limits.first_byte, limits.header) = (NEVER, SHORT);
    }))
    .await;
    let mut wire = served.connect().await;
    wire.send("GET /whoami HTTP/1.1\r\nHost:").await;
    ends_soon(wire.rest()).await;
}

const HALF: &str = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345";

async fn body() {
    let served = Served::start(limited(|limits| {
        (limits.body, limits.body_gap) = (SHORT, NEVER);
    }))
    .await;
    assert_eq!(ends_soon(served.ask(HALF)).await.status, 408);
}

async fn body_gap() {
    let served = Served::start(limited(|limits| {
        (limits.body, limits.body_gap) = (NEVER, SHORT);
    }))
    .await;
    assert_eq!(ends_soon(served.ask(HALF)).await.status, 408);
}

async fn handler() {
    let house = House::open(limited(|limits| limits.handler = SHORT)).await;
    let answer = ends_soon(house.visitor().get("/linger").send()).await;
    assert_eq!(answer.status, 500);
}

/// A port of this machine that takes no connection and refuses none: its queue is full.
fn deaf() -> (Plain, Vec<std::net::TcpStream>, SocketAddr) {
    let listener = Plain::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, SHORT) {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the queue of a listener is never full");
    }
    (listener, waiting, address)
}

async fn connect() {
    let (_listener, _waiting, address) = tokio::task::spawn_blocking(deaf).await.unwrap();
    let rows = format!(r#"{{ "forward": "http://{address}", "pattern": "up" }}"#);
    let settings = Settings { outbound: outbound::Config { connect: SHORT }, ..settings() };
    let house = House::with_rows(settings, &rows).await;
    assert_eq!(ends_soon(house.visitor().get("/up").send()).await.status, 502);
}

async fn connection_age() {
    let served = Served::start(limited(|limits| {
        (limits.connection_age, limits.header) = (SHORT, NEVER);
    }))
    .await;
    let mut wire = served.connect().await;
    assert_eq!(wire.get("/whoami").await.status, 200);
    ends_soon(wire.rest()).await;
}

async fn streams() {
    let served = Served::start(limited(|limits| limits.streams = 7)).await;
    let mut stream = TcpStream::connect(served.public).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    // The first frame of a server are its settings, of six bytes each (RFC 9113 §6.5).
    let mut head = [0; 9];
    soon(stream.read_exact(&mut head)).await.unwrap();
    assert_eq!(head[3], 4, "a frame of settings");
    let mut payload = vec![0; usize::from(head[2])];
    soon(stream.read_exact(&mut payload)).await.unwrap();
    let said = payload.chunks(6).find(|entry| entry[..2] == [0, 3]).expect("a number of streams");
    assert_eq!(said[2..], [0, 0, 0, 7]);
}

/// A name that leads to an address of this machine, and is not `localhost`.
fn own_name() -> (String, SocketAddr) {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let names = [name.trim(), "ip6-localhost", "localhost.localdomain", "localhost6"];
    let found = names.iter().find_map(|name| {
        let address = (*name, 0).to_socket_addrs().ok()?.next()?;
        Some(((*name).to_owned(), address))
    });
    found.expect("no name of this machine leads to an address; enter one in /etc/hosts")
}

async fn private_hosts() {
    let (name, address) = own_name();
    let listener = TcpListener::bind(address).await.unwrap();
    let upstream = Upstream::echo_on(listener);
    let rows =
        format!(r#"{{ "forward": "http://{name}:{}", "pattern": "up" }}"#, upstream.address.port());
    for (private_hosts, status) in [(vec![], 502), (vec![name.clone()], 200)] {
        let house = House::with_rows(Settings { private_hosts, ..settings() }, &rows).await;
        assert_eq!(house.visitor().get("/up").send().await.status, status, "{name}");
    }
}

/// A gate that opens the store of its settings itself.
async fn gate(settings: Settings, rows: &str) -> Gate {
    let probe = std::sync::Arc::new(crate::support::probe::Probe::new());
    let rest = crate::support::probe::TABLE.trim_start_matches('[');
    let table = if rows.is_empty() { format!("[{rest}") } else { format!("[{rows},{rest}") };
    let gate =
        Gate::builder(settings).table(table).singleton(crate::support::probe::singleton(probe));
    gate.open().await.unwrap()
}

async fn keys_file() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("keys");
    let mut ids = Vec::new();
    let mut cookie = String::new();
    // A guest keeps his id where the key that sealed his cookie is known.
    for key in ["1f", "1f", "2e"] {
        std::fs::write(&file, key.repeat(32)).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let gate = gate(Settings { keys_file: Some(file.clone()), ..settings() }, "").await;
        let client = gate.client();
        if !cookie.is_empty() {
            client.plant("4DSID_callgate", &cookie);
        }
        ids.push(client.get("/whoami").send().await.json()["id"].clone());
        cookie = client.cookie("4DSID_callgate").unwrap();
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
}

async fn session_max() {
    let capacity = Config { sessions_max: 3, ..Config::default() };
    let gate = gate(Settings { capacity, ..settings() }, "").await;
    let login = || gate.client().get("/login?privileges=admin").send();
    for _ in 0..3 {
        assert_eq!(login().await.status, 200);
    }
    assert_eq!(login().await.status, 503);
}

/// A start whose key file is gone is refused, or makes a new one where it was told to.
async fn new_key() {
    let place = tempfile::tempdir().unwrap();
    let store = callgate::settings::StoreUrl::Embedded(place.path().join("data"));
    let settings = Settings { store, ..settings() };
    let open = async |new_key: bool| {
        let probe = std::sync::Arc::new(crate::support::probe::Probe::new());
        let gate = Gate::builder(Settings { new_key, ..settings.clone() })
            .table(crate::support::probe::TABLE)
            .singleton(crate::support::probe::singleton(probe));
        gate.open().await.map(drop).map_err(|error| error.to_string())
    };
    open(false).await.unwrap();
    let now = callgate::base::clock::SystemClock.now();
    let store = callgate::gate::open_store(&settings, now).await.unwrap();
    let device = crate::stores::kit::device();
    let id = callgate::base::SessionId::from_bytes([7; 16]);
    let lifetime = callgate::session::Lifetime::default();
    let record = callgate::session::Record::new(id, now, lifetime, device);
    let patch = callgate::session::Patch::default();
    let founding = callgate::store::port::Founding { record, patch, token: None };
    store.create(now, founding).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    std::fs::remove_file(settings.key_path().unwrap()).unwrap();
    let refused = open(false).await.unwrap_err();
    assert!(refused.contains("--new-key"), "{refused}");
    open(true).await.unwrap();
    open(false).await.unwrap();
}

/// Of ten sessions, three guests are within half of them and beyond a tenth.
async fn guest_share() {
    for (guest_percent, displaced) in [(50, 0), (10, 1)] {
        let (log, _capture) = crate::support::log::Log::capture();
        let capacity = Config { sessions_max: 10, guest_percent, ..Config::default() };
        let gate = gate(Settings { capacity, ..settings() }, "").await;
        for _ in 0..3 {
            assert_eq!(gate.client().get("/write?key=k&value=v").send().await.status, 200);
        }
        assert_eq!(log.of("session.guests_displaced").len(), displaced, "{guest_percent} %");
    }
}

async fn session_answer_bytes() {
    let row = r#"{ "class": "Probe", "method": "echo", "pattern": "kept", "repeat": 600 }"#;
    // Of four answers of 50,000 bytes each, two have room, or all.
    for (answer_bytes_max, kept) in [(128 * 1024, 2), (1024 * 1024, 4)] {
        let capacity = Config { answer_bytes_max, ..Config::default() };
        let gate = gate(Settings { capacity, ..settings() }, row).await;
        let owners: Vec<_> = (0..4).map(|_| gate.client()).collect();
        let mut links = Vec::new();
        for owner in &owners {
            let token = owner.get("/mint").send().await.text();
            links.push(format!("/kept?$4DSID={token}"));
        }
        let call_back = |link: &str| gate.client().post(link).body(vec![b'a'; 50_000]).send();
        for link in &links {
            assert_eq!(call_back(link).await.status, 200);
        }
        let mut again = Vec::new();
        for link in &links {
            again.push(call_back(link).await.status);
        }
        let found = again.iter().filter(|status| **status == 200).count();
        assert_eq!(found, kept, "{answer_bytes_max}: {again:?}");
    }
}

async fn failures_alarm() {
    let (log, capture) = crate::support::log::Log::capture();
    let mut settings = Settings { rate_limits: true, ..settings() };
    settings.rates.failures_alarm_per_min = 1;
    let house = House::open(settings).await;
    for n in 0..3 {
        let token = format!("{n:032X}");
        house.visitor().call_back("/whoami", &token).await;
    }
    drop(capture);
    assert_eq!(log.of("rate.alarm").len(), 1, "{}", log.text());
}

/// Functions that use up one thing each.
const HOG: &str = "export default class Hog {
  spin() { for (let n = 0; n < 5_000_000; n += 1); }
  fill() { return 'a'.repeat(6 << 20).length; }
  dive() { const dive = (n) => n === 0 ? 0 : 1 + dive(n - 1); return dive(600); }
  talk() { return 'a'.repeat(10_000); }
  wait() { return new Promise(() => {}); }
}
";

/// A gate whose class files lie in a folder, as `serve` opens it.
async fn classes(change: impl FnOnce(&mut Budgets)) -> (TempDir, Gate) {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("Hog.js"), HOG).unwrap();
    let names = ["spin", "fill", "dive", "talk", "wait"];
    let rows = names
        .map(|name| format!(r#"{{ "class": "Hog", "method": "{name}", "pattern": "{name}" }}"#));
    let mut settings = Settings { classes: Some(place.path().to_owned()), ..settings() };
    change(&mut settings.scripts);
    let table = format!("[{}]", rows.join(","));
    let gate = Gate::builder(settings).table(table).open().await.unwrap();
    (place, gate)
}

/// By default a function has enough of everything, and with this budget it has not.
async fn budget(function: &'static str, change: fn(&mut Budgets)) {
    let ask = async |gate: &Gate| soon(gate.client().get(&format!("/{function}")).send()).await;
    let (_place, gate) = classes(|_| {}).await;
    assert_eq!(ask(&gate).await.status, 200, "{function} by default");
    let (_place, gate) = classes(change).await;
    assert_eq!(ask(&gate).await.status, 500, "{function}");
}

async fn wall() {
    let (_place, gate) = classes(|scripts| scripts.wall = SHORT).await;
    assert_eq!(ends_soon(gate.client().get("/wait").send()).await.status, 500);
}

async fn calls() {
    let (_place, gate) = classes(|scripts| (scripts.calls, scripts.wall) = (1, NEVER)).await;
    let mut waiting = Box::pin(gate.client().get("/wait").send());
    assert!(tokio::time::timeout(SHORT, &mut waiting).await.is_err());
    assert_eq!(gate.client().get("/talk").send().await.status, 503);
}
