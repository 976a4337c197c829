//! Who calls, and what they may do.

mod roles;
mod token;

pub use roles::{Access, access};
pub use token::{KeyFileError, TokenError, Verifier};

use serde::Deserialize;
use tonic::{Request, Status};

/// What a caller may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the account.
    Admin,
    /// Orders shipments.
    User,
    /// Moves shipments and scans them.
    Shipman,
}

impl Role {
    /// The name in a token.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::User => "user",
            Self::Shipman => "shipman",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Admin, Self::User, Self::Shipman]
            .into_iter()
            .find(|role| role.name() == name)
    }
}

/// The caller of a request, from a verified token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Who: `sub`.
    pub subject: String,
    /// Whose rows it may see and write: `account_id`.
    pub account_id: String,
    /// What it may do.
    pub roles: Vec<Role>,
}

impl Principal {
    /// The caller of `request`. The server puts it there before a handler runs.
    pub fn of<T>(request: &Request<T>) -> Result<&Self, Status> {
        request
            .extensions()
            .get()
            .ok_or_else(|| Status::unauthenticated("the request carries no verified token"))
    }
}
