//! The accounts of an application: finding, creating and changing them, and signing in.
//!
//! An account is three records of the store, changed together or apart:
//!
//! ```text
//!   login:ada        the id of the account with this login
//!   user:ID          the account
//!   password:ID      the hashes of its password, and the failed attempts
//! ```
//!
//! ```text
//!   mod          finding, creating, changing and removing accounts
//!   sign_in      checking a password, and the lock-out
//!   hasher       a bounded number of threads that hash passwords
//! ```

mod hasher;
mod sign_in;

use std::fmt;
use std::hash::RandomState;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::sync::OnceCell;

use crate::account::BadDocument;
use crate::account::BadPassword;
use crate::account::Config;
use crate::account::Credentials;
use crate::account::Hashing;
use crate::account::Login;
use crate::account::PasswordHash;
use crate::account::Profile;
use crate::account::User;
use crate::account::client_digest;
use crate::base::Clock;
use crate::base::Entropy;
use crate::base::Timestamp;
use crate::base::UserId;
use crate::base::secret::SecretText;
use crate::base::secret::entropy::NoEntropy;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::port::RecordChange;

use hasher::Hasher;

pub use sign_in::Presented;
pub(crate) use sign_in::SignedIn;

/// Attempts of one change before it is given up. Each round of concurrent writers has a winner.
const ATTEMPTS_MAX: usize = 64;
/// Sign-ins with different logins that may be decided at the same time.
const TURNS: usize = 64;
/// Times are stored in these units.
const TICK: Duration = Duration::from_millis(1);

/// The accounts of an application.
pub struct Directory {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    config: Config,
    hasher: Hasher,
    /// One sign-in of a login at a time, so that right passwords that arrive together are not taken
    /// for wrong ones.
    turns: Vec<Mutex<()>>,
    /// Hashes logins, with a key of this process: no client can choose a login that takes the turn
    /// of another one, and log lines about a login can be matched without showing it.
    logins: RandomState,
    /// The hash of an unknown password, to be verified where there is no account.
    decoy: OnceCell<PasswordHash>,
}

/// An account to be created.
#[derive(Debug)]
pub struct Draft {
    /// The login.
    pub login: Login,
    /// What the person says about themselves.
    pub profile: Profile,
    /// The password; without one, signing in with a password is impossible.
    pub password: Option<NewPassword>,
    /// Roles and privileges.
    pub roles: Vec<String>,
    /// Groups.
    pub groups: Vec<String>,
}

/// A password to be set.
#[derive(Debug, Clone)]
pub enum NewPassword {
    /// As it was typed. It is accepted or not, and hashed.
    Plain(SecretText),
    /// Its hashes, from a command that has checked it, or from another directory.
    Hashed {
        /// The hash of the password.
        password: PasswordHash,
        /// That of its client digest.
        digest: Option<PasswordHash>,
    },
}

/// Why the directory did not do what it was asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum DirectoryError {
    /// There is an account with this login.
    LoginTaken,
    /// There is no account with this id.
    Unknown,
    /// The password is not accepted.
    BadPassword(BadPassword),
    /// Too many passwords wait to be hashed.
    Busy,
    /// Others change the same account all the time.
    Contended,
    /// The store failed.
    Store(StoreError),
    /// What is stored cannot be read, or cannot be written.
    Unreadable(BadDocument),
    /// The operating system gave no random bytes.
    NoEntropy,
    /// A password could not be hashed: there is not enough memory.
    Unhashed,
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoginTaken => f.write_str("there is an account with this login"),
            Self::Unknown => f.write_str("there is no such account"),
            Self::BadPassword(why) => write!(f, "the password is not accepted: {why}"),
            Self::Busy => f.write_str("too many passwords wait to be checked"),
            Self::Contended => f.write_str("others change the account all the time"),
            Self::Store(error) => error.fmt(f),
            Self::Unreadable(why) => why.fmt(f),
            Self::NoEntropy => NoEntropy.fmt(f),
            Self::Unhashed => f.write_str("the password could not be hashed"),
        }
    }
}

impl std::error::Error for DirectoryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<StoreError> for DirectoryError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<BadDocument> for DirectoryError {
    fn from(bad: BadDocument) -> Self {
        Self::Unreadable(bad)
    }
}

impl From<NoEntropy> for DirectoryError {
    fn from(_: NoEntropy) -> Self {
        Self::NoEntropy
    }
}

type Done<T> = Result<T, DirectoryError>;

impl Directory {
    /// The accounts in this store.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        config: Config,
    ) -> Self {
        let turns = (0..TURNS).map(|_| Mutex::new(())).collect();
        let hasher = Hasher::new(&config);
        let (logins, decoy) = (RandomState::new(), OnceCell::new());
        Self { store, clock, entropy, config, hasher, turns, logins, decoy }
    }

    /// The account with this id.
    pub async fn get(&self, id: UserId) -> Done<Option<User>> {
        let stored = self.read([user_key(id)]).await?;
        let [user] = stored;
        Ok(user.as_deref().map(User::decode).transpose()?)
    }

    /// The account with this login.
    pub async fn find(&self, login: &Login) -> Done<Option<User>> {
        match self.id_of(login).await? {
            Some(id) => self.get(id).await,
            None => Ok(None),
        }
    }

    /// One page of accounts in the order of their ids, beginning after `after`.
    pub async fn list(&self, after: Option<UserId>, at_most: usize) -> Done<Vec<User>> {
        let after = after.map(user_key);
        let page = self.store.list_records("user:", after.as_deref(), at_most).await?;
        Ok(page.iter().map(|(_, user)| User::decode(user)).collect::<Result<_, _>>()?)
    }

    /// Creates an account.
    pub async fn add(&self, draft: Draft) -> Done<User> {
        let now = self.clock.now();
        let id = UserId::random(&*self.entropy)?;
        let user = User {
            id,
            login: draft.login,
            profile: draft.profile,
            email_verified: false,
            roles: draft.roles,
            groups: draft.groups,
            created_at: now,
            disabled: false,
        };
        let mut changes = vec![
            created(login_key(&user.login), id.to_string().into_bytes()),
            created(user_key(id), user.encode().map_err(unwritable)?),
        ];
        if let Some(password) = draft.password {
            // A login that is taken costs no hash.
            if self.id_of(&user.login).await?.is_some() {
                return Err(DirectoryError::LoginTaken);
            }
            let credentials = self.credentials(&user, password, now).await?;
            changes.push(created(password_key(id), credentials.encode().map_err(unwritable)?));
        }
        if self.store.write_records(changes).await? {
            tracing::info!(event = "account.created", user = %user.id);
            Ok(user)
        } else {
            Err(DirectoryError::LoginTaken)
        }
    }

    /// Changes an account. The id and the login stay as they are.
    pub async fn change(&self, id: UserId, change: impl Fn(&mut User) + Send) -> Done<User> {
        for _ in 0..ATTEMPTS_MAX {
            let [stored] = self.read([user_key(id)]).await?;
            let stored = stored.ok_or(DirectoryError::Unknown)?;
            let before = User::decode(&stored)?;
            let mut user = before.clone();
            change(&mut user);
            (user.id, user.login) = (before.id, before.login);
            let value = Some(user.encode().map_err(unwritable)?);
            let change = RecordChange { key: user_key(id), expected: Some(stored), value };
            if self.store.write_records(vec![change]).await? {
                return Ok(user);
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Sets the password of an account, and unlocks its login.
    pub async fn set_password(&self, id: UserId, password: NewPassword) -> Done<()> {
        let user = self.get(id).await?.ok_or(DirectoryError::Unknown)?;
        let mut credentials = self.credentials(&user, password, self.clock.now()).await?;
        for _ in 0..ATTEMPTS_MAX {
            let [user, expected] = self.read([user_key(id), password_key(id)]).await?;
            let user = user.ok_or(DirectoryError::Unknown)?;
            if let Some(before) = expected.as_deref().map(Credentials::decode).transpose()? {
                // Two passwords of an account never have the same time, whatever the clock does.
                let next = before.changed_at.after(TICK);
                credentials.changed_at = credentials.changed_at.max(next);
            }
            let value = credentials.encode().map_err(unwritable)?;
            let changes = vec![
                // The account must still be there.
                RecordChange { key: user_key(id), expected: Some(user.clone()), value: Some(user) },
                RecordChange { key: password_key(id), expected, value: Some(value) },
            ];
            if self.store.write_records(changes).await? {
                tracing::info!(event = "account.password_changed", user = %id);
                return Ok(());
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Removes an account. Its login can be taken again.
    #[cfg(any(test, feature = "testing"))]
    pub async fn remove(&self, id: UserId) -> Done<User> {
        for _ in 0..ATTEMPTS_MAX {
            let [user, password] = self.read([user_key(id), password_key(id)]).await?;
            let stored = user.ok_or(DirectoryError::Unknown)?;
            let user = User::decode(&stored)?;
            let login = Some(id.to_string().into_bytes());
            let changes = vec![
                RecordChange { key: login_key(&user.login), expected: login, value: None },
                RecordChange { key: user_key(id), expected: Some(stored), value: None },
                RecordChange { key: password_key(id), expected: password, value: None },
            ];
            if self.store.write_records(changes).await? {
                return Ok(user);
            }
        }
        Err(DirectoryError::Contended)
    }

    async fn id_of(&self, login: &Login) -> Done<Option<UserId>> {
        let [id] = self.read([login_key(login)]).await?;
        let Some(id) = id else { return Ok(None) };
        let id = std::str::from_utf8(&id).ok().and_then(|id| id.parse().ok());
        id.map(Some).ok_or(DirectoryError::Unreadable(BadDocument::Malformed))
    }

    /// The values of these records.
    async fn read<const N: usize>(&self, keys: [String; N]) -> Done<[Option<Vec<u8>>; N]> {
        let values = self.store.read_records(keys.to_vec()).await?;
        // A store returns one value for each key.
        values.try_into().map_err(|_| DirectoryError::Unreadable(BadDocument::Malformed))
    }

    /// What is stored of a new password, if it is accepted.
    async fn credentials(
        &self,
        user: &User,
        password: NewPassword,
        changed_at: Timestamp,
    ) -> Done<Credentials> {
        let password = match password {
            NewPassword::Plain(password) => password,
            NewPassword::Hashed { password, digest } => {
                return Ok(Credentials { password, digest, changed_at, attempts: <_>::default() });
            }
        };
        let email = user.profile.email.as_ref().map_or("", |email| email.as_str());
        let others = [user.profile.name.as_str(), email];
        let accepted = self.hasher.hashing().accepts(&password, &user.login, &others);
        accepted.map_err(DirectoryError::BadPassword)?;
        let _place = self.hasher.place(None)?;
        let (password, digest) = self.hashes(password).await?;
        Ok(Credentials { password, digest, changed_at, attempts: <_>::default() })
    }

    /// The hash of a password, and where the settings ask for it that of its client digest.
    async fn hashes(&self, password: SecretText) -> Done<(PasswordHash, Option<PasswordHash>)> {
        let salts = (Hashing::salt(&*self.entropy)?, Hashing::salt(&*self.entropy)?);
        let with_digest = self.config.client_digest;
        let hashes = self.hasher.run(move |hashing| {
            let digest = with_digest.then(|| hashing.hash(&client_digest(&password), &salts.1));
            hashing.hash(&password, &salts.0).zip(digest.map_or(Some(None), |it| it.map(Some)))
        });
        hashes.await?.ok_or(DirectoryError::Unhashed)
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("config", &self.config).finish_non_exhaustive()
    }
}

fn login_key(login: &Login) -> String {
    format!("login:{}", login.folded())
}

fn user_key(id: UserId) -> String {
    format!("user:{id}")
}

fn password_key(id: UserId) -> String {
    format!("password:{id}")
}

fn created(key: String, value: Vec<u8>) -> RecordChange {
    RecordChange { key, expected: None, value: Some(value) }
}

/// Plain text and numbers can always be written as JSON.
fn unwritable(_: serde_json::Error) -> DirectoryError {
    DirectoryError::Unreadable(BadDocument::Malformed)
}
