//! What `fetch` does outside of an isolate: one request to a third party, and its redirections.

mod error;
mod wish;

pub use error::FetchError;
pub(crate) use wish::Redirect;
pub(crate) use wish::Wish;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use hyper::HeaderMap;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Body as _;
use hyper::body::Incoming;
use hyper::header;
use url::Url;

use crate::http::edge::hosts::HostRule;
use crate::http::outbound::Outbound;
use crate::http::outbound::SentBody;

/// Redirections that one `fetch` follows.
const REDIRECTS_MAX: usize = 5;

/// Asks third parties on behalf of classes; cheap to clone.
///
/// A class reaches the hosts that the operator has named, and no others, however it is led there:
/// each address of a chain of redirections is checked, and so is what a name resolves to
/// ([`Outbound`], docs/SECURITY.md T36). callgate adds no cookie and no credential of its own.
#[derive(Debug, Clone)]
pub struct Fetcher {
    /// The client; `None` where nothing may be asked.
    pub outbound: Option<Arc<Outbound>>,
    /// Whom classes may ask; default nobody.
    pub hosts: Arc<[HostRule]>,
    /// How long one `fetch` may take with its answer, unless it says less or more; default 10 s.
    pub patience: Duration,
    /// The body of an answer; default 1 MiB.
    pub bytes_max: usize,
}

impl Default for Fetcher {
    fn default() -> Self {
        let (patience, bytes_max) = (Duration::from_secs(10), 1024 * 1024);
        Self { outbound: None, hosts: Arc::default(), patience, bytes_max }
    }
}

/// An answer, read whole.
pub(crate) struct Fetched {
    pub(crate) status: StatusCode,
    pub(crate) url: Url,
    pub(crate) redirected: bool,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Fetcher {
    /// Sends a request, follows redirections as it wishes, and reads the answer. A future that is
    /// dropped takes the request back.
    pub(crate) async fn fetch(&self, wish: Wish) -> Result<Fetched, FetchError> {
        let (patience, origin) = (wish.patience.unwrap_or(self.patience), origin_of(&wish.url));
        let fetched = tokio::time::timeout(patience, self.follow(wish)).await;
        fetched.unwrap_or(Err(FetchError::TooSlow { origin, patience }))
    }

    /// Refuses an address that no rule allows, before anything is done.
    pub(crate) fn admit(&self, url: &Url) -> Result<&Outbound, FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::Scheme(url.scheme().to_owned()));
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(FetchError::Scheme(url.scheme().to_owned()));
        };
        let allowed = self.hosts.iter().any(|rule| rule.reaches(host, port));
        let outbound = self.outbound.as_deref().filter(|_| allowed);
        outbound.ok_or_else(|| {
            let usual = url.port().is_none();
            FetchError::NotAllowed(if usual { host.to_owned() } else { format!("{host}:{port}") })
        })
    }

    async fn follow(&self, mut wish: Wish) -> Result<Fetched, FetchError> {
        for redirects in 0..=REDIRECTS_MAX {
            let outbound = self.admit(&wish.url)?;
            let response = outbound
                .begin(wish.request()?)
                .await
                .map_err(|error| FetchError::Failed { origin: origin_of(&wish.url), error })?;
            match wish.next(&response) {
                Some(next) if wish.redirect == Redirect::Follow => wish = next?,
                Some(_) if wish.redirect == Redirect::Error => {
                    return Err(FetchError::Redirected(origin_of(&wish.url)));
                }
                _ => return self.read(wish.url, redirects > 0, response).await,
            }
        }
        Err(FetchError::TooManyRedirects(origin_of(&wish.url)))
    }

    async fn read(
        &self,
        url: Url,
        redirected: bool,
        response: Response<Incoming>,
    ) -> Result<Fetched, FetchError> {
        let (head, mut body) = response.into_parts();
        let too_large =
            || FetchError::TooLarge { origin: origin_of(&url), bytes_max: self.bytes_max };
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > self.bytes_max {
            return Err(too_large());
        }
        let mut bytes = BytesMut::with_capacity(announced);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| FetchError::Torn {
                origin: origin_of(&url),
                error: Box::new(error),
            })?;
            let Ok(chunk) = frame.into_data() else { continue };
            if bytes.len() + chunk.len() > self.bytes_max {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        let (status, headers, body) = (head.status, head.headers, bytes.freeze());
        Ok(Fetched { status, url, redirected, headers, body })
    }
}

/// The part of an address that may be told: paths and queries hold keys and tokens.
fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// A request with the given parts, as [`Outbound`] takes it.
fn request(
    method: hyper::Method,
    url: &Url,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Request<SentBody>, FetchError> {
    let uri = url.as_str().split('#').next().unwrap_or_default();
    let mut request = Request::new(SentBody::from(body));
    *request.uri_mut() = uri.parse().map_err(|_| FetchError::Address)?;
    *request.method_mut() = method;
    *request.headers_mut() = headers;
    request.headers_mut().remove(header::HOST);
    Ok(request)
}
