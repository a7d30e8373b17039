//! Encrypted connections: who is believed, by the words of `libpq`.

use callgate::store::postgres;
use callgate::store::postgres::Address;
use callgate::store::shared::OpenErrorKind;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::IsCa;
use rcgen::KeyPair;
use tempfile::TempDir;

use crate::services::postgres::Server;
use crate::services::postgres::is_installed;

use super::kit;

/// An authority, and the file that its certificate is in.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Has a server show a certificate for this name; it must be started again.
    fn certify(&self, server: &Server, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        server.write("server.crt", &certificate.pem());
        server.write("server.key", &key.serialize_pem());
        // Only who comes encrypted gets in, and with his password.
        server.write(
            "pg_hba.conf",
            "local all all trust\nhost all postgres all trust\nhostssl all all all scram-sha-256\n",
        );
    }
}

/// Whether the server lets us in like this; if not, why.
async fn opens(url: &str) -> Result<(), String> {
    match postgres::open(&Address::parse(url).unwrap(), "app").await {
        Ok(engine) => {
            engine.read(kit::session_id(1)).await.unwrap();
            engine.close().await.unwrap();
            Ok(())
        }
        Err(error) => {
            assert_eq!(error.kind, OpenErrorKind::Unfit, "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
            Err(error.why)
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_believed_as_far_as_the_url_says() {
    if !is_installed() {
        return;
    }
    let mut server = Server::start();
    let url = server.url();
    assert_eq!(opens(&format!("{url}?sslmode=prefer")).await, Ok(()), "it has no TLS");
    let why = opens(&format!("{url}?sslmode=require")).await.unwrap_err();
    assert!(why.starts_with("there is no trusted encryption with sslmode=require"), "{why}");

    let files = TempDir::new().unwrap();
    let path = |name: &str| files.path().join(name).display().to_string();
    let (ours, theirs) = (Authority::new(), Authority::new());
    std::fs::write(path("ours.pem"), ours.0.pem()).unwrap();
    std::fs::write(path("theirs.pem"), theirs.0.pem()).unwrap();
    std::fs::write(path("empty.pem"), "").unwrap();
    ours.certify(&server, "127.0.0.1");
    server.stop();
    server.set("ssl=on");
    server.run();

    let with = |words: &str| {
        let words = words.replace("OURS", &path("ours.pem")).replace("THEIRS", &path("theirs.pem"));
        format!("{url}?{}", words.replace("EMPTY", &path("empty.pem")))
    };
    for words in [
        "",
        "sslmode=prefer",
        "sslmode=require",
        "sslmode=require&sslrootcert=OURS",
        "sslmode=verify-ca&sslrootcert=OURS",
        "sslmode=verify-full&sslrootcert=OURS",
    ] {
        assert_eq!(opens(&with(words)).await, Ok(()), "{words}");
    }
    for (words, expected) in [
        ("sslmode=disable", "no encryption"),
        ("sslmode=require&sslrootcert=THEIRS", "invalid peer certificate"),
        ("sslmode=verify-ca&sslrootcert=THEIRS", "invalid peer certificate"),
        ("sslmode=verify-full&sslrootcert=THEIRS", "invalid peer certificate"),
        ("sslmode=verify-full", "invalid peer certificate"),
        ("sslmode=verify-full&sslrootcert=EMPTY", "holds no certificate"),
        ("sslmode=verify-full&sslrootcert=/nowhere.pem", "cannot be read"),
    ] {
        let why = opens(&with(words)).await.unwrap_err();
        assert!(why.contains(expected), "{words}: {why}");
    }
    let wrong = with("sslmode=require").replace(":secret@", ":hunter2@");
    let why = opens(&wrong).await.unwrap_err();
    assert!(why.contains("password authentication failed") && !why.contains("hunter2"), "{why}");

    let why = opens(&with("sslmode=require").replace(":secret@", "@")).await.unwrap_err();
    assert!(why.contains("password missing"), "{why}");

    // The right authority, and another name.
    ours.certify(&server, "db.example");
    server.stop();
    server.run();
    assert_eq!(opens(&with("sslmode=verify-ca&sslrootcert=OURS")).await, Ok(()));
    let why = opens(&with("sslmode=verify-full&sslrootcert=OURS")).await.unwrap_err();
    assert!(why.contains("not valid for name"), "{why}");
}
