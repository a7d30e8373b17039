//! HTTPS: what is offered, what is refused, and how its certificate changes.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use callgate::Gate;
use callgate::Settings;
use callgate::base::clock::Stopwatch;
use callgate::gate::GateError;
use callgate::http::server::Drained;
use callgate::settings::PublicOrigin;
use callgate::settings::Tls;
use http_body_util::BodyExt;
use http_body_util::Empty;
use hyper::Request;
use hyper::Response;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use rcgen::CertifiedKey;
use rcgen::KeyPair;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::SupportedProtocolVersion;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::version::TLS12;
use rustls::version::TLS13;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::log::Log;
use crate::support::settings;
use crate::support::wire::Served;
use crate::support::wire::soon;

const NAME: &str = "gate.test";

/// A folder with a certificate and its key.
struct Place(TempDir);

impl Place {
    /// With a pair that is made for it.
    fn new() -> (Self, CertificateDer<'static>) {
        let place = Self(tempfile::tempdir().unwrap());
        let cert = place.renew();
        (place, cert)
    }

    /// Puts another pair there.
    fn renew(&self) -> CertificateDer<'static> {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        std::fs::write(self.path("cert.pem"), cert.pem()).unwrap();
        std::fs::write(self.path("key.pem"), signing_key.serialize_pem()).unwrap();
        cert.der().clone()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn settings(&self) -> Settings {
        let (cert, key) = (Some(self.path("cert.pem")), Some(self.path("key.pem")));
        Settings { tls: Tls { cert, key, ..Tls::default() }, ..settings() }
    }
}

/// Shakes hands as a client who trusts this certificate alone.
async fn connect(
    served: &Served,
    trusted: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(served.public).await.unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    soon(TlsConnector::from(Arc::new(client)).connect(name, stream)).await
}

/// One request over HTTP/1.1, as bytes; the answer as text.
async fn ask(stream: &mut TlsStream<TcpStream>, target: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
    soon(stream.write_all(request.as_bytes())).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn both_protocols_and_both_versions_are_spoken() {
    let (place, cert) = Place::new();
    let served = Served::start(place.settings()).await;
    for version in [&TLS12, &TLS13] {
        // Who offers nothing speaks the older one (RFC 9113 §3.2).
        for (offered, agreed) in [
            (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
            (&["http/1.1"], Some(b"http/1.1")),
            (&[], None),
        ] {
            let mut stream = connect(&served, &cert, &[version], offered).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), agreed);
            if agreed != Some(b"h2") {
                let answer = ask(&mut stream, "/say?body=hello").await;
                assert!(
                    answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"),
                    "{answer}"
                );
                continue;
            }
            let io = TokioIo::new(stream);
            let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
            let (mut sender, connection) = soon(handshake).await.unwrap();
            let driving = tokio::spawn(connection);
            let request = Request::get(format!("https://{NAME}/say?body=hello"));
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            let answer: Response<_> = soon(sender.send_request(request)).await.unwrap();
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
            drop(sender);
            soon(driving).await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn a_protocol_that_nobody_agreed_on_is_not_spoken() {
    let (place, cert) = Place::new();
    let served = Served::start(place.settings()).await;
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (offered, said) in
        [("http/1.1", preface), ("h2", "GET /whoami HTTP/1.1\r\nHost: x\r\n\r\n")]
    {
        let mut stream = connect(&served, &cert, &[&TLS13], &[offered]).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = soon(stream.read_to_end(&mut answer)).await;
        assert_eq!(answer, b"", "{offered}");
    }
    assert!(connect(&served, &cert, &[&TLS13], &["spdy/3"]).await.is_err());
    assert_eq!(served.house.probe.runs(), 0);
}

#[tokio::test]
async fn what_is_too_old_or_not_encrypted_is_refused() {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    const PROTOCOL_VERSION: u8 = 70;
    let (place, _) = Place::new();
    let served = Served::start(place.settings()).await;
    // A ClientHello (RFC 5246 §7.4.1.2) with one suite, one curve and one kind of signature, all
    // of which would do; only the version differs, from SSL 3.0 to TLS 1.2.
    let random = [7; 32];
    let suite = [0, 0, 2, 0xC0, 0x2B, 1, 0];
    let extensions = [0, 16, 0, 10, 0, 4, 0, 2, 0, 0x1D, 0, 13, 0, 4, 0, 2, 4, 3];
    for minor in [0, 1, 2, 3] {
        let hello = [&[3, minor][..], &random, &suite, &extensions].concat();
        let length = u8::try_from(hello.len()).unwrap();
        let message = [&[1, 0, 0, length][..], &hello].concat();
        let record = [&[HANDSHAKE, 3, 1, 0, length + 4][..], &message].concat();
        let mut stream = TcpStream::connect(served.public).await.unwrap();
        stream.write_all(&record).await.unwrap();
        let mut answer = [0; 7];
        soon(stream.read_exact(&mut answer)).await.unwrap();
        match minor {
            3 => assert_eq!(answer[0], HANDSHAKE),
            _ => assert_eq!((answer[0], answer[6]), (ALERT, PROTOCOL_VERSION), "{minor}"),
        }
    }
    let mut plain = served.connect().await;
    plain.send("GET /whoami HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(!plain.rest().await.contains("HTTP/1.1"));
    assert_eq!(served.house.probe.runs(), 0);
}

#[tokio::test]
async fn cookies_and_callback_urls_know_that_it_is_https() {
    let (place, cert) = Place::new();
    let served = Served::start(place.settings()).await;
    let mut stream = connect(&served, &cert, &[&TLS13], &[]).await.unwrap();
    let answer = ask(&mut stream, "/whoami").await;
    let cookie = answer.lines().find(|line| line.starts_with("set-cookie: ")).unwrap();
    assert!(cookie.starts_with("set-cookie: __Host-4DSID_callgate="), "{cookie}");
    assert!(cookie.contains("; Secure"), "{cookie}");
    let mut stream = connect(&served, &cert, &[&TLS13], &[]).await.unwrap();
    let answer = ask(&mut stream, "/url?path=/whoami").await;
    assert!(answer.contains(&format!("https://{}/whoami?%244DSID=", served.public)), "{answer}");
}

#[tokio::test]
async fn browsers_are_told_to_come_encrypted_to_a_public_address_only() {
    for (origin, told) in [(None, false), (Some("https://gate.test"), true)] {
        let (place, cert) = Place::new();
        let public_origin = origin.map(|origin| PublicOrigin::parse(origin).unwrap());
        let served = Served::start(Settings { public_origin, ..place.settings() }).await;
        let mut stream = connect(&served, &cert, &[&TLS13], &["http/1.1"]).await.unwrap();
        let answer = ask(&mut stream, "/whoami").await;
        assert_eq!(answer.contains("strict-transport-security: max-age="), told, "{answer}");
    }
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart_and_a_bad_one_is_not() {
    let (log, _capture) = Log::capture();
    let (place, old) = Place::new();
    let mut served = Served::start(place.settings()).await;
    let certificates = Arc::clone(served.house.gate.certificates().unwrap());
    assert_eq!(certificates.files(), [place.path("cert.pem"), place.path("key.pem")]);
    let mut kept = connect(&served, &old, &[&TLS13], &[]).await.unwrap();
    std::fs::write(place.path("key.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let now = callgate::base::Timestamp::from_millis(0);
    certificates.reload(now).unwrap_err();
    connect(&served, &old, &[&TLS13], &[]).await.expect("the old one is in use");
    let new = place.renew();
    certificates.reload(now).unwrap();
    connect(&served, &new, &[&TLS13], &[]).await.expect("the new one is in use");
    assert!(connect(&served, &old, &[&TLS13], &[]).await.is_err());
    let answer = ask(&mut kept, "/say?body=kept").await;
    assert!(answer.ends_with("kept"), "a connection goes on with the old one: {answer}");
    drop(kept);
    served.stop();
    assert_eq!(served.ended().await, Drained::Clean);
    log.has(&["tls.reloaded", "tls.refused"]);
}

#[tokio::test]
async fn a_hand_that_is_not_shaken_is_let_go() {
    let (place, _) = Place::new();
    let mut settings = place.settings();
    settings.limits.handshake = std::time::Duration::from_millis(150);
    settings.limits.first_byte = std::time::Duration::from_hours(1);
    let watch = Stopwatch::start();
    let served = Served::start(settings).await;
    for beginning in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"] {
        let mut wire = served.connect().await;
        wire.send(beginning).await;
        wire.rest().await;
    }
    assert!(watch.elapsed() < std::time::Duration::from_secs(8), "the default is 10 s");
    drop(served);
}

#[tokio::test]
async fn who_shakes_hands_and_says_nothing_is_let_go() {
    let (place, cert) = Place::new();
    let mut settings = place.settings();
    settings.limits.first_byte = std::time::Duration::from_millis(150);
    let served = Served::start(settings).await;
    let watch = Stopwatch::start();
    for offered in [&["h2"][..], &[]] {
        let mut stream = connect(&served, &cert, &[&TLS13], offered).await.unwrap();
        let _ = soon(stream.read_to_end(&mut Vec::new())).await;
    }
    assert!(watch.elapsed() < std::time::Duration::from_secs(8), "twice the default is 10 s");
}

#[tokio::test]
async fn a_gate_without_a_usable_certificate_does_not_open() {
    let (place, _) = Place::new();
    std::fs::write(place.path("cert.pem"), "no certificate").unwrap();
    let refused = Gate::builder(place.settings()).table("[]").open().await.unwrap_err();
    assert!(matches!(refused, GateError::Certificate(_)), "{refused}");
}

#[tokio::test]
async fn plain_http_leads_to_https_and_takes_no_token() {
    let (log, _capture) = Log::capture();
    let (place, _) = Place::new();
    let mut settings = place.settings();
    settings.public_origin = Some(PublicOrigin::parse("https://shop.example").unwrap());
    let served = Served::start(settings).await;
    let token = "2E5D0D57751D471DB29FD110D2DCE253";
    let carriers = [
        format!("/pay?$4DSID={token}"),
        format!("/pay?%244DSID={token}"),
        "/pay?$4DSID=torn".to_owned(),
        format!("/pay?state={token}"),
        format!("/pay/{token}"),
    ];
    for target in &carriers {
        let answer = served.redirect("GET", target).await;
        assert_eq!((answer.status, answer.header("location")), (400, ""), "{target}");
        assert!(!answer.text().contains(token));
    }
    for (method, target) in [("GET", "/a/b?c=d&e=%24"), ("HEAD", "/"), ("GET", "//evil.example/x")]
    {
        let answer = served.redirect(method, target).await;
        assert_eq!(answer.status, 308, "{target}");
        assert_eq!(answer.header("location"), format!("https://shop.example{target}"));
    }
    let absolute = served.redirect("GET", "http://evil.example/a").await;
    assert_eq!(absolute.header("location"), "https://shop.example/a");
    for (method, target) in [("POST", "/"), ("OPTIONS", "*"), ("GET", "*")] {
        assert_eq!(served.redirect(method, target).await.status, 400, "{method} {target}");
    }
    assert_eq!(served.house.probe.runs(), 0);
    log.has(&["redirect.token_refused"]);
}
