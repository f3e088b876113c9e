//! The browser client's files.
//!
//! Owns the files of `static/`, which are part of the program. Promises that a browser that has a file is told so
//! (ETag) and that it never shows an old one after an upgrade. Never reads a disk.

use std::{collections::HashMap, sync::LazyLock};

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode, Uri,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
};
use rust_embed::RustEmbed;

use crate::error::Error;

/// The page: every address of the client is drawn by it.
const PAGE: &str = "index.html";
/// Names stay the same when their files change, so a browser asks each time whether its copy is the newest.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

#[derive(RustEmbed)]
#[folder = "../static"]
struct Files;

struct Asset {
    content_type: HeaderValue,
    etag: HeaderValue,
    body: Bytes,
}

static ASSETS: LazyLock<HashMap<String, Asset>> = LazyLock::new(|| {
    Files::iter().filter_map(|path| Some((path.to_string(), Asset::new(&path, Files::get(&path)?)))).collect()
});

/// Answers with the page.
pub(super) async fn page(headers: HeaderMap) -> Response {
    serve(PAGE, &headers)
}

/// Answers with the file at a path. Who looks for a page where none is gets the one that says so.
pub(super) async fn file(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    match ASSETS.get(PAGE) {
        Some(lost) if !ASSETS.contains_key(path) && wants_page(&headers) => {
            let headers = [(CONTENT_TYPE, lost.content_type.clone()), (CACHE_CONTROL, REVALIDATE)];
            (StatusCode::NOT_FOUND, headers, lost.body.clone()).into_response()
        }
        _ => serve(path, &headers),
    }
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn serve(path: &str, headers: &HeaderMap) -> Response {
    let Some(asset) = ASSETS.get(path) else { return Error::NotFound.into_response() };
    let validators = [(ETAG, asset.etag.clone()), (CACHE_CONTROL, REVALIDATE)];
    if headers.get_all(IF_NONE_MATCH).iter().any(|value| names(value, &asset.etag)) {
        return (StatusCode::NOT_MODIFIED, validators).into_response();
    }
    (validators, [(CONTENT_TYPE, asset.content_type.clone())], asset.body.clone()).into_response()
}

/// Whether a list of entity tags names this one, by the weak comparison.
fn names(list: &HeaderValue, etag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let (Ok(list), Ok(etag)) = (list.to_str(), etag.to_str()) else { return false };
    list.trim() == "*" || list.split(',').any(|tag| opaque(tag) == opaque(etag))
}

impl Asset {
    fn new(path: &str, file: rust_embed::EmbeddedFile) -> Self {
        let hash = data_encoding::HEXLOWER.encode(&file.metadata.sha256_hash()[..16]);
        // Weak, because the bytes sent may be compressed.
        let etag = HeaderValue::try_from(format!("W/\"{hash}\"")).expect("hex is a header value");
        let body = match file.data {
            std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
        };
        Self { content_type: content_type(path), etag, body }
    }
}

fn content_type(path: &str) -> HeaderValue {
    HeaderValue::from_static(match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: &str, if_none_match: Option<&str>) -> Response {
        let mut headers = HeaderMap::new();
        if let Some(tags) = if_none_match {
            headers.insert(IF_NONE_MATCH, tags.parse().unwrap());
        }
        serve(path, &headers)
    }

    #[test]
    fn every_file_is_embedded_with_a_type_browsers_know() {
        assert!(ASSETS.contains_key(PAGE));
        for (path, asset) in &*ASSETS {
            assert_ne!(asset.content_type, "application/octet-stream", "{path}");
            assert!(!asset.body.is_empty(), "{path}");
        }
    }

    #[test]
    fn a_browser_that_has_the_file_is_told_so() {
        let first = asked(PAGE, None);
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[CACHE_CONTROL], "no-cache");
        let etag = first.headers()[ETAG].to_str().unwrap().to_owned();
        let strong = etag.trim_start_matches("W/").to_owned();
        for tags in [etag.clone(), strong, format!("\"other\", {etag}"), "*".to_owned()] {
            let again = asked(PAGE, Some(&tags));
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{tags}");
            assert_eq!(again.headers()[ETAG].to_str().unwrap(), etag);
        }
        assert_eq!(asked(PAGE, Some("\"other\"")).status(), StatusCode::OK);
    }

    #[test]
    fn what_is_not_embedded_is_not_there() {
        for path in ["", "nothing.js", "../Cargo.toml", "css/../index.html", "/etc/passwd"] {
            assert_eq!(asked(path, None).status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}
