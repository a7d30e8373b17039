//! Callback URLs, built from the settings and the application's arguments, and only for paths that
//! have a row.

use percent_encoding::AsciiSet;
use percent_encoding::CONTROLS;
use percent_encoding::utf8_percent_encode;

use crate::base::text::nearest::nearest;
use crate::base::text::query::Query;
use crate::flow::session::Session;
use crate::flow::session::SessionError;
use crate::table::BasePath;
use crate::table::CanonicalPath;
use crate::table::Lookup;
use crate::table::Reserved;
use crate::table::Row;
use crate::table::Table;
use crate::table::TokenPlace;
use crate::token::MintOptions;
use crate::token::text::brings_token;
use crate::token::text::carries;

/// The parameter name of a token in links. Shells, mail templates and string replacements
/// interpret a bare `$`.
const WRITTEN_KEY: &str = "%244DSID";
/// ASCII characters that are invalid in a URL and percent-encoded. The braces of placeholders
/// stay.
const ENCODED: &AsciiSet = &CONTROLS.add(b'"').add(b'<').add(b'>').add(b'`');
/// Longest link; browsers and servers read at least 8,000 bytes (RFC 9110 §4.1).
const LINK_BYTES_MAX: usize = 8_000;
/// How names of actions begin, which need no row.
const ACTIONS: &str = "Actions.";

/// A callback URL around its token.
#[derive(Debug)]
pub(crate) struct CallbackLink {
    before: String,
    after: String,
}

impl CallbackLink {
    /// The whole URL, which contains a secret.
    pub(crate) fn with(&self, token: &str) -> String {
        [&self.before, token, &self.after].concat()
    }
}

impl Session {
    /// The URL of [`Session::create_callback_url`] around its token.
    pub(crate) fn callback_link(
        &self,
        path: &str,
        options: &MintOptions,
    ) -> Result<CallbackLink, SessionError> {
        let url = self.public_url(path)?;
        let (rest, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let query = query.trim_end_matches('&');
        if brings_token(query) || options.param.as_deref().is_some_and(|key| carries(query, key)) {
            return Err(refused(path, "carries a token already", "leave the token to callgate"));
        }
        if Query::read(query).is_err() {
            return Err(refused(path, "has too large a query", "shorten it"));
        }
        if url.len() > LINK_BYTES_MAX {
            return Err(refused(path, "is longer than browsers read", "shorten it"));
        }
        if let Some(table) = self.sessions().table.load_full() {
            require_row(&table, path, options)?;
        }
        let key = options.param.as_deref().unwrap_or(WRITTEN_KEY);
        let join = if query.is_empty() { "" } else { "&" };
        let before = format!("{address}?{query}{join}{key}=");
        Ok(CallbackLink { before, after: fragment.to_owned() })
    }

    /// The absolute URL of a path of this site, such as the `redirect_uri` of a sign-in. Non-ASCII
    /// characters are percent-encoded; `{PLACEHOLDERS}` stay.
    ///
    /// It begins with the setting `public_origin`, never with anything from the request: an
    /// attacker who chose the `Host` of a request could have the token sent to itself.
    pub fn public_url(&self, path: &str) -> Result<String, SessionError> {
        let origin = self.sessions().public_origin.get().ok_or(SessionError::NoPublicOrigin)?;
        let is_local = path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
        if !is_local || path.chars().any(|c| c.is_control() || c == ' ') {
            return Err(refused(
                path,
                "is not a path of this site",
                "begin it with a single slash",
            ));
        }
        let encoded: String = utf8_percent_encode(path, ENCODED).collect();
        let address = encoded.split(['?', '#']).next().unwrap_or_default();
        CanonicalPath::of(address, &BasePath::none()).map_err(|bad| {
            SessionError::Refused(format!("no request can have the path {path:?}: {bad}"))
        })?;
        self.warn_of_other_host(origin);
        Ok(format!("{origin}{}{encoded}", self.sessions().base_path))
    }

    /// Refuses names without a row, other than those of actions, because a token for them could not
    /// be redeemed.
    pub(crate) fn require_named_rows(&self, options: &MintOptions) -> Result<(), SessionError> {
        let Some(table) = self.sessions().table.load_full() else { return Ok(()) };
        let rows = table.rows();
        for name in &options.handlers {
            let is_action = name.starts_with(ACTIONS);
            if !is_action && !rows.iter().any(|row| row.name() == &**name) {
                let near = nearest(name, rows.iter().map(Row::name));
                let advice = near.map_or_else(
                    || "name a row's class and method, such as \"Shop.paid\"".to_owned(),
                    |near| format!("did you mean {near:?}?"),
                );
                let text = format!("no row of the table is answered by {name:?}; {advice}");
                return Err(SessionError::Refused(text));
            }
        }
        Ok(())
    }
}

fn require_row(table: &Table, path: &str, options: &MintOptions) -> Result<(), SessionError> {
    let encoded: String = utf8_percent_encode(path, ENCODED).collect();
    let address = encoded.split(['?', '#']).next().unwrap_or_default();
    // The value that a platform substitutes for a placeholder is unknown here.
    if address.contains('{') {
        return Ok(());
    }
    let Ok(canonical) = CanonicalPath::of(address, &BasePath::none()) else { return Ok(()) };
    match canonical.reserved() {
        Some(Reserved::FourDAction) => return Ok(()),
        Some(part) => {
            let what = format!("belongs to {part}, where no token is redeemed");
            return Err(refused(path, &what, "choose the path of a row"));
        }
        None => {}
    }
    let rows: Vec<&Row> =
        table.rows().iter().filter(|row| row.pattern().fits(&canonical)).collect();
    let answers = match table.find("GET", &canonical) {
        Lookup::Row(row) => vec![row],
        // The callback may have another verb.
        Lookup::VerbNotAllowed(_) => rows,
        Lookup::NoSuchPath => {
            return Err(refused(path, "is answered by no row", "add the row, or mend the path"));
        }
    };
    if let Some(key) = &options.param
        && !answers.iter().any(|row| is_param_of(row, key))
    {
        let what = format!("is answered by a row whose otp.param is not {key:?}");
        return Err(refused(path, &what, "say so in the row, or leave param out"));
    }
    Ok(())
}

fn is_param_of(row: &Row, key: &str) -> bool {
    matches!(&row.otp().param, Some(TokenPlace::Param(own)) if own == key)
}

fn refused(path: &str, what: &str, advice: &str) -> SessionError {
    SessionError::Refused(format!("{path:?} {what}; {advice}"))
}
