//! How a request gets its session: that of its cookie, or a guest's.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::base::Timestamp;
use crate::base::failpoint;
use crate::base::failpoint::Place;
use crate::base::secret::entropy::NoEntropy;
use crate::flow::binding::Binding;
use crate::flow::session::Bound;
use crate::flow::session::Gives;
use crate::flow::session::HeldBy;
use crate::flow::session::Session;
use crate::flow::session::SessionContext;
use crate::flow::session::SessionError;
use crate::flow::sessions::Sessions;
use crate::session::Credential;
use crate::session::credential::SEALED_LETTERS;
use crate::store::StoreError;
use crate::store::port::Resumed;

/// How long after a sign-in a request may still arrive with the credential that the sign-in ended:
/// the longest time that the response to a sign-in may take, and some more.
const OVERTAKEN_WITHIN: Duration = Duration::from_mins(2);

/// The two cookies that are read from every request.
pub(crate) struct Cookies<'r> {
    /// The name of the session cookie.
    pub(crate) name: &'r str,
    pub(crate) session: Presented<'r>,
    pub(crate) binding: Presented<'r>,
}

/// The values of one cookie in a request.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Presented<'r> {
    /// No such cookie.
    Nothing,
    /// One value, however often it is repeated.
    One(&'r str),
    /// Different values. A sibling host can set a cookie of this name over plain HTTP
    /// (docs/SECURITY.md T28), and an old path or domain can leave one behind.
    Several(Vec<&'r str>),
}

/// What remains of the values of a cookie once each has been checked.
#[derive(Debug)]
pub(crate) enum Authentic<T> {
    /// None of the values passes the check.
    Missing,
    /// All that pass mean the same.
    One(T),
    /// Values that mean different things pass, so it is unknown which is this browser's own.
    Several,
}

impl<'r> Presented<'r> {
    /// Every value once.
    pub(crate) fn values(&self) -> &[&'r str] {
        match self {
            Self::Nothing => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        }
    }

    /// The one value that `read` accepts; values for which `same` is true count as one.
    pub(crate) fn authentic<T>(
        &self,
        read: impl Fn(&str) -> Option<T>,
        same: impl Fn(&T, &T) -> bool,
    ) -> Authentic<T> {
        let mut accepted = self.values().iter().filter_map(|value| read(value));
        let Some(first) = accepted.next() else { return Authentic::Missing };
        if accepted.all(|other| same(&first, &other)) {
            Authentic::One(first)
        } else {
            Authentic::Several
        }
    }

    /// Adds a value that was found.
    pub(crate) fn add(&mut self, value: &'r str) {
        match self {
            Self::Nothing => *self = Self::One(value),
            Self::One(first) if *first != value => *self = Self::Several(vec![first, value]),
            Self::One(_) => {}
            Self::Several(values) if values.contains(&value) => {}
            Self::Several(values) => values.push(value),
        }
    }
}

impl Sessions {
    /// Opens the session of a request's cookie, or begins a guest's.
    ///
    /// Of several cookies the authentic one counts. Forged and damaged ones are discarded before
    /// the store is queried.
    pub(crate) async fn open(
        self: &Arc<Self>,
        cookies: &Cookies<'_>,
        mut context: SessionContext,
    ) -> Result<Session, SessionError> {
        let now = self.clock.now();
        let same =
            |one: &Binding, other: &Binding| one.digest(self.app()) == other.digest(self.app());
        match cookies.binding.authentic(|value| Binding::read(value, now), same) {
            Authentic::One(binding) => context.binding = Some(binding),
            Authentic::Missing => {}
            Authentic::Several => context.binding_doubled = true,
        }
        let same = |one: &Credential, other: &Credential| {
            one.digest(self.app()) == other.digest(self.app())
        };
        let credential = match cookies.session.authentic(|value| self.keyring.open(value), same) {
            Authentic::One(credential) => credential,
            Authentic::Missing => {
                self.suspect_another(cookies);
                return Ok(self.guest(now, context, Gives::NewGuest)?);
            }
            Authentic::Several => {
                tracing::warn!(
                    event = "session.cookie_doubled",
                    "several authentic session cookies; none counts"
                );
                return Ok(self.guest(now, context, Gives::Nothing)?);
            }
        };
        if context.binding.is_none() && !context.binding_doubled {
            // The browser does not hold it as a cookie: the next mint gives it one.
            context.binding = Some(Binding::of(&credential, now));
        }
        let digest = credential.digest(self.app());
        failpoint::reached(Place::Resume).map_err(StoreError::from)?;
        match self.store.resume(now, credential.session(), digest).await? {
            Resumed::Open(opened) => {
                let bound = Bound::Open { opened, entry: HeldBy::Credential(credential) };
                Ok(Session::new(Arc::clone(self), context, bound, Gives::Newer))
            }
            Resumed::Unheard if credential.may_found(now) => {
                let renewed = credential.renewed(now);
                let gives = if renewed.is_some() { Gives::Renewed } else { Gives::Newer };
                let bound = Bound::Guest(renewed.unwrap_or(credential));
                Ok(Session::new(Arc::clone(self), context, bound, gives))
            }
            Resumed::Unheard | Resumed::Closed => {
                Ok(self.guest(now, context, Gives::GuestOnceWritten)?)
            }
            Resumed::Replaced { joined_last } => {
                let gives = left_to_give(now, joined_last);
                Ok(self.guest(now, context, gives)?)
            }
        }
    }

    /// Two callgates on one host that have the same `app` overwrite each other's cookies, whatever
    /// their ports. A value that looks like a credential and was sealed with other keys is a sign
    /// of that.
    fn suspect_another(&self, cookies: &Cookies<'_>) {
        let is_sealed = |value: &&str| {
            value.len() == SEALED_LETTERS
                && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if cookies.session.values().iter().any(is_sealed)
            && !self.saw_foreign_cookie.swap(true, Ordering::Relaxed)
        {
            let advice = "a session cookie of this name was sealed with other keys: keys were \
                          changed, or another callgate on this host has the same app; give each \
                          its own with the setting app";
            tracing::warn!(event = "session.cookie_foreign", cookie = cookies.name, "{advice}");
        }
    }

    /// Stands in for a session where there are none: empty, stored nowhere, with no cookie.
    pub(crate) fn placeholder(
        self: &Arc<Self>,
        context: SessionContext,
    ) -> Result<Session, SessionError> {
        let session = self.guest(self.clock.now(), context, Gives::Nothing)?;
        session.give_no_cookie();
        Ok(session)
    }

    fn guest(
        self: &Arc<Self>,
        now: Timestamp,
        context: SessionContext,
        gives: Gives,
    ) -> Result<Session, NoEntropy> {
        let guest = Credential::guest(&*self.entropy, now)?;
        Ok(Session::new(Arc::clone(self), context, Bound::Guest(guest), gives))
    }
}

/// Which credentials a browser may be given whose own was ended in a session that is still open.
/// `joined_last` is when the newest browser joined that session.
///
/// Right after a sign-in, the response with the fresh credential may have overtaken this request,
/// and a guest's cookie would replace that credential. A browser that still sends the old one much
/// later has lost its right to the session, and becomes a guest.
fn left_to_give(now: Timestamp, joined_last: Option<Timestamp>) -> Gives {
    match joined_last {
        Some(since) if now.since(since) < OVERTAKEN_WITHIN => Gives::Newer,
        _ => Gives::GuestOnceWritten,
    }
}
