//! Who a session's user shall be, as `setPrivileges` takes it.

/// The name of a user with his privileges and roles, as `setPrivileges` takes them.
#[derive(Debug, Clone, Default)]
pub struct Privileges {
    /// Privileges to add; names that `roles.json` does not have are ignored.
    pub privileges: Vec<String>,
    /// Roles whose privileges to add.
    pub roles: Vec<String>,
    /// The user's name; `None` leaves it as it is.
    pub user_name: Option<String>,
    /// Leaves the session's other browsers and unspent tokens alone. Without it, whoever gains
    /// privileges shares them with nobody who was there before.
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
