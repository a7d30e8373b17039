//! Somebody who visits the gate without a socket, and looks at every answer for leaks.

use std::sync::Arc;

use bytes::Bytes;
use callgate::gate::Answer;
use callgate::gate::Call;
use callgate::gate::Client;
use serde_json::Value;

use crate::support::TOKEN_KEY;
use crate::support::asked::Asked;
use crate::support::leaks::Ledger;

/// A browser or another program, with its cookies.
#[derive(Clone)]
pub(crate) struct Visitor {
    client: Client,
    ledger: Arc<Ledger>,
    cookie_name: String,
}

/// A request of a visitor.
pub(crate) struct Ask {
    call: Call,
    ledger: Arc<Ledger>,
    /// Whether target or form carry a token.
    carries: bool,
}

impl Visitor {
    pub(crate) fn new(client: Client, ledger: Arc<Ledger>, cookie_name: String) -> Self {
        Self { client, ledger, cookie_name }
    }

    pub(crate) fn get(&self, target: &str) -> Ask {
        self.call("GET", target)
    }

    pub(crate) fn post(&self, target: &str) -> Ask {
        self.call("POST", target)
    }

    pub(crate) fn call(&self, method: &str, target: &str) -> Ask {
        // Where the probe redeems by hand, callgate cannot know beforehand what `token` is.
        let carries = self.ledger.is_told_in(target) || target.contains(&format!("{TOKEN_KEY}="));
        let ledger = Arc::clone(&self.ledger);
        Ask { call: self.client.call(method, target), ledger, carries }
    }

    /// Follows a callback link as a browser does.
    pub(crate) async fn follow(&self, path: &str, token: &str) -> Answer {
        self.get(&with_token(path, token)).as_browser().send().await
    }

    /// Opens a link and is asked.
    pub(crate) async fn asked(&self, path: &str, token: &str) -> Asked {
        let target = with_token(path, token);
        Asked::read(&target, &self.get(&target).as_browser().send().await)
    }

    /// Calls back as a platform's server does.
    pub(crate) async fn call_back(&self, path: &str, token: &str) -> Answer {
        self.get(&with_token(path, token)).send().await
    }

    /// Mints a token; `query` says with what wishes.
    pub(crate) async fn mint(&self, query: &str) -> String {
        let answer = self.get(&format!("/mint?{query}")).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let token = answer.text();
        self.ledger.add(&token);
        token
    }

    /// Writes a storage key; the id of the session.
    pub(crate) async fn write(&self, key: &str, value: &str) -> String {
        let answer = self.get(&format!("/write?key={key}&value={value}")).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["result"].as_str().unwrap().to_owned()
    }

    /// What a handler sees of this visitor's session.
    pub(crate) async fn session(&self) -> Value {
        let answer = self.get("/whoami").send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// The id of this visitor's session.
    pub(crate) async fn id(&self) -> String {
        self.session().await["id"].as_str().unwrap().to_owned()
    }

    /// What this visitor's session cookie holds.
    pub(crate) fn cookie(&self) -> Option<String> {
        self.client.cookie(&self.cookie_name)
    }

    /// Puts something into the place of the session cookie.
    pub(crate) fn plant(&self, value: &str) {
        self.client.plant(&self.cookie_name, value);
    }

    /// What a cookie of this name holds.
    pub(crate) fn find_cookie(&self, name: &str) -> Option<String> {
        self.client.cookie(name)
    }

    /// Puts something into the place of a cookie of this name.
    pub(crate) fn plant_as(&self, name: &str, value: &str) {
        self.client.plant(name, value);
    }
}

impl Ask {
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self { call: self.call.header(name, value), ..self }
    }

    /// Asks as a browser does that follows a link.
    #[expect(clippy::wrong_self_convention, reason = "named as the method of gate::Call")]
    pub(crate) fn as_browser(self) -> Self {
        Self { call: self.call.as_browser(), ..self }
    }

    pub(crate) fn body(self, body: impl Into<Bytes>) -> Self {
        Self { call: self.call.body(body), ..self }
    }

    pub(crate) fn form(self, fields: &[(&str, &str)]) -> Self {
        let carries = self.carries || fields.iter().any(|(_, text)| self.ledger.is_told_in(text));
        Self { call: self.call.form(fields), carries, ..self }
    }

    /// Says that what looks like a token stands where nobody looks for one.
    pub(crate) fn no_token_here(self) -> Self {
        Self { carries: false, ..self }
    }

    /// Sends a request whose answer may well tell a secret, because it stood in the path.
    pub(crate) async fn send_unchecked(self) -> Answer {
        self.call.send().await
    }

    pub(crate) async fn send(self) -> Answer {
        let answer = self.call.send().await;
        self.ledger.check(&answer.headers, &answer.body, self.carries);
        answer
    }
}

/// The path with a token under the reserved key.
pub(crate) fn with_token(path: &str, token: &str) -> String {
    let join = if path.contains('?') { '&' } else { '?' };
    format!("{path}{join}{TOKEN_KEY}={token}")
}
