//! Which row answers a request, and what of the request can be read for it.

use hyper::Method;
use hyper::Response;
use hyper::http::request::Parts as Head;

use crate::http::answer::AnswerBody;
use crate::http::brought::Brought;
use crate::http::brought::has_too_many_fields;
use crate::http::fault::Fault;
use crate::http::manner::no_content;
use crate::http::plan::Answer;
use crate::http::plan::Plan;
use crate::http::query;
use crate::http::query::Query;
use crate::table::CanonicalPath;
use crate::table::Lookup;
use crate::table::Row;

/// The parameters of a request.
pub(super) fn query_of(head: &Head) -> Result<Query, Fault> {
    let read = Query::read(head.uri.query().unwrap_or(""));
    read.map_err(|query::QueryTooLarge| {
        Fault::bad_request("query_too_large", "The query is too large.")
    })
}

/// The row that answers, or the response where none has to.
pub(super) fn row_of<'p>(
    plan: &'p Plan,
    head: &Head,
    path: &CanonicalPath,
) -> Result<Result<&'p Row, Response<AnswerBody>>, Fault> {
    match plan.table().find(head.method.as_str(), path) {
        Lookup::Row(row) => Ok(Ok(row)),
        Lookup::NoSuchPath => Err(Fault::not_found()),
        Lookup::VerbNotAllowed(allow) if head.method == Method::OPTIONS => {
            Ok(Err(no_content(Some(&allow.to_string()))))
        }
        Lookup::VerbNotAllowed(allow) => Err(Fault::method_not_allowed(allow.to_string())),
    }
}

/// Refuses a form that the handler could not read, as long as its token is unspent.
pub(super) fn refuse_large_form(
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
