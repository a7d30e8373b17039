//! Submitted forms, urlencoded and multipart.

use std::fmt;

use bytes::Bytes;
use encoding_rs::Encoding;
use encoding_rs::UTF_8;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::header;

use percent_encoding::percent_decode;

use crate::base::limits::FORM_FIELDS_MAX;
use crate::http::message::parse::charset;

/// The fields of a form in the order in which they were sent.
#[derive(Debug, Clone, Default)]
pub struct Form {
    fields: Vec<Field>,
}

/// One field of a form.
#[derive(Clone)]
pub struct Field {
    /// Its name; empty if the form gave none.
    pub name: String,
    /// The name of an uploaded file, as the client says it: never use it as a path.
    pub file_name: Option<String>,
    /// The media type of an uploaded file, as the client says it.
    pub media_type: Option<String>,
    /// Its content.
    pub value: Bytes,
}

/// Name and size only: what people type may be private.
impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({:?}, {} bytes)", self.name, self.value.len())
    }
}

/// A body that is no form.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadForm {
    /// The content type is neither of the two that forms have.
    NotAForm,
    /// A form with too many fields.
    TooManyFields,
    /// The multipart body is broken.
    Malformed,
}

impl fmt::Display for BadForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAForm => f.write_str(
                "the body is no form; its content type must be application/x-www-form-urlencoded \
                 or multipart/form-data",
            ),
            Self::TooManyFields => write!(f, "the form has more than {FORM_FIELDS_MAX} fields"),
            Self::Malformed => f.write_str("the multipart body is broken"),
        }
    }
}

impl std::error::Error for BadForm {}

impl Form {
    /// Reads a body that was sent with `content_type`.
    pub(crate) async fn read(content_type: &str, body: Bytes) -> Result<Self, BadForm> {
        if is_urlencoded(content_type) {
            Self::read_urlencoded(&body, charset::named(content_type))
        } else if let Ok(boundary) = multer::parse_boundary(content_type) {
            Self::read_multipart(boundary, body).await
        } else {
            Err(BadForm::NotAForm)
        }
    }

    /// The text of a field; of a repeated one, the last. What no text can be made of is replaced.
    pub fn text(&self, name: &str) -> Option<String> {
        let field = self.fields.iter().rev().find(|field| field.name == name)?;
        Some(String::from_utf8_lossy(&field.value).into_owned())
    }

    /// Every field in the order in which they were sent.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Reads fields in the charset that the content type names or, where it names none, that a
    /// field of the form itself names.
    fn read_urlencoded(body: &[u8], named: Option<&'static Encoding>) -> Result<Self, BadForm> {
        let mut pairs = Vec::new();
        for part in body.split(|byte| *byte == b'&').filter(|part| !part.is_empty()) {
            if pairs.len() == FORM_FIELDS_MAX {
                return Err(BadForm::TooManyFields);
            }
            let mut halves = part.splitn(2, |byte| *byte == b'=').map(unescaped);
            pairs.push((halves.next().unwrap_or_default(), halves.next().unwrap_or_default()));
        }
        let encoding = named.unwrap_or_else(|| told(&pairs));
        let text = |bytes: &[u8]| encoding.decode_without_bom_handling(bytes).0.into_owned();
        let field = |(name, value): &(Vec<u8>, Vec<u8>)| {
            let (name, value) = (text(name), Bytes::from(text(value)));
            Field { name, file_name: None, media_type: None, value }
        };
        Ok(Self { fields: pairs.iter().map(field).collect() })
    }

    async fn read_multipart(boundary: String, body: Bytes) -> Result<Self, BadForm> {
        // The body is in memory already, bounded by the row's limit.
        let mut parts = multer::Multipart::new(Full::new(body).into_data_stream(), boundary);
        let mut form = Self::default();
        let mut all = UTF_8;
        while let Some(part) = parts.next_field().await.map_err(|_| BadForm::Malformed)? {
            let name = part.name().unwrap_or_default().to_owned();
            let file_name = part.file_name().map(ToOwned::to_owned);
            let media_type = part.content_type().map(ToString::to_string);
            let own = media_type.as_deref().and_then(charset::named);
            let mut value = part.bytes().await.map_err(|_| BadForm::Malformed)?;
            if file_name.is_none() {
                let encoding = own.unwrap_or(all);
                if encoding != UTF_8 {
                    let text = encoding.decode_without_bom_handling(&value).0.into_owned();
                    value = text.into();
                }
                // RFC 7578 §4.6: it stands in front of the fields that it is for.
                if name == "_charset_" {
                    all = Encoding::for_label(&value).unwrap_or(all);
                }
            }
            form.push(Field { name, file_name, media_type, value })?;
        }
        Ok(form)
    }

    fn push(&mut self, field: Field) -> Result<(), BadForm> {
        if self.fields.len() == FORM_FIELDS_MAX {
            return Err(BadForm::TooManyFields);
        }
        self.fields.push(field);
        Ok(())
    }
}

/// The fields of an ordinary form, as they were sent.
pub(crate) fn submitted<'b>(headers: &HeaderMap, body: &'b [u8]) -> Option<&'b str> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.filter(|kind| is_urlencoded(kind)).and(std::str::from_utf8(body).ok())
}

/// The bytes that a name or a value of an urlencoded form stands for.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let blanks: Vec<u8> =
        text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&blanks).collect()
}

/// The charset that an urlencoded form names in a field of its own: `_charset_`, as browsers fill
/// it in (HTML Standard, constructing the entry list), or `charset`, as `PayPal` sends it.
/// Fields that are UTF-8 all the same are read as that.
fn told(pairs: &[(Vec<u8>, Vec<u8>)]) -> &'static Encoding {
    let value = |wanted: &[u8]| pairs.iter().find(|(name, _)| name == wanted);
    let is_utf8 = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
    if pairs.iter().all(|(name, value)| is_utf8(name) && is_utf8(value)) {
        return UTF_8;
    }
    let label = value(b"_charset_").or_else(|| value(b"charset"));
    label.and_then(|(_, label)| Encoding::for_label(label)).unwrap_or(UTF_8)
}

/// Whether a content type is that of an ordinary HTML form.
pub(crate) fn is_urlencoded(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_ordinary_form_is_decoded() {
        let body = Bytes::from_static(b"name=J%C3%BCrgen+W&x=1&x=2&empty=");
        let form = Form::read("application/x-www-form-urlencoded; charset=utf-8", body).await;
        let form = form.unwrap();
        assert_eq!(form.text("name").unwrap(), "Jürgen W");
        assert_eq!(form.text("x").unwrap(), "2");
        assert_eq!(form.text("empty").unwrap(), "");
        assert_eq!(form.text("absent"), None);
    }

    #[tokio::test]
    async fn a_form_is_read_in_the_charset_that_it_names() {
        let kind = "application/x-www-form-urlencoded";
        let with = format!("{kind}; charset=windows-1252");
        let named = |kind: &str, body: &'static [u8]| {
            let kind = kind.to_owned();
            async move { Form::read(&kind, body.into()).await.unwrap().text("name").unwrap() }
        };
        assert_eq!(named(&with, b"name=J%FCrgen+%80").await, "Jürgen €");
        assert_eq!(named(&with, b"name=J\xfcrgen").await, "Jürgen", "unescaped");
        assert_eq!(named(kind, b"name=J%FCrgen&charset=windows-1252").await, "Jürgen", "PayPal");
        assert_eq!(named(kind, b"_charset_=iso-8859-1&name=J%FC").await, "Jü");
        assert_eq!(named(kind, b"charset=windows-1252&name=J%C3%BC").await, "Jü", "it is UTF-8");
        assert_eq!(named(kind, b"name=J%FC&charset=martian").await, "J\u{fffd}");
        let multipart =
            b"--B\r\nContent-Disposition: form-data; name=\"_charset_\"\r\n\r\nlatin1\r\n\
            --B\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nJ\xfc\r\n--B--\r\n";
        assert_eq!(named("multipart/form-data; boundary=B", multipart).await, "Jü");
        let multipart = b"--B\r\nContent-Disposition: form-data; name=\"name\"\r\n\
            Content-Type: text/plain; charset=shift_jis\r\n\r\n\x93\xfa\r\n--B--\r\n";
        assert_eq!(named("multipart/form-data; boundary=B", multipart).await, "日");
    }

    #[tokio::test]
    async fn a_multipart_form_keeps_its_files() {
        let body = "--B\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n\
                    --B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\
                    Content-Type: text/plain\r\n\r\n\x01\x02\r\n--B--\r\n";
        let form = Form::read("multipart/form-data; boundary=B", body.into()).await.unwrap();
        assert_eq!(form.text("note").unwrap(), "hello");
        let file = &form.fields()[1];
        assert_eq!(file.file_name.as_deref(), Some("a.txt"));
        assert_eq!(
            (file.media_type.as_deref(), &*file.value),
            (Some("text/plain"), &b"\x01\x02"[..])
        );
    }

    #[tokio::test]
    async fn what_is_no_form_is_refused() {
        let read = async |kind: &str, body: &'static str| Form::read(kind, body.into()).await;
        assert_eq!(read("text/plain", "a=1").await.unwrap_err(), BadForm::NotAForm);
        let torn = read("multipart/form-data; boundary=B", "--B\r\nContent-Disp").await;
        assert_eq!(torn.unwrap_err(), BadForm::Malformed);
        let many = Bytes::from("a=1&".repeat(FORM_FIELDS_MAX + 1));
        let many = Form::read("application/x-www-form-urlencoded", many).await;
        assert_eq!(many.unwrap_err(), BadForm::TooManyFields);
    }
}
