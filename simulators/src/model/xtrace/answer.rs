//! What goes back over the wire: answers, and errors in all the shapes that were met in the field.
//!
//! The bodies of errors are not uniform in the real system; that is modelled, not tidied up.

use super::settings::ErrorShapes;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An HTTP answer before it is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    Empty,
    Json(Value),
    Html(String),
    /// Bytes as they are: JSON that was damaged on its way.
    Raw(Vec<u8>),
}

impl Body {
    pub fn content_type(&self) -> Option<&'static str> {
        match self {
            Body::Empty => None,
            Body::Json(_) | Body::Raw(_) => Some("application/json"),
            Body::Html(_) => Some("text/html;charset=UTF-8"),
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Body::Empty => Vec::new(),
            Body::Json(value) => value.to_string().into_bytes(),
            Body::Html(text) => text.clone().into_bytes(),
            Body::Raw(bytes) => bytes.clone(),
        }
    }
}

impl Answer {
    pub fn ok(value: Value) -> Answer {
        Answer { status: 200, headers: Vec::new(), body: Body::Json(value) }
    }

    pub fn html(status: u16) -> Answer {
        let title = reason(status);
        let body = format!(
            "<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n<center><h1>{status} {title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        );
        Answer { status, headers: Vec::new(), body: Body::Html(body) }
    }
}

/// A refusal, before a shape is chosen for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub status: u16,
    pub code: &'static str,
    pub parameter: Option<String>,
    pub cause: Option<&'static str>,
    pub retry_after_s: Option<u64>,
}

impl ApiError {
    pub fn new(status: u16, code: &'static str) -> ApiError {
        ApiError { status, code, parameter: None, cause: None, retry_after_s: None }
    }

    /// 400 `invalid-input-parameter`, the one error of input that is known by name.
    pub fn parameter(name: &str) -> ApiError {
        ApiError { parameter: Some(name.to_owned()), ..ApiError::new(400, "invalid-input-parameter") }
    }

    pub fn unauthorized(cause: &'static str) -> ApiError {
        ApiError { cause: Some(cause), ..ApiError::new(401, "unauthorized") }
    }

    pub fn not_found(code: &'static str) -> ApiError {
        ApiError::new(404, code)
    }

    /// Renders in the shape asked for; 406 is always empty.
    pub fn answer(&self, shapes: ErrorShapes, rng: &mut fastrand::Rng) -> Answer {
        if self.status == 406 {
            return Answer { status: 406, headers: Vec::new(), body: Body::Empty };
        }
        let mut answer = match self.shape(shapes, rng) {
            Shape::Html => Answer::html(self.status),
            Shape::Array => self.json(json!([{ "code": self.code }])),
            Shape::ArrayWithContext => self.json(json!([{ "code": self.code, "context": self.context() }])),
            Shape::Object => self.json(json!({ "code": self.code, "context": self.context() })),
        };
        if let Some(seconds) = self.retry_after_s {
            answer.headers.push(("retry-after", seconds.to_string()));
        }
        answer
    }

    fn json(&self, value: Value) -> Answer {
        Answer { status: self.status, headers: Vec::new(), body: Body::Json(value) }
    }

    fn context(&self) -> Value {
        match (&self.parameter, self.cause) {
            (Some(parameter), _) => json!({ "parameter": parameter }),
            (None, Some(cause)) => json!({ "_cause": cause }),
            (None, None) => json!({}),
        }
    }

    fn shape(&self, shapes: ErrorShapes, rng: &mut fastrand::Rng) -> Shape {
        match shapes {
            ErrorShapes::Array => Shape::Array,
            ErrorShapes::ArrayWithContext => Shape::ArrayWithContext,
            ErrorShapes::Object => Shape::Object,
            ErrorShapes::Html => Shape::Html,
            ErrorShapes::Random => {
                [Shape::Array, Shape::ArrayWithContext, Shape::Object, Shape::Html][rng.usize(..4)]
            }
            ErrorShapes::ByEndpoint if self.status >= 500 || self.status == 429 => Shape::Html,
            ErrorShapes::ByEndpoint if self.parameter.is_some() => Shape::ArrayWithContext,
            ErrorShapes::ByEndpoint if self.cause.is_some() || self.status == 404 => Shape::Object,
            ErrorShapes::ByEndpoint => Shape::Array,
        }
    }
}

#[derive(Clone, Copy)]
enum Shape {
    Array,
    ArrayWithContext,
    Object,
    Html,
}

/// ISO 8601 with zone and milliseconds at most, as the server writes dates.
pub fn iso(at: OffsetDateTime) -> String {
    let at = at.replace_nanosecond(at.nanosecond() / 1_000_000 * 1_000_000).unwrap_or(at);
    at.format(&Rfc3339).unwrap_or_default()
}

/// The `Date` header (RFC 9110, IMF-fixdate).
pub fn http_date(at: OffsetDateTime) -> String {
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    at.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_default()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        429 => "Too Many Requests",
        502 => "Bad Gateway",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        500.. => "Internal Server Error",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_header_is_an_imf_fixdate() {
        // RFC 9110, section 5.6.7.
        let at = time::macros::datetime!(1994-11-06 13:49:37 +5);
        assert_eq!(http_date(at), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn errors_have_the_four_shapes_of_the_field() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut body = |error: &ApiError, shapes| {
            String::from_utf8(error.answer(shapes, &mut rng).body.bytes()).unwrap()
        };
        let error = ApiError::parameter("quantity");
        assert_eq!(body(&error, ErrorShapes::Array), r#"[{"code":"invalid-input-parameter"}]"#);
        assert_eq!(
            body(&error, ErrorShapes::ArrayWithContext),
            r#"[{"code":"invalid-input-parameter","context":{"parameter":"quantity"}}]"#
        );
        assert_eq!(
            body(&ApiError::unauthorized("inactive-token"), ErrorShapes::Object),
            r#"{"code":"unauthorized","context":{"_cause":"inactive-token"}}"#
        );
        assert!(body(&error, ErrorShapes::Html).starts_with("<html>"));
        let seen: std::collections::BTreeSet<char> =
            (0..100).filter_map(|_| body(&error, ErrorShapes::Random).chars().next()).collect();
        assert_eq!(seen, ['<', '[', '{'].into());
    }
}
