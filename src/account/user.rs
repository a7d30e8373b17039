//! An account, and its stored form.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::account::names::Email;
use crate::account::names::Login;
use crate::account::names::same_name;
use crate::base::Timestamp;
use crate::base::UserId;

/// The version of the stored forms that this program writes. It reads every version up to this one.
pub(super) const VERSION: u8 = 1;

/// A person who can sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The id, which never changes and may be logged.
    pub id: UserId,
    /// The name by which the person signs in.
    pub login: Login,
    /// What the person may change.
    pub profile: Profile,
    /// Whether a link that was mailed to the address was opened.
    pub email_verified: bool,
    /// Roles and privileges that a session of this account gets.
    pub roles: Vec<String>,
    /// Groups, for `currentUserBelongsTo`.
    pub groups: Vec<String>,
    /// When the account was created.
    pub created_at: Timestamp,
    /// A disabled account cannot sign in, and keeps its login.
    pub disabled: bool,
}

/// What a person says about themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// The name that others see.
    pub name: String,
    /// Where mail is sent.
    pub email: Option<Email>,
    /// The language of pages and mails, such as `en`.
    pub language: String,
    /// The look of pages.
    pub theme: String,
    /// The time zone, such as `Europe/Paris`.
    pub time_zone: String,
}

/// Stored bytes that are no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadDocument {
    /// Written by a later version of callgate.
    Newer(u8),
    /// Not written by any known version.
    Malformed,
}

impl fmt::Display for BadDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer(version) => write!(
                f,
                "an account has version {version}, and this callgate reads up to {VERSION}; start \
                 the newer callgate"
            ),
            Self::Malformed => f.write_str("an account cannot be read"),
        }
    }
}

impl std::error::Error for BadDocument {}

impl BadDocument {
    /// Reads a stored document of any known version.
    pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Self> {
        #[derive(Deserialize)]
        struct Versioned {
            v: u8,
        }
        let Versioned { v } = serde_json::from_slice(bytes).map_err(|_| Self::Malformed)?;
        if v > VERSION {
            return Err(Self::Newer(v));
        }
        serde_json::from_slice(bytes).map_err(|_| Self::Malformed)
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    v: u8,
    id: String,
    login: String,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default)]
    verified: bool,
    #[serde(default)]
    language: String,
    #[serde(default)]
    theme: String,
    #[serde(default)]
    time_zone: String,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    created: u64,
    #[serde(default)]
    disabled: bool,
}

impl User {
    /// Whether the account is in a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|held| same_name(held, group))
    }

    /// The bytes for a store.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let Profile { name, email, language, theme, time_zone } = &self.profile;
        serde_json::to_vec(&Stored {
            v: VERSION,
            id: self.id.to_string(),
            login: self.login.as_str().to_owned(),
            name: name.clone(),
            email: email.as_ref().map(|email| email.as_str().to_owned()),
            verified: self.email_verified,
            language: language.clone(),
            theme: theme.clone(),
            time_zone: time_zone.clone(),
            roles: self.roles.clone(),
            groups: self.groups.clone(),
            created: self.created_at.millis(),
            disabled: self.disabled,
        })
    }

    /// The account in these bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadDocument> {
        let stored: Stored = BadDocument::read(bytes)?;
        let email = stored.email.map(|email| Email::read(&email)).transpose();
        Ok(Self {
            id: stored.id.parse().map_err(|_| BadDocument::Malformed)?,
            login: Login::read(&stored.login).map_err(|_| BadDocument::Malformed)?,
            profile: Profile {
                name: stored.name,
                email: email.map_err(|_| BadDocument::Malformed)?,
                language: stored.language,
                theme: stored.theme,
                time_zone: stored.time_zone,
            },
            email_verified: stored.verified,
            roles: stored.roles,
            groups: stored.groups,
            created_at: Timestamp::from_millis(stored.created),
            disabled: stored.disabled,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_reads_back_what_was_written() {
        let user = User {
            id: UserId::from_bytes([0xAB; 16]),
            login: Login::read("Ada").unwrap(),
            profile: Profile {
                name: "Ada Lovelace".to_owned(),
                email: Some(Email::read("ada@example.com").unwrap()),
                language: "en".to_owned(),
                theme: "dark".to_owned(),
                time_zone: "Europe/London".to_owned(),
            },
            email_verified: true,
            roles: vec!["admin".to_owned()],
            groups: vec!["Sales".to_owned()],
            created_at: Timestamp::from_millis(1_900_000_000_000),
            disabled: false,
        };
        assert_eq!(User::decode(&user.encode().unwrap()), Ok(user.clone()));
        assert!(user.is_in("SALES") && !user.is_in("sale"));
        let bare = User { profile: Profile::default(), ..user };
        assert_eq!(User::decode(&bare.encode().unwrap()), Ok(bare));
    }

    #[test]
    fn what_a_newer_program_wrote_is_refused() {
        assert_eq!(User::decode(b"{\"v\":2}"), Err(BadDocument::Newer(2)));
        assert_eq!(User::decode(b"{}"), Err(BadDocument::Malformed));
    }
}
