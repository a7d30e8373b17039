//! The access log: one line for each request, without a query and without secrets.

use hyper::StatusCode;

use crate::base::text::masked::masked;
use crate::http::exchange::Exchange;
use crate::http::message::fault::Fault;

/// Longest method that is logged; it may be any word.
const METHOD_BYTES_MAX: usize = 256;
/// Longest text of a failure that is logged; a longer one is cut.
const CAUSE_BYTES_MAX: usize = 1024;

/// Writes the line. A fault on our side is an error; one of the client's, such as going over a
/// limit, is not, whatever its status.
pub(super) fn write(exchange: &Exchange, status: StatusCode, fault: Option<&Fault>) {
    let ms = exchange.started.elapsed().as_secs_f64() * 1000.0;
    let ms = (ms * 1000.0).round() / 1000.0;
    let session = exchange.session.as_ref().map(|session| tracing::field::display(session.id()));
    let code = fault.map(Fault::code);
    // A handler may have quoted the address that brought it a token.
    let cause = fault.and_then(Fault::inside);
    let cause = cause.as_deref().map(|cause| masked(cause, CAUSE_BYTES_MAX));
    let cause = cause.as_deref();
    let method = &*masked(exchange.method.as_str(), METHOD_BYTES_MAX);
    let (id, path) = (exchange.id, &exchange.logged_path);
    let (row, target) = (exchange.row, exchange.target.as_deref());
    let client = exchange.client.address.map(tracing::field::display);
    let (status, otp, repeat) = (status.as_u16(), exchange.outcome.name(), exchange.repeat);
    let is_error = status >= 500 && !fault.is_some_and(Fault::is_over_a_limit);
    if is_error {
        tracing::error!(target: "callgate::access", %id, client, method, path, status, ms, row, handler = target, session, otp, repeat, code, cause, "request");
    } else {
        tracing::info!(target: "callgate::access", %id, client, method, path, status, ms, row, handler = target, session, otp, repeat, code, cause, "request");
    }
}
