//! The table in use together with what answers each of its rows.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::http::exchange::handler::Handler;
use crate::http::exchange::handler::Handlers;
use crate::http::exchange::handler::Missing;
use crate::http::exchange::proxy::Proxies;
use crate::http::exchange::proxy::Proxy;
use crate::table::Row;
use crate::table::Table;
use crate::table::Target;

/// The plan in use; empty until there is one.
pub type CurrentRoutes = ArcSwapOption<Routes>;

/// A table whose rows have been connected to their handlers; immutable, and swapped whole.
pub struct Routes {
    table: Table,
    answers: Vec<Answer>,
    generation: u64,
}

/// What answers one row.
#[derive(Clone)]
pub(crate) struct Answer {
    /// `Class.method`, shared with every claim that is made for it.
    pub(crate) target: Arc<str>,
    pub(crate) by: Result<Answerer, Missing>,
}

/// The two ways to answer: with the whole request in hand, or by passing it on as it comes.
#[derive(Clone)]
pub(crate) enum Answerer {
    Handler(Arc<dyn Handler>),
    Proxy(Arc<dyn Proxy>),
}

impl Answerer {
    /// How long it wants to be waited for, where the row does not say.
    pub(crate) fn patience(&self) -> Option<Duration> {
        match self {
            Self::Handler(handler) => handler.patience(),
            Self::Proxy(_) => None,
        }
    }
}

impl Answer {
    pub(crate) fn is_relayed(&self) -> bool {
        matches!(self.by, Ok(Answerer::Proxy(_)))
    }
}

impl Routes {
    /// Connects each row to its handler or relay. A row without one still answers, with the
    /// model's own error (4D §1.6). The plan is the first of its gate.
    pub fn new(table: Table, handlers: &dyn Handlers, relays: &dyn Proxies) -> Self {
        let answer = |row: &Row| Answer {
            target: row.name().into(),
            by: match row.target() {
                Target::Function { class, method } => {
                    handlers.find(class, method).map(Answerer::Handler)
                }
                Target::Upstream(url) => Ok(Answerer::Proxy(relays.find(url))),
            },
        };
        let answers = table.rows().iter().map(answer).collect();
        Self { table, answers, generation: 1 }
    }

    /// The same plan as the one that follows `before`.
    #[must_use]
    pub fn after(self, before: &Self) -> Self {
        Self { generation: before.generation + 1, ..self }
    }

    /// Which plan of its gate this is, counted from 1.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    pub(crate) fn answer(&self, row: &Row) -> Option<&Answer> {
        self.answers.get(row.number().checked_sub(1)?)
    }
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Routes({} rows, generation {})", self.answers.len(), self.generation)
    }
}
