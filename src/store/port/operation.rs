//! The operations of a store as data, and their results.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use crate::base::DeviceId;
use crate::base::Digest;
use crate::base::SessionId;
use crate::base::TokenId;
use crate::session::Patch;
use crate::session::Right;
use crate::store::error::StoreError;
use crate::store::port::Checked;
use crate::store::port::Claim;
use crate::store::port::Concluded;
use crate::store::port::Conclusion;
use crate::store::port::Created;
use crate::store::port::Founding;
use crate::store::port::Guarantees;
use crate::store::port::Minted;
use crate::store::port::Opened;
use crate::store::port::Patched;
use crate::store::port::Pending;
use crate::store::port::RecordChange;
use crate::store::port::Redeemed;
use crate::store::port::Resumed;
use crate::token::Token;

/// Declares the operations, and the enum of their kinds.
macro_rules! operations {
    ($($name:ident $({ $($argument:ident: $kind:ty),* })?,)*) => {
        /// One call of a method of [`Store`](super::Store), with its arguments but for the time.
        #[derive(Debug, Clone)]
        pub enum Operation {
            $(
                /// The arguments of the method of this name.
                $name $({
                    $(
                        /// The argument of this name.
                        $argument: $kind,
                    )*
                })?,
            )*
        }

        /// A method of [`Store`](super::Store) that performs an operation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum OperationKind {
            $(
                /// The method of this name.
                $name,
            )*
        }

        impl OperationKind {
            /// Every operation.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }

        impl Operation {
            /// The method that performs it.
            pub fn kind(&self) -> OperationKind {
                match self {
                    $(Self::$name { .. } => OperationKind::$name,)*
                }
            }
        }
    };
}

/// Declares the results of operations. Each type of a result is one variant.
macro_rules! replies {
    ($($name:ident($result:ty),)*) => {
        /// The result of an [`Operation`].
        #[derive(Debug, Clone)]
        pub enum StoreReply {
            $(
                /// Returned by the methods with this result.
                $name($result),
            )*
        }

        $(
            impl From<$result> for StoreReply {
                fn from(result: $result) -> Self {
                    Self::$name(result)
                }
            }

            impl TryFrom<StoreReply> for $result {
                type Error = StoreError;

                fn try_from(reply: StoreReply) -> Result<Self, StoreError> {
                    match reply {
                        StoreReply::$name(result) => Ok(result),
                        _ => Err(StoreError::Corrupt("it is the reply to another operation".into())),
                    }
                }
            }
        )*
    };
}

// What is large is boxed: an operation is moved several times, and the most frequent one is small.
operations! {
    Resume { id: SessionId, credential: Digest },
    Create { founding: Box<Founding> },
    Patch { id: SessionId, right: Right, patch: Box<Patch> },
    Mint { right: Right, patch: Box<Patch>, token: Box<Token> },
    Redeem { claim: Box<Claim> },
    Conclude { conclusion: Conclusion },
    Detach { id: SessionId, right: Right, device: DeviceId },
    End { id: SessionId, right: Right },
    Revoke { token: TokenId },
    Look { id: SessionId, right: Right },
    Sessions { after: Option<SessionId>, at_most: usize },
    Tokens { after: Option<TokenId>, at_most: usize },
    Sweep { at_most: usize },
    ReadRecords { keys: Vec<String> },
    ListRecords { prefix: String, after: Option<String>, at_most: usize },
    WriteRecords { changes: Vec<RecordChange> },
    SelfCheck,
    Close,
}

replies! {
    Resumed(Resumed),
    Created(Created),
    Patched(Patched),
    Minted(Minted),
    Redeemed(Redeemed),
    Concluded(Concluded),
    Detached(Checked<bool>),
    Ended(Checked<()>),
    Revoked(bool),
    Looked(Checked<Opened>),
    Sessions(Vec<Opened>),
    Tokens(Vec<Token>),
    Swept(usize),
    RecordsRead(Vec<Option<Vec<u8>>>),
    RecordsListed(Vec<(String, Vec<u8>)>),
    Guarantees(Guarantees),
    Closed(()),
}

/// What an operation concerns.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject {
    /// One session.
    Session(SessionId),
    /// The token with this digest, and its session.
    Token(Digest),
    /// The token of this name, and its session.
    Name(TokenId),
    /// The whole store.
    Store,
}

impl Operation {
    /// What it concerns.
    pub(crate) fn subject(&self) -> Subject {
        match self {
            Self::Create { founding } => Subject::Session(founding.record.id),
            Self::Mint { token, .. } => Subject::Session(token.session),
            Self::Resume { id, .. }
            | Self::Patch { id, .. }
            | Self::Detach { id, .. }
            | Self::End { id, .. }
            | Self::Look { id, .. } => Subject::Session(*id),
            Self::Redeem { claim } => Subject::Token(claim.token),
            Self::Conclude { conclusion } => Subject::Token(conclusion.token),
            Self::Revoke { token } => Subject::Name(*token),
            Self::Sessions { .. }
            | Self::Tokens { .. }
            | Self::Sweep { .. }
            | Self::ReadRecords { .. }
            | Self::ListRecords { .. }
            | Self::WriteRecords { .. }
            | Self::SelfCheck
            | Self::Close => Subject::Store,
        }
    }
}

/// The pending result of a method of [`Store`](super::Store), as its own type.
#[must_use = "an operation does nothing until it is awaited"]
pub struct Typed<'a, T> {
    reply: Pending<'a, StoreReply>,
    result: PhantomData<fn() -> T>,
}

impl<'a, T> Typed<'a, T> {
    pub(super) fn new(reply: Pending<'a, StoreReply>) -> Self {
        Self { reply, result: PhantomData }
    }
}

impl<T> fmt::Debug for Typed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typed").finish_non_exhaustive()
    }
}

impl<T: TryFrom<StoreReply, Error = StoreError>> Future for Typed<'_, T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.reply.as_mut().poll(context).map(|reply| reply.and_then(T::try_from))
    }
}
