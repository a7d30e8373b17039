//! Rights to a session, and every way in which one can end.

use std::time::Duration;

use serde_json::json;

use crate::base::RestoreMode;
use crate::base::SessionId;
use crate::session::Device;
use crate::session::Patch;
use crate::session::Right;
use crate::store::contract::Broken;
use crate::store::contract::Stage;
use crate::store::contract::stage::ensure_is;
use crate::store::contract::stage::founder;
use crate::store::contract::stage::set;
use crate::store::port::Checked;
use crate::store::port::Claim;
use crate::store::port::Minted;

/// The holder of a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// The browser that created the session.
    Browser,
    /// A caller that a token has admitted without a credential.
    Context,
}

/// How it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Another browser gains privileges.
    Rotation,
    /// The same, with the token that is minted in the same step.
    RotatingMint,
    /// Another browser takes the session over.
    Transfer,
    /// Its browser alone is signed out, which does not end a context.
    Detachment,
    Logout,
    Expiry,
    /// It was never a right to this session.
    Never,
}

impl Way {
    pub(super) const ALL: [Self; 7] = [
        Self::Rotation,
        Self::RotatingMint,
        Self::Transfer,
        Self::Detachment,
        Self::Logout,
        Self::Expiry,
        Self::Never,
    ];

    /// Whether the session continues without it.
    pub(super) const fn leaves_the_session(self) -> bool {
        !matches!(self, Self::Logout | Self::Expiry)
    }
}

/// A right to a session.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) id: SessionId,
    pub(super) right: Right,
    /// The browser that created the session.
    pub(super) founder: Device,
    /// A browser that is in the session when the right has ended.
    pub(super) other: Option<Device>,
}

impl Stage {
    /// A right to a new session with content.
    pub(super) async fn held(&self, holder: Holder) -> Result<Held, Broken> {
        let session = self.session().await?;
        let (id, founder) = (session.id, founder(&session)?.clone());
        self.patched(id, set("n", &json!(1))).await?;
        let right = match holder {
            Holder::Browser => Right::Credential(founder.digest),
            Holder::Context => {
                let claim = self.claim(&self.minted(id).await?)?;
                let claim = Claim { row_mode: RestoreMode::Context, ..claim };
                let opened = self.granted(claim).await?.opened;
                Right::Grant { generation: opened.record.generation }
            }
        };
        Ok(Held { id, right, founder, other: None })
    }

    /// Ends a right in this way, and returns the stage after the end. `None`: it does not end this
    /// right.
    pub(super) async fn ends(&self, held: &mut Held, way: Way) -> Result<Option<Self>, Broken> {
        let (id, fresh) = (held.id, self.device()?);
        let rotation = Patch { rotate: Some(fresh.clone()), ..set("n", &json!("secret")) };
        match way {
            Way::Rotation => drop(self.patched(id, rotation).await?),
            Way::RotatingMint => {
                let minted =
                    self.mint(self.now, Right::Operator, rotation, self.token(id)?).await?;
                ensure_is!(minted, Minted::Done(_));
            }
            Way::Transfer => {
                let claim = self.claim(&self.minted(id).await?)?;
                let claim = Claim { row_mode: RestoreMode::Transfer, ..claim };
                held.other = Some(claim.newcomer.clone());
                self.granted(claim).await?;
            }
            Way::Detachment if matches!(held.right, Right::Grant { .. }) => return Ok(None),
            Way::Detachment => {
                let own = held.founder.id;
                let left = self.detach(self.now, id, Right::Operator, own).await?;
                ensure_is!(left, Checked::Done(true));
            }
            Way::Logout => {
                ensure_is!(self.end(self.now, id, Right::Operator).await?, Checked::Done(()));
            }
            Way::Expiry => return Ok(Some(self.later(Duration::from_hours(1)))),
            Way::Never => {
                held.right = match held.right {
                    Right::Grant { generation } => Right::Grant { generation: generation + 1 },
                    Right::Credential(_) | Right::Operator => Right::Credential(fresh.digest),
                };
                held.founder = fresh.clone();
            }
        }
        if matches!(way, Way::Rotation | Way::RotatingMint) {
            held.other = Some(fresh);
        }
        if way.leaves_the_session() {
            self.patched(id, set("new", &json!("secret"))).await?;
        }
        Ok(Some(self.clone()))
    }
}
