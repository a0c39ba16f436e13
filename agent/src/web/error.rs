//! What the API says when it does not do what was asked: a key, its arguments, and a text in the caller's language.
//!
//! A handler returns an [`ApiError`]; it becomes a body only at the door (`door.rs`), where the language is known.

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use tamga_domain::line::ask::Refusal;

use crate::desk::RecordsError;

#[derive(Clone, Debug)]
pub struct ApiError {
    pub status: StatusCode,
    pub key: String,
    pub args: Vec<(String, String)>,
}

impl ApiError {
    pub fn new(status: StatusCode, key: &str) -> ApiError {
        ApiError { status, key: key.to_owned(), args: Vec::new() }
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> ApiError {
        self.args.push((name.to_owned(), value.to_string()));
        self
    }

    /// A field of the request that has no meaning.
    pub fn field(field: &str, key: &str) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, key).with("field", field)
    }

    pub fn no_line(name: &str) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "http.no_line").with("line", name)
    }

    /// The error for an answer that a layer below the handlers made without words of ours.
    pub fn of_status(status: StatusCode) -> ApiError {
        let key = match status {
            StatusCode::NOT_FOUND => "http.no_path",
            StatusCode::METHOD_NOT_ALLOWED => "http.method",
            StatusCode::PAYLOAD_TOO_LARGE => "http.too_large",
            s if s.is_server_error() => "http.internal",
            _ => "http.bad_request",
        };
        ApiError::new(status, key)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        ApiError {
            status: StatusCode::CONFLICT,
            key: refusal.key.to_owned(),
            args: refusal.args.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        }
    }
}

impl From<RecordsError> for ApiError {
    fn from(error: RecordsError) -> ApiError {
        match error {
            RecordsError::NotACode => ApiError::new(StatusCode::BAD_REQUEST, "http.bad_scan"),
            RecordsError::Refused(refusal) => refusal.into(),
            RecordsError::Failed(why) => {
                let why = crate::web::text::chain(why.as_ref());
                tracing::error!(why, "the records do not answer");
                ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "http.records").with("why", why)
            }
        }
    }
}

/// A JSON body; what is wrong with it is said in our words.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, ApiError> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(body)) => Ok(Body(body)),
            Err(JsonRejection::MissingJsonContentType(_)) => {
                Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "http.not_json"))
            }
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(ApiError::of_status(StatusCode::PAYLOAD_TOO_LARGE))
            }
            Err(rejection) => {
                let why = rejection.body_text();
                Err(ApiError::new(StatusCode::BAD_REQUEST, "http.bad_body").with("why", why))
            }
        }
    }
}
