//! A program that was lent the session of a request, and an eye on the description of its API.

use std::collections::BTreeMap;

use boon::Compiler;
use boon::Schemas;
use callgate::Settings;
use callgate::admin::session_api::OPENAPI;
use callgate::gate::Answer;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::support::visitor::Visitor;
use crate::support::wire::Served;
use crate::support::wire::soon;

/// A gate whose requests lend their sessions to whom the test plays.
pub(crate) struct Upstream {
    pub(crate) served: Served,
    description: Value,
}

/// A request under way, and the capability that it has lent.
pub(crate) struct Lent {
    pub(crate) capability: String,
    answering: JoinHandle<Answer>,
}

impl Upstream {
    pub(crate) async fn start(settings: Settings) -> Self {
        let served = Served::start(settings).await;
        Self { served, description: serde_json::from_str(OPENAPI).unwrap() }
    }

    pub(crate) fn visitor(&self) -> Visitor {
        self.served.house.visitor()
    }

    /// Has a visitor's request wait for its answer.
    pub(crate) async fn lend(&self, visitor: &Visitor) -> Lent {
        self.lend_from(visitor, "/lend").await
    }

    /// The same for a request with a query.
    pub(crate) async fn lend_from(&self, visitor: &Visitor, target: &str) -> Lent {
        let asking = visitor.get(target).as_browser();
        let answering = tokio::spawn(asking.send());
        let probe = &self.served.house.probe;
        probe.arrival().await;
        let capability = probe.lent().pop().unwrap();
        self.served.house.ledger.add(&capability);
        Lent { capability, answering }
    }

    /// Lets the oldest request that waits be answered; what its browser gets.
    pub(crate) async fn answer(&self, lent: Lent) -> Answer {
        self.served.house.probe.door.add_permits(1);
        soon(lent.answering).await.unwrap()
    }

    /// A capability whose request has just been answered.
    pub(crate) async fn left(&self, visitor: &Visitor) -> String {
        let lent = self.lend(visitor).await;
        let capability = lent.capability.clone();
        self.answer(lent).await;
        capability
    }

    /// Calls the API without a body.
    pub(crate) async fn ask(&self, capability: &str, line: &str) -> Answer {
        self.send(line, &[("X-Callgate-Capability", capability)], "").await
    }

    /// Calls the API with this JSON.
    pub(crate) async fn tell(&self, capability: &str, line: &str, body: &Value) -> Answer {
        let shown = [("X-Callgate-Capability", capability), ("Content-Type", "application/json")];
        self.send(line, &shown, &body.to_string()).await
    }

    /// One request with these headers. Its answer is one that the description knows, and tells no
    /// secret but a token that was asked for.
    pub(crate) async fn send(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut wire = self.served.connect_inside().await;
        let mut request = format!("{line} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request += "Host: localhost\r\n";
        }
        for (name, value) in headers {
            request += &[name, ": ", value, "\r\n"].concat();
        }
        wire.send(format!("{request}\r\n{body}")).await;
        let answer = wire.answer().await;
        self.check(line, &answer);
        answer
    }

    /// Holds an answer against the description.
    pub(crate) fn check(&self, line: &str, answer: &Answer) {
        let told = format!("{:?}{}", answer.headers, answer.text());
        assert!(!self.served.house.ledger.is_told_in(&told), "{line}: {told}");
        let (method, path) = line.split_once(' ').unwrap();
        let place = |text: &str| text.replace('/', "~1");
        let method = method.to_ascii_lowercase();
        let at = format!("/paths/{}/{method}/responses/{}", place(path), answer.status);
        let Some(mut response) = self.description.pointer(&at) else {
            panic!("{line} was answered {}, of which openapi.json says nothing", answer.status)
        };
        let mut at = at;
        if let Some(elsewhere) = response["$ref"].as_str() {
            elsewhere.trim_start_matches('#').clone_into(&mut at);
            response = self.description.pointer(&at).unwrap();
        }
        for (name, _) in response["headers"].as_object().into_iter().flatten() {
            assert!(!answer.header(name).is_empty(), "{line}: {name} is missing");
        }
        let Some(content) = response["content"].as_object() else {
            assert_eq!(answer.text(), "", "{line}");
            return;
        };
        let (kind, _) = content.iter().next().unwrap();
        assert_eq!(
            (answer.header("content-type"), answer.header("cache-control")),
            (kind.as_str(), "no-store")
        );
        self.validate(&format!("{at}/content/{}/schema", place(kind)), &answer.json());
    }

    fn validate(&self, at: &str, value: &Value) {
        let mut compiler = Compiler::new();
        compiler.add_resource("mem:///api", self.description.clone()).unwrap();
        let mut schemas = Schemas::new();
        let schema = compiler.compile(&format!("mem:///api#{at}"), &mut schemas).unwrap();
        let refusal = schemas.validate(value, schema).err().map(|error| format!("{error:#}"));
        assert_eq!(refusal, None, "{value}");
    }

    /// Every failure that the description knows, by method, path, status and code.
    pub(crate) fn failures(&self) -> BTreeMap<String, u16> {
        let mut all = BTreeMap::new();
        for (path, item) in self.description["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    let Some(place) = answer["$ref"].as_str() else { continue };
                    let answer = self.description.pointer(&place[1..]).unwrap();
                    let schema = &answer["content"]["application/problem+json"]["schema"];
                    let codes = &schema["allOf"][1]["properties"]["code"]["enum"];
                    for code in codes.as_array().unwrap() {
                        let method = method.to_ascii_uppercase();
                        let name = format!("{method} {path} {}", code.as_str().unwrap());
                        all.insert(name, status.parse().unwrap());
                    }
                }
            }
        }
        all
    }
}
