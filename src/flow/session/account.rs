//! The account that is signed in to a session, and the other sessions of accounts.

use std::sync::Arc;

use crate::account::User;
use crate::base::SessionId;
use crate::base::UserId;
use crate::base::secret::SecretText;
use crate::flow::directory::Directory;
use crate::flow::directory::DirectoryError;
use crate::flow::directory::Presented;
use crate::flow::directory::SignedIn;
use crate::flow::rates::network_of;
use crate::flow::session::Privileges;
use crate::flow::session::Session;
use crate::flow::session::SessionError;
use crate::flow::session::draft::Draft;
use crate::session::AccessChange;
use crate::session::Right;
use crate::store::port::Opened;

/// Sessions read in one page of the store.
const PAGE: usize = 500;
/// Most sessions that one request looks at: stores know them by their ids only.
const LOOKED_AT_MAX: usize = 20_000;

impl Session {
    /// The id of the account that is signed in; `None` for a guest, and for a user whose name an
    /// application has set by itself.
    pub(crate) fn account(&self) -> Option<UserId> {
        self.lock().access().account
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.sessions.directory
    }

    /// Counts an account that this client is about to create, with the sessions that it creates.
    pub(crate) fn count_sign_up(&self) -> Result<(), SessionError> {
        let (client, now) = (self.context.client, self.sessions.clock.now());
        self.sessions.rates.found(client, now).map_err(SessionError::TooManyGuests)
    }

    /// The account of this login, if what is presented is right. A client has a share of those that
    /// wait, and may fail so often.
    pub(crate) async fn check_password(
        &self,
        login: &str,
        presented: Presented,
    ) -> Result<Result<Option<SignedIn>, DirectoryError>, SessionError> {
        self.count_sign_in()?;
        let client = self.context.client.map(network_of);
        let found = self.directory().check(login, presented, client).await;
        if !matches!(found, Ok(None)) {
            self.forget_sign_in();
        }
        Ok(found)
    }

    /// Counts a sign-in of this client as one that fails, until it is forgotten: those that are
    /// under way count too.
    pub(crate) fn count_sign_in(&self) -> Result<(), SessionError> {
        let (client, now) = (self.context.client, self.sessions.clock.now());
        self.sessions.rates.sign_in(client, now).map_err(SessionError::TooOften)
    }

    /// Forgets a sign-in that has not failed.
    pub(crate) fn forget_sign_in(&self) {
        self.sessions.rates.forget_sign_in(self.context.client);
    }

    /// Signs an account in and stores it. False if what the sign-in was checked against has been
    /// changed meanwhile: the session is ended then, as all others of the account are.
    pub(crate) async fn enter_account(
        &self,
        signed_in: &SignedIn,
    ) -> Result<Result<bool, DirectoryError>, SessionError> {
        self.sign_in(&signed_in.user)?;
        {
            let _turn = self.request.turn.lock().await;
            // Nothing of it is left to be stored later, when it would not be looked at again.
            self.publish(None).await.inspect_err(|_| self.take_back())?;
        }
        let stands = self.directory().still_stands(signed_in).await;
        let user = signed_in.user.id;
        if matches!(stands, Ok(true)) {
            tracing::info!(event = "account.signed_in", %user, session = %self.id());
        } else {
            tracing::info!(event = "account.refused", why = "overtaken", %user);
            self.logout().await?;
        }
        Ok(stands)
    }

    /// Signs an account in: the session gets its roles in place of all privileges that it had. What
    /// another user has stored in it is removed.
    fn sign_in(&self, user: &User) -> Result<(), SessionError> {
        let known = &self.sessions.roles;
        let (roles, privileges) = user.roles.iter().cloned().partition(|it| known.has_role(it));
        if !self.is_guest() && self.account() != Some(user.id) {
            for (key, _) in self.storage() {
                self.remove(&key);
            }
        }
        self.clear_privileges();
        self.set_privileges(Privileges {
            privileges,
            roles,
            user_name: Some(user.login.as_str().to_owned()),
            account: Some(user.id),
            keep_devices: false,
        })?;
        Ok(())
    }

    /// Signs in a user whom the application has checked. What it has set in the session meanwhile
    /// is kept; the privileges that the session had before are removed, and what another user has
    /// stored in it.
    pub(crate) fn sign_in_as(&self, user_name: &str) -> Result<(), SessionError> {
        let named = Privileges { user_name: Some(user_name.to_owned()), ..Privileges::default() };
        let change = AccessChange { clear: true, ..self.access_change(named)? };
        let mut state = self.lock();
        if state.is_automatic() {
            return Err(SessionError::ContextMayNotGain);
        }
        let mut beneath = Draft { access: Some(change), puts_others_out: true, ..Draft::default() };
        if let Some(opened) = state.opened() {
            let before = &opened.record;
            if before.access.known && before.access.user_name != user_name {
                let keys = before.storage.entries().map(|(key, _)| (Arc::clone(key), None));
                beneath.entries = keys.collect();
            }
        }
        state.draft.put_back(beneath);
        Ok(())
    }

    /// Drops what was written and is not stored.
    pub(crate) fn take_back(&self) {
        self.lock().drop_drafts();
    }

    /// Stores what was written, and returns the credential by which a client that keeps no cookies
    /// comes back.
    pub(crate) async fn credential_to_tell(&self) -> Result<Option<SecretText>, SessionError> {
        {
            let _turn = self.request.turn.lock().await;
            self.publish(None).await?;
        }
        let state = self.lock();
        Ok(state.credential().map(|credential| self.sessions.keyring.seal(credential)))
    }

    /// Whether the text is a credential of any session.
    pub(crate) fn opens(&self, text: &str) -> bool {
        self.sessions.keyring.open(text).is_some()
    }

    /// The session that the text names: its id, or a credential of it.
    pub(crate) fn named(&self, text: &str) -> Option<SessionId> {
        let by_credential = || self.sessions.keyring.open(text).map(|it| it.session());
        text.parse().ok().or_else(by_credential)
    }

    /// Whether nothing of the session is stored.
    pub(crate) fn is_unstored(&self) -> bool {
        self.lock().opened().is_none()
    }

    /// The session as it was when the request began, or was written last.
    pub(crate) fn opened(&self) -> Option<Opened> {
        self.lock().opened().cloned()
    }

    /// A page of living sessions in which accounts are signed in, of one account or of all, and
    /// their number.
    pub(crate) async fn of_accounts(
        &self,
        account: Option<UserId>,
        (skip, take): (usize, usize),
    ) -> Result<(Vec<Opened>, usize), SessionError> {
        let now = self.sessions.clock.now();
        let (mut found, mut total, mut after) = (Vec::new(), 0, None);
        for _ in 0..LOOKED_AT_MAX / PAGE {
            let page = self.sessions.store.sessions(now, after, PAGE).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|opened| opened.record.id);
            for opened in page {
                let held = opened.record.access.account;
                if held.is_none() || account.is_some_and(|account| held != Some(account)) {
                    continue;
                }
                if total >= skip && found.len() < take {
                    found.push(opened);
                }
                total += 1;
            }
            if is_last {
                break;
            }
        }
        Ok((found, total))
    }

    /// The living session of this id, if this account is signed in to it.
    pub(crate) async fn of_account(
        &self,
        account: UserId,
        id: SessionId,
    ) -> Result<Option<Opened>, SessionError> {
        let now = self.sessions.clock.now();
        let opened = self.sessions.store.look(now, id, Right::Operator).await?.done();
        Ok(opened.filter(|opened| opened.record.access.account == Some(account)))
    }

    /// Ends a session of this account, and returns it as it was.
    pub(crate) async fn end_of_account(
        &self,
        account: UserId,
        id: SessionId,
    ) -> Result<Option<Opened>, SessionError> {
        let Some(opened) = self.of_account(account, id).await? else { return Ok(None) };
        if id == self.id() {
            self.logout().await?;
        } else {
            let now = self.sessions.clock.now();
            self.sessions.store.end(now, id, Right::Operator).await?;
            tracing::info!(event = "session.ended", session = %id, source = "account");
            self.sessions.watchers.wake(id);
        }
        Ok(Some(opened))
    }
}
