//! What handlers pass to `setPrivileges` and `restore`.

use crate::base::UserId;

/// The options of a token that a handler passes to
/// [`Session::restore_with`](super::Session::restore_with).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RestoreOptions {
    /// Leaves the session in which the browser is signed in, if it is another one. The handler has
    /// obtained the user's consent to this.
    pub switch: bool,
}

/// The name of a user with privileges and roles, as `setPrivileges` takes them.
#[derive(Debug, Clone, Default)]
pub struct Privileges {
    /// Privileges to add; names that `roles.json` does not have are ignored.
    pub privileges: Vec<String>,
    /// Roles whose privileges to add.
    pub roles: Vec<String>,
    /// The user's name; `None` leaves it as it is.
    pub user_name: Option<String>,
    /// The account with that name; `None` for a name that the application chose.
    #[doc(hidden)]
    pub account: Option<UserId>,
    /// Keeps the session's other browsers and unspent tokens. Without it, a user who gains
    /// privileges does not share them with the browsers that could open the session before.
    pub keep_devices: bool,
}

impl From<&str> for Privileges {
    /// One name, or several between commas.
    fn from(names: &str) -> Self {
        let privileges = names.split(',').map(|name| name.trim().to_owned()).collect();
        Self { privileges, ..Self::default() }
    }
}

impl<const N: usize> From<[&str; N]> for Privileges {
    fn from(names: [&str; N]) -> Self {
        Self { privileges: names.map(str::to_owned).to_vec(), ..Self::default() }
    }
}
