//! The listeners that a gate serves on.

use tokio::net::TcpListener;

/// The listeners of a gate. A `TcpListener` alone is one for clients.
#[derive(Debug)]
pub struct Listeners {
    pub(crate) public: Option<TcpListener>,
    pub(crate) internal: Option<TcpListener>,
    pub(crate) redirect: Option<TcpListener>,
}

impl Listeners {
    /// A listener for clients.
    pub fn new(public: TcpListener) -> Self {
        Self { public: Some(public), ..Self::none() }
    }

    /// No listener: for a gate that is the service of another server.
    pub fn none() -> Self {
        Self { public: None, internal: None, redirect: None }
    }

    /// Adds the internal listener, for operators and upstreams.
    #[must_use]
    pub fn internal(self, listener: impl Into<Option<TcpListener>>) -> Self {
        Self { internal: listener.into(), ..self }
    }

    /// Adds a listener for plain HTTP, which is redirected to `public_origin`.
    #[must_use]
    pub fn redirect(self, listener: impl Into<Option<TcpListener>>) -> Self {
        Self { redirect: listener.into(), ..self }
    }
}

impl From<TcpListener> for Listeners {
    fn from(public: TcpListener) -> Self {
        Self::new(public)
    }
}
