//! Which row answers a request, and what of the request can be read for it.

use hyper::Method;
use hyper::Response;
use hyper::http::request::Parts as Head;

use crate::http::exchange::routes::Answer;
use crate::http::exchange::routes::Routes;
use crate::http::message::body::outgoing::AnswerBody;
use crate::http::message::body::outgoing::no_content;
use crate::http::message::fault::Fault;
use crate::http::message::parse::query;
use crate::http::message::parse::query::Query;
use crate::http::message::token_place::Brought;
use crate::http::message::token_place::has_too_many_fields;
use crate::table::CanonicalPath;
use crate::table::Found;
use crate::table::Row;

/// The parameters of a request.
pub(crate) fn query_of(head: &Head) -> Result<Query, Fault> {
    let read = Query::read(head.uri.query().unwrap_or(""));
    read.map_err(|query::QueryTooLarge| {
        Fault::bad_request("query_too_large", "The query is too large.")
    })
}

/// The row that answers, or the response where none has to.
pub(crate) fn row_of<'p>(
    plan: &'p Routes,
    head: &Head,
    path: &CanonicalPath,
) -> Result<Result<&'p Row, Response<AnswerBody>>, Fault> {
    match plan.table().find(head.method.as_str(), path) {
        Found::Row(row) => Ok(Ok(row)),
        Found::NoSuchPath => Err(Fault::not_found()),
        Found::VerbNotAllowed(allow) if head.method == Method::OPTIONS => {
            Ok(Err(no_content(Some(&allow.to_string()))))
        }
        Found::VerbNotAllowed(allow) => Err(Fault::method_not_allowed(allow.to_string())),
    }
}

/// Refuses a form that the handler could not read, as long as its token is unspent.
pub(crate) fn refuse_large_form(
    answer: &Answer,
    brought: &Brought,
    (head, body): (&Head, &[u8]),
) -> Result<(), Fault> {
    let is_read = !answer.is_relayed() && head.method != Method::GET;
    let brings = matches!(brought, Brought::Token(_));
    if is_read && brings && has_too_many_fields(&head.headers, body) {
        return Err(Fault::form_too_large());
    }
    Ok(())
}
