//! Checking a password, and counting the attempts.
//!
//! Every attempt costs the same, whether there is such an account, whether its login is locked and
//! whether the password is right: two reads, one write that counts the attempt, and one hash. Where
//! there is nothing to be checked, a decoy is counted and verified.

use std::hash::BuildHasher;
use std::net::IpAddr;

use tracing::field::display;

use crate::account::Attempts;
use crate::account::Credentials;
use crate::account::Login;
use crate::account::PasswordHash;
use crate::account::User;
use crate::account::Verdict;
use crate::base::Timestamp;
use crate::base::UserId;
use crate::base::secret::SecretText;
use crate::base::secret::entropy::random;
use crate::base::text::hex;
use crate::store::port::RecordChange;

use super::ATTEMPTS_MAX;
use super::Directory;
use super::DirectoryError;
use super::Done;
use super::TURNS;
use super::password_key;
use super::unwritable;
use super::user_key;

/// What a caller presents to show who they are.
#[derive(Debug, Clone)]
pub enum Presented {
    /// The password.
    Password(SecretText),
    /// Its client digest, in hex digits ([`client_digest`](crate::account::client_digest)).
    Digest(SecretText),
}

/// An account whose password was right, and which password that was.
#[derive(Debug)]
pub(crate) struct SignedIn {
    pub(crate) user: User,
    /// When the password was set: no two passwords of an account have the same time.
    set_at: Timestamp,
}

impl SignedIn {
    /// The owner of an account that was just created.
    pub(crate) fn new_account(user: User) -> Self {
        Self { set_at: user.created_at, user }
    }
}

/// An attempt that was counted.
struct Counted {
    /// The account; `None` where a decoy was counted instead.
    user: Option<User>,
    /// What is verified.
    hash: PasswordHash,
    attempts: Attempts,
}

/// The records of an attempt as they were read.
struct Found {
    user: Option<User>,
    credentials: Option<Credentials>,
    stored: Option<Vec<u8>>,
}

impl Directory {
    /// The account of this login, if what is presented is right and the login is not locked. A
    /// refusal never says which of them it was.
    #[cfg(any(test, feature = "testing"))]
    pub async fn sign_in(&self, login: &str, presented: Presented) -> Done<Option<User>> {
        Ok(self.check(login, presented, None).await?.map(|signed_in| signed_in.user))
    }

    /// The account of this login and which password it was, if what is presented is right and the
    /// login is not locked. The client has a share of the places to wait.
    pub(crate) async fn check(
        &self,
        login: &str,
        presented: Presented,
        client: Option<IpAddr>,
    ) -> Done<Option<SignedIn>> {
        let _place = self.hasher.place(client)?;
        let read = Login::read(login).ok();
        let name = self.logins.hash_one(read.as_ref().map_or(login, Login::folded));
        let (why, user) = match self.attempt((read.as_ref(), name), presented).await? {
            Ok(signed_in) => return Ok(Some(signed_in)),
            Err(refused) => refused,
        };
        // The login may be a password in the wrong field.
        let name = format_args!("{:08x}", name >> 32);
        let (user, client) = (user.map(display), client.map(display));
        tracing::info!(event = "account.refused", why, login = %name, user, client);
        Ok(None)
    }

    /// Counts an attempt and checks it; or why it is refused, and the account.
    async fn attempt(
        &self,
        (login, name): (Option<&Login>, u64),
        presented: Presented,
    ) -> Done<Result<SignedIn, (&'static str, Option<UserId>)>> {
        let turn = usize::try_from(name % (TURNS as u64)).unwrap_or_default();
        let _turn = match self.turns.get(turn) {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        let decoy = self.decoy().await?;
        let id = match login {
            Some(login) => self.id_of(login).await?,
            None => None,
        };
        let counted = self.count(id, turn, (&presented, &decoy)).await?;
        let (secret, hash) = (secret(&presented), counted.hash.clone());
        let is_right = self.hasher.run(move |_| hash.is_of(&secret)).await?;
        let Some(user) = counted.user else { return Ok(Err(("not_checked", id))) };
        if is_right {
            let settled = self.settle(user.id, (&counted.hash, presented)).await?;
            return Ok(settled.ok_or(("overtaken", id)));
        }
        if counted.attempts.checked == self.config.attempts {
            tracing::warn!(
                event = "account.locked",
                user = %user.id,
                minutes = self.config.lock_minutes,
                "too many wrong passwords in a row: the login is locked for a while"
            );
        }
        Ok(Err(("wrong", id)))
    }

    /// The hash of an unknown password.
    async fn decoy(&self) -> Done<PasswordHash> {
        let decoy = self.decoy.get_or_try_init(|| async {
            let unknown: [u8; 32] = random(&*self.entropy)?;
            let (hash, _) = self.hashes(SecretText::new(hex::lower(&unknown))).await?;
            Ok::<_, DirectoryError>(hash)
        });
        decoy.await.cloned()
    }

    /// Counts an attempt before it is checked.
    async fn count(
        &self,
        id: Option<UserId>,
        turn: usize,
        (presented, decoy): (&Presented, &PasswordHash),
    ) -> Done<Counted> {
        let nobody = decoy_id(turn);
        for _ in 0..ATTEMPTS_MAX {
            let now = self.clock.now();
            let found = self.found(id.unwrap_or(nobody), nobody).await?;
            let key = password_key(found.user.as_ref().map_or(nobody, |user| user.id));
            let credentials = found.credentials.unwrap_or_else(|| nobodys(decoy, now));
            let (attempts, verdict) = credentials.attempts.one_more(now, &self.config);
            let hash = match (verdict, presented) {
                (Verdict::Locked, _) => None,
                (Verdict::Check, Presented::Password(_)) => Some(credentials.password.clone()),
                (Verdict::Check, Presented::Digest(_)) => {
                    credentials.digest.clone().filter(|_| self.config.client_digest)
                }
            };
            let counted = Credentials { attempts, ..credentials };
            let value = Some(counted.encode().map_err(unwritable)?);
            let change = RecordChange { key, expected: found.stored, value };
            if self.store.write_records(vec![change]).await? {
                let user = found.user.filter(|_| hash.is_some());
                let hash = hash.filter(|_| user.is_some()).unwrap_or_else(|| decoy.clone());
                return Ok(Counted { user, hash, attempts });
            }
        }
        Err(DirectoryError::Contended)
    }

    /// The account and its credentials; where one of them is missing or the account is disabled,
    /// those of the decoy.
    async fn found(&self, id: UserId, nobody: UserId) -> Done<Found> {
        let keys = [user_key(id), password_key(id), password_key(nobody)];
        let [user, stored, decoy] = self.read(keys).await?;
        let user = user.as_deref().map(User::decode).transpose()?.filter(|user| !user.disabled);
        let (user, stored) = match (user, stored) {
            (Some(user), Some(stored)) => (Some(user), Some(stored)),
            _ => (None, decoy),
        };
        let credentials = stored.as_deref().map(Credentials::decode).transpose()?;
        Ok(Found { user, credentials, stored })
    }

    /// Resets the count after a right password, and hashes it anew where the settings have changed.
    /// The sign-in is refused if the password was changed or the account disabled while it was
    /// being checked.
    async fn settle(
        &self,
        id: UserId,
        (verified, presented): (&PasswordHash, Presented),
    ) -> Done<Option<SignedIn>> {
        let mut renewed = None;
        for _ in 0..ATTEMPTS_MAX {
            let [user, stored] = self.read([user_key(id), password_key(id)]).await?;
            let user = user.as_deref().map(User::decode).transpose()?.filter(|it| !it.disabled);
            let (Some(user), Some(stored)) = (user, stored) else { return Ok(None) };
            let mut credentials = Credentials::decode(&stored)?;
            let held = match &presented {
                Presented::Password(_) => Some(&credentials.password),
                Presented::Digest(_) => credentials.digest.as_ref(),
            };
            if held != Some(verified) {
                return Ok(None);
            }
            if let Presented::Password(password) = &presented
                && renewed.is_none()
                && self.is_outdated(&credentials)
            {
                renewed = Some(self.hashes(password.clone()).await?);
            }
            if let Some((password, digest)) = renewed.clone() {
                (credentials.password, credentials.digest) = (password, digest);
            }
            credentials.attempts = Attempts::default();
            let value = Some(credentials.encode().map_err(unwritable)?);
            let change = RecordChange { key: password_key(id), expected: Some(stored), value };
            if self.store.write_records(vec![change]).await? {
                return Ok(Some(SignedIn { user, set_at: credentials.changed_at }));
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Whether nothing that ends the sessions of an account has happened since the sign-in was
    /// checked: a new password, a role or group that was taken away, or the account disabled.
    ///
    /// A sign-in checks this once its session is stored, and a change of the account ends its
    /// sessions once it is stored. So whichever is stored first, the other one sees it.
    pub(crate) async fn still_stands(&self, signed_in: &SignedIn) -> Done<bool> {
        let SignedIn { user: before, set_at } = signed_in;
        let [user, stored] = self.read([user_key(before.id), password_key(before.id)]).await?;
        let (Some(user), Some(stored)) = (user, stored) else { return Ok(false) };
        let (user, credentials) = (User::decode(&user)?, Credentials::decode(&stored)?);
        let keeps = |held: &[String], now: &[String]| held.iter().all(|name| now.contains(name));
        Ok(credentials.changed_at == *set_at
            && !user.disabled
            && keeps(&before.roles, &user.roles)
            && keeps(&before.groups, &user.groups))
    }

    fn is_outdated(&self, credentials: &Credentials) -> bool {
        self.hasher.hashing().is_outdated(&credentials.password)
            || self.config.client_digest != credentials.digest.is_some()
    }
}

fn secret(presented: &Presented) -> SecretText {
    match presented {
        Presented::Password(password) => password.clone(),
        // Digits of either case are the same digest.
        Presented::Digest(digest) => SecretText::new(digest.expose().to_ascii_lowercase()),
    }
}

/// The id under which attempts without an account are counted: no account has it.
fn decoy_id(turn: usize) -> UserId {
    let mut bytes = [0xFF; 16];
    if let Some(last) = bytes.last_mut() {
        *last = u8::try_from(turn).unwrap_or_default();
    }
    UserId::from_bytes(bytes)
}

fn nobodys(decoy: &PasswordHash, now: Timestamp) -> Credentials {
    Credentials {
        password: decoy.clone(),
        digest: Some(decoy.clone()),
        changed_at: now,
        attempts: Attempts::default(),
    }
}
