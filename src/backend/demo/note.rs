//! Short, polite pages: what happened, and a way on.

use crate::backend::demo::page::Site;
use crate::backend::demo::page::fill;
use crate::base::Timestamp;
use crate::http::OutgoingMessage;
use crate::http::Raised;
use crate::http::Session;
use crate::token::Outcome;

/// A page of a few words.
#[derive(Debug)]
pub(super) struct Note<'t> {
    /// The status, from 200 to 599.
    pub(super) status: u16,
    /// What happened, in a few words.
    pub(super) title: &'t str,
    /// What that means, in a sentence or two.
    pub(super) text: &'t str,
    /// Where to go now.
    pub(super) way_on: WayOn,
}

/// A link that leads on: where to, and what it says.
pub(super) type WayOn = (&'static str, &'static str);

impl Note<'_> {
    /// The page.
    pub(super) fn page(&self, site: Site, session: &Session) -> Result<OutgoingMessage, Raised> {
        let (href, label) = self.way_on;
        let content = fill(
            include_str!("pages/note.html"),
            &[
                ("title", self.title.into()),
                ("text", self.text.into()),
                ("href", href.into()),
                ("label", label.into()),
            ],
        );
        Ok(site.page(session, self.title, content)?.with_status(self.status)?)
    }
}

/// What somebody reads whose link brought him nowhere. Nothing was changed by his coming, and
/// his own session is still there.
pub(super) fn refused(
    session: &Session,
    outcome: Outcome,
    way_on: WayOn,
) -> Result<OutgoingMessage, Raised> {
    let used;
    let (status, title, text) = match outcome {
        Outcome::Used { at } => {
            used = format!("Somebody followed it at {}. A link works once.", time_of_day(at));
            (410, "This link has been used", used.as_str())
        }
        Outcome::Expired => {
            (410, "This link has expired", "It was good for a while, and that is over.")
        }
        Outcome::SessionGone => {
            (410, "This link has nowhere to lead", "The session that it belongs to has ended.")
        }
        Outcome::WrongHandler => {
            (403, "This link is for another page", "It still works there. Nothing was spent.")
        }
        // A handler asks about tokens that were refused; to it, no token is one nobody knows.
        Outcome::Unknown | Outcome::Absent | Outcome::Restored => (
            404,
            "Nobody knows this link",
            "Perhaps a part of it was lost on the way. Copy all of it, up to the last letter.",
        ),
    };
    Note { status, title, text, way_on }.page(Site::Shop, session)
}

/// Hours, minutes and seconds of a moment.
pub(super) fn time_of_day(moment: Timestamp) -> String {
    let text = moment.to_string();
    let time = text.get("2026-01-01T".len().."2026-01-01T09:30:00".len()).unwrap_or(&text);
    format!("{time} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_hours_minutes_and_seconds() {
        let moment = Timestamp::from_millis(1_767_225_600_000).after_secs(9 * 3600 + 61);
        assert_eq!(time_of_day(moment), "09:01:01 UTC");
    }
}
