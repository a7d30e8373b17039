//! Promises about callbacks: consent, redemption, repeats, races.

pub(crate) mod consent;
pub(crate) mod leases;
pub(crate) mod races;
pub(crate) mod redemption;
pub(crate) mod repeats;
pub(crate) mod take_over;
