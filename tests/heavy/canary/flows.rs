//! Everything a client can do with secrets, right and wrong, and all the answers.

use std::collections::BTreeSet;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::secrets::Secrets;
use crate::support::Ask;
use crate::support::Connection;
use crate::support::Reply;
use crate::support::Server;
use crate::support::wire::COOKIE;

/// A browser that notes down every secret it is handed, and every page it is shown.
pub(super) struct Visit {
    connection: Connection,
    cookie: String,
    pub(super) secrets: Secrets,
    /// What was asked, and the answer without what it legitimately handed out.
    pub(super) pages: Vec<(String, Vec<u8>)>,
    pub(super) requests: usize,
    /// The statuses and outcomes that there were: a flow that misses its aim shows nothing.
    pub(super) met: BTreeSet<String>,
}

/// The form of the page that asks before a link counts.
#[derive(Clone)]
struct Form {
    token: String,
    question: String,
    proof: String,
}

impl Form {
    fn read(reply: &Reply) -> Option<Self> {
        let page = reply.text();
        let field = |name: &str| {
            let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\""))?;
            Some(rest.split_once('"')?.0.to_owned())
        };
        Some(Self { token: field("token")?, question: field("question")?, proof: field("proof")? })
    }

    fn body(&self) -> String {
        let token = self.token.replace('%', "%25").replace('$', "%24").replace('=', "%3D");
        format!("token={token}&question={}&proof={}", self.question, self.proof)
    }
}

impl Visit {
    pub(super) async fn begin(server: &Server) -> Self {
        let connection = server.connect().await;
        let (cookie, secrets, pages) = (String::new(), Secrets::default(), Vec::new());
        let met = BTreeSet::new();
        let mut visit = Self { connection, cookie, secrets, pages, requests: 0, met };
        visit.plain(Ask::get("/whoami")).await;
        visit
    }

    /// Asks as a stranger without a cookie.
    pub(super) async fn stranger(&mut self, ask: Ask) -> Reply {
        let reply = self.connection.ask(&ask).await.unwrap();
        self.requests += 1;
        self.note(&ask.line(), &reply);
        reply
    }

    /// Asks in this browser's session, and takes over the cookie that it is given.
    pub(super) async fn plain(&mut self, ask: Ask) -> Reply {
        let reply = self.stranger(ask.cookie(&self.cookie)).await;
        if let Some(cookie) = reply.cookie() {
            cookie.clone_into(&mut self.cookie);
        }
        reply
    }

    /// A token of this browser's session.
    pub(super) async fn mint(&mut self) -> String {
        self.mint_for("/mint").await
    }

    async fn mint_for(&mut self, target: &str) -> String {
        // Not through `note`: this answer is where the token is handed out.
        let ask = Ask::get(target).cookie(&self.cookie);
        let reply = self.connection.ask(&ask).await.unwrap().good();
        self.requests += 1;
        self.learn(&reply);
        if let Some(cookie) = reply.cookie() {
            cookie.clone_into(&mut self.cookie);
        }
        let token = reply.text();
        self.secrets.add_token(&token);
        token
    }

    /// Takes down the secrets in the cookies of an answer; its head without them.
    fn learn(&mut self, reply: &Reply) -> String {
        let mut head = reply.head.clone();
        if let Some(cookie) = reply.cookie() {
            self.secrets.add_cookie(cookie);
            head = head.replacen(cookie, "", 1);
        }
        for name in ["4DBIND_callgate", "4DCONF"] {
            if let Some(value) = reply.given(name) {
                let nonce = value.split('.').next().unwrap();
                self.secrets.add_nonce(nonce);
                head = head.replacen(nonce, "", 1);
            }
        }
        head
    }

    /// Keeps an answer for the search, without what it hands out on purpose: new cookies, the
    /// token in the form of the page that asks, and the address that the probe shows because that
    /// is its task.
    fn note(&mut self, asked: &str, reply: &Reply) {
        self.met.insert(reply.status.to_string());
        self.met.insert(reply.outcome().to_owned());
        let head = self.learn(reply);
        let mut body = match Form::read(reply) {
            Some(form) => reply.text().replacen(&form.token, "", 1).into_bytes(),
            None => reply.body.clone(),
        };
        if let Ok(Value::Object(mut seen)) = serde_json::from_slice(&body)
            && reply.outcome() != ""
        {
            for shown in ["url", "path"] {
                seen.remove(shown);
            }
            body = serde_json::to_vec(&seen).unwrap();
        }
        self.pages.push((asked.to_owned(), [head.into_bytes(), body].concat()));
    }

    pub(super) async fn everything(&mut self, server: &Server) {
        self.redemptions().await;
        self.confirmations().await;
        self.begin_anew().await;
        self.privileges().await;
        self.begin_anew().await;
        self.refusals().await;
        self.misplaced_tokens().await;
        self.cookies().await;
        self.begin_anew().await;
        self.failures().await;
        self.begin_anew().await;
        self.repeats().await;
        self.begin_anew().await;
        self.lost_replies().await;
        self.begin_anew().await;
        self.malformed(server).await;
        self.streams(server).await;
        for path in ["/livez", "/readyz"] {
            let page = server.inside(path).await.to_string();
            self.pages.push((path.to_owned(), page.into_bytes()));
        }
        // One token stays unspent, one session stays open: the store is searched with both in it.
        self.mint().await;
    }

    /// Another session: one holds no more than 16 unspent tokens.
    async fn begin_anew(&mut self) {
        self.cookie.clear();
        self.plain(Ask::get("/write?key=a&value=1")).await.good();
    }

    async fn redemptions(&mut self) {
        for row in ["whoami", "share", "context", "transfer", "strip", "orders/7"] {
            let token = self.mint().await;
            let ask = Ask::get(&format!("/{row}?a=1&$4DSID={token}&b=2")).browser();
            self.stranger(ask.clone()).await;
            self.stranger(ask).await;
        }
        let token = self.mint().await;
        self.stranger(Ask::get(&format!("/whoami?%244DSID={token}"))).await;
        let token = self.mint().await;
        self.stranger(Ask::get(&format!("/state?state={token}"))).await;
        let token = self.mint().await;
        self.stranger(Ask::get(&format!("/restore?token={token}"))).await;
        self.stranger(Ask::get(&format!("/restore?token={token}"))).await;
        let url = self.connection.ask(&Ask::get("/url?path=/share").cookie(&self.cookie)).await;
        let url = url.unwrap().good().text();
        let (_, token) = url.split_once("4DSID=").unwrap();
        self.secrets.add_token(token);
        self.stranger(Ask::get(&format!("/share?$4DSID={token}")).browser()).await;
        let token = self.mint_for("/mint?lifespan=10&mode=transfer&value=kept").await;
        self.stranger(Ask::get(&format!("/share?$4DSID={token}")).browser()).await;
        // The transfer has ended this browser's own credential.
        self.plain(Ask::get("/whoami")).await;
    }

    /// Links that ask, and forms that are ours, or not.
    async fn confirmations(&mut self) {
        for (row, key) in
            [("foreign", "$4DSID"), ("always", "%244DSID"), ("foreign-state", "state")]
        {
            let token = self.mint().await;
            let link = Ask::get(&format!("/{row}?a=1&{key}={token}"));
            self.stranger(link.clone().header("Sec-Purpose", "prefetch")).await;
            self.stranger(link.clone()).await;
            let page = self.stranger(link.clone().browser()).await;
            let form = Form::read(&page).expect("a page that asks");
            let nonce = page.given("4DCONF").unwrap().to_owned();
            let press = |form: &Form| {
                let ask = Ask::new("POST", &format!("/{row}?a=1&$4DCONFIRM=1")).browser();
                ask.body("application/x-www-form-urlencoded", &form.body())
            };
            self.stranger(press(&form)).await;
            let cookie = format!("4DCONF={nonce}");
            let foreign = press(&form).header("Cookie", &cookie);
            self.stranger(foreign.header("Sec-Fetch-Site", "cross-site")).await;
            let forged = Form { proof: "0".repeat(64), ..form.clone() };
            let stale = press(&forged).header("Cookie", &cookie);
            self.stranger(stale.header("Sec-Fetch-Site", "same-origin")).await;
            for _ in 0..2 {
                self.stranger(press(&form).header("Cookie", &cookie)).await;
            }
        }
        let token = self.mint_for("/mint?confirm=always").await;
        self.stranger(Ask::get(&format!("/restore?token={token}"))).await;
    }

    async fn privileges(&mut self) {
        self.plain(Ask::get("/write?key=a&value=1")).await;
        let ended = self.mint().await;
        self.plain(Ask::get("/login?privileges=admin&user=ann")).await;
        self.stranger(Ask::get(&format!("/share?$4DSID={ended}"))).await;
        self.plain(Ask::get("/admin")).await;
        self.stranger(Ask::get("/admin").browser()).await;
        self.plain(Ask::get("/devices")).await;
        let unspent = self.mint().await;
        self.plain(Ask::get("/clear")).await;
        self.plain(Ask::get("/logout")).await;
        self.stranger(Ask::get(&format!("/share?$4DSID={unspent}"))).await;
        self.plain(Ask::get("/whoami")).await;
        self.plain(Ask::get("/write?key=a&value=2")).await;
    }

    async fn refusals(&mut self) {
        let wrong = self.mint_for("/mint?for=Probe.restore").await;
        for row in ["whoami", "refuse", "moved"] {
            self.stranger(Ask::get(&format!("/{row}?$4DSID={wrong}")).browser()).await;
            self.stranger(Ask::get(&format!("/{row}?$4DSID={wrong}"))).await;
        }
        let two = (self.mint().await, self.mint().await);
        let doubled = format!("/share?$4DSID={}&$4DSID={}", two.0, two.1);
        self.stranger(Ask::get(&doubled)).await;
        self.stranger(Ask::get(&doubled).browser()).await;
        for verb in ["HEAD", "OPTIONS", "PUT", "TRACE", "BREW"] {
            self.stranger(Ask::new(verb, &format!("/get-only?$4DSID={}", two.0))).await;
        }
        let prefetch = Ask::get(&format!("/share?$4DSID={}", two.0));
        self.stranger(prefetch.header("Sec-Purpose", "prefetch")).await;
        let garbled = two.0.to_lowercase();
        self.stranger(Ask::get(&format!("/share?$4DSID={garbled}"))).await;
        self.stranger(Ask::get(&format!("/share?$4DSID={}00", two.0))).await;
    }

    /// Tokens where they do not belong.
    async fn misplaced_tokens(&mut self) {
        let token = self.mint().await;
        let cookie = self.cookie.clone();
        for path in ["no/such", "whoami", "no-class", "no-method", "fail", "rest", "$shared"] {
            for secret in [&token, &cookie] {
                self.stranger(Ask::get(&format!("/{path}/{secret}"))).await;
                self.stranger(Ask::get(&format!("/{path}/{secret}")).browser()).await;
                self.stranger(Ask::get(&format!("/{path}?other={secret}"))).await;
            }
        }
        // Where a log that cuts long paths cuts through the token.
        for length in 215..250 {
            self.stranger(Ask::get(&format!("/no-class/{}/{token}", "y".repeat(length)))).await;
        }
        let form = format!("$4DSID={token}");
        let kind = "application/x-www-form-urlencoded";
        self.stranger(Ask::new("POST", "/admin").body(kind, &form)).await;
        self.stranger(Ask::new("POST", "/small").body(kind, &form)).await;
        let both = Ask::new("POST", &format!("/share?{form}")).body(kind, &form);
        self.stranger(both).await;
        let referer = format!("http://localhost/share?$4DSID={token}");
        self.stranger(Ask::get("/whoami").header("Referer", &referer)).await;
        self.stranger(Ask::get("/read").header("X-Token", &token)).await;
        self.stranger(Ask::get("/read").header("Authorization", &format!("Bearer {token}"))).await;
        self.stranger(Ask::get("/read").header("User-Agent", &format!("bot {token}"))).await;
        self.stranger(Ask::new(&token, "/read")).await;
    }

    async fn cookies(&mut self) {
        let good = self.cookie.clone();
        let mut forged = good.clone();
        forged.replace_range(40..41, if &good[40..41] == "A" { "B" } else { "A" });
        for bad in [forged, good[..50].to_owned(), format!("{good}x"), format!("\"{good}\"")] {
            self.stranger(Ask::get("/whoami").cookie(&bad)).await;
        }
        self.stranger(Ask::get("/whoami").cookie(&good).cookie(&good)).await;
        let crowd = format!("{COOKIE}={good}; {COOKIE}={good}");
        self.stranger(Ask::get("/whoami").header("Cookie", &crowd)).await;
        self.stranger(Ask::get("/whoami").header("Cookie", &format!("other={good}"))).await;
    }

    /// Answers that hold a secret on purpose, and are kept for those who come again.
    async fn repeats(&mut self) {
        for path in ["/pay", "/pay-share"] {
            let (token, further) = (self.mint().await, self.mint().await);
            let ask = Ask::get(&format!("{path}?token={further}&$4DSID={token}")).browser();
            for _ in 0..2 {
                let reply = self.connection.ask(&ask).await.unwrap();
                self.requests += 1;
                self.learn(&reply);
                assert_eq!(reply.header("location"), Some(&*further), "it is not in the answer");
            }
            let other = Ask::new("POST", &format!("{path}?$4DSID={token}"));
            self.stranger(other.body("text/plain", &further)).await;
        }
        let token = self.mint().await;
        let differs =
            |body| Ask::new("POST", &format!("/pay?$4DSID={token}")).body("text/plain", body);
        self.stranger(differs("1")).await;
        self.stranger(differs("2")).await;
    }

    async fn failures(&mut self) {
        for row in ["fail", "panic", "hasty", "no-class", "no-method", "say?status=999"] {
            let token = self.mint().await;
            let between = if row.contains('?') { '&' } else { '?' };
            let target = format!("/{row}{between}$4DSID={token}");
            self.stranger(Ask::get(&target)).await;
            self.stranger(Ask::get(&target).browser()).await;
            self.plain(Ask::get(&target)).await;
        }
        let token = self.mint().await;
        self.stranger(Ask::get(&format!("/share?$4DSID={token}&{}", "x".repeat(9_000)))).await;
        self.stranger(Ask::get(&format!("/../share?$4DSID={token}"))).await;
        self.stranger(Ask::get(&format!("/a%2Fb?$4DSID={token}"))).await;
        let encoded = Ask::new("POST", &format!("/echo?$4DSID={token}"));
        self.stranger(encoded.header("Content-Encoding", "br").body("text/plain", "x")).await;
    }

    /// The store is out of reach, or its replies are lost.
    async fn lost_replies(&mut self) {
        for what in ["request", "reply"] {
            for (verb, times) in [("redeem", 1), ("redeem", 9), ("resume", 1), ("create", 1)] {
                let token = self.mint().await;
                let lose = format!("/control/lose?verb={verb}&what={what}&times={times}");
                self.stranger(Ask::get(&lose)).await.good();
                let ask = Ask::get(&format!("/share?$4DSID={token}"));
                self.plain(ask.browser()).await;
                self.stranger(Ask::get("/write?key=a&value=3")).await;
                let heal = format!("/control/lose?verb={verb}&what={what}&times=0");
                self.stranger(Ask::get(&heal)).await.good();
            }
        }
    }

    /// Requests that are none, after which the server hangs up.
    async fn malformed(&mut self, server: &Server) {
        let token = self.mint().await;
        let long = "x".repeat(40_000);
        let texts = [
            format!("GET /share?$4DSID={token} HTTP/1.1\r\n\r\n"),
            format!("GET /share?$4DSID={token} HTTP/9.1\r\nHost: a\r\n\r\n"),
            format!("GET /share?$4DSID={token} HTTP/1.1\r\nHost: a\r\n bad {token}\r\n\r\n"),
            format!("GET /a HTTP/1.1\r\nHost: a\r\n{token}: \x01{token}\r\n\r\n"),
            format!("{token} {token} {token}\r\n\r\n"),
            format!("GET /a?$4DSID={token} HTTP/1.1\r\nHost: a\r\nX: {long}{token}\r\n\r\n"),
        ];
        for text in texts {
            let mut connection = server.connect().await;
            connection.send(text.as_bytes()).await.unwrap();
            self.requests += 1;
            // Whether there is an answer or only an end is another test's business.
            if let Ok(reply) = connection.receive(false).await {
                self.note("something malformed", &reply);
            }
        }
    }

    /// HTTP/2, whose frames have a log of their own.
    async fn streams(&mut self, server: &Server) {
        let io = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        for row in ["share", "context", "refuse", "panic", "no/such"] {
            let token = self.mint().await;
            let url = format!("http://{}/{row}?$4DSID={token}", server.address);
            let cookie = format!("{COOKIE}={}", self.cookie);
            for _ in 0..2 {
                let request = Request::get(&url)
                    .header("accept", "text/html")
                    .header("accept-language", "en");
                let request = request.header("cookie", &cookie).header("x-token", &token);
                let request = request.body(Empty::<Bytes>::new()).unwrap();
                let (head, body) = sender.send_request(request).await.unwrap().into_parts();
                let lines = head
                    .headers
                    .iter()
                    .map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()));
                let text =
                    format!("HTTP/2.0 {}\r\n{}", head.status.as_str(), lines.collect::<String>());
                let body = body.collect().await.unwrap().to_bytes().to_vec();
                self.requests += 1;
                let reply = Reply { status: head.status.as_u16(), head: text, body };
                self.note(&format!("HTTP/2 {row}"), &reply);
            }
        }
    }
}
