use axum::routing;
use http::{HeaderMap, Request, header};
use http_body_util::BodyExt as _;
use parlour_chassis::address::Proxies;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::upstream::Target;

/// Where requests come from.
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 1);

/// A router whose room service is not there.
fn alone() -> Router {
    let limits = Limits { request: Duration::from_millis(100), ..Limits::default() };
    let nowhere = "http://127.0.0.1:1".parse().unwrap();
    let upstream = Upstream::connect_lazy(Target::Urls(vec![nowhere]), None, limits.request).unwrap();
    let origins = Origins::new(vec![], "0.0.0.0:80".parse().unwrap());
    let rates = Rates::new(Proxies::default(), &limits);
    router(upstream, origins, rates, &limits, routing::get(async || "upgraded"))
}

struct Seen {
    status: u16,
    headers: HeaderMap,
    body: bytes::Bytes,
}

impl Seen {
    fn problem(&self) -> (u16, String) {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(body["status"], self.status);
        (self.status, body["code"].as_str().unwrap().to_owned())
    }
}

async fn ask(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Seen {
    let request = Request::builder().extension(ConnectInfo(PEER));
    let mut request = request.method(method).uri(path).header("host", "chat.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = alone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Seen { status: parts.status.as_u16(), headers: parts.headers, body }
}

async fn get(path: &str) -> Seen {
    ask("GET", path, &[], Body::empty()).await
}

#[tokio::test]
async fn every_address_of_the_client_is_the_same_page() {
    let root = get("/").await;
    assert_eq!((root.status, &root.headers[LOCATION]), (302, &"/rooms".parse().unwrap()));
    let rooms = get("/rooms").await;
    assert_eq!(rooms.status, 200);
    assert_eq!(rooms.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(rooms.body, get("/room/general").await.body);
    let etag = rooms.headers[header::ETAG].to_str().unwrap();
    let again = ask("GET", "/room/general", &[("if-none-match", etag)], Body::empty()).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
}

#[tokio::test]
async fn who_looks_for_a_page_where_none_is_sees_the_one_that_says_so() {
    let lost = ask("GET", "/nowhere", &[("accept", "text/html,*/*;q=0.8")], Body::empty()).await;
    assert_eq!((lost.status, lost.body), (404, get("/rooms").await.body));
    let api = ask("GET", "/api/nowhere", &[("accept", "text/html")], Body::empty()).await;
    assert_eq!(api.problem(), (404, "NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    for path in ["/rooms", "/nothing.js", "/api/nothing", "/api/rooms", "/chat"] {
        let headers = get(path).await.headers;
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}");
        assert!(policy.ends_with("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert!(headers.contains_key(header::REFERRER_POLICY), "{path}");
    }
}

#[tokio::test]
async fn files_and_answers_are_compressed_for_who_asks() {
    let page = ask("GET", "/rooms", &[("accept-encoding", "gzip")], Body::empty()).await;
    assert_eq!(page.headers[header::CONTENT_ENCODING], "gzip");
    assert_eq!(page.headers[header::VARY], "accept-encoding");
    assert!(!get("/rooms").await.headers.contains_key(header::CONTENT_ENCODING));
}

#[tokio::test]
async fn p11_what_is_not_there_is_a_problem_document() {
    for (method, path, expected) in [
        ("GET", "/api/nothing", (404, "NOT_FOUND")),
        ("GET", "/api", (404, "NOT_FOUND")),
        ("POST", "/api/nothing", (404, "NOT_FOUND")),
        ("GET", "/nothing", (404, "NOT_FOUND")),
        ("GET", "/livez", (404, "NOT_FOUND")),
        ("GET", "/metrics", (404, "NOT_FOUND")),
        ("DELETE", "/api/rooms", (405, "METHOD_NOT_ALLOWED")),
        ("POST", "/api/rooms/general/stats", (405, "METHOD_NOT_ALLOWED")),
        ("POST", "/rooms", (405, "METHOD_NOT_ALLOWED")),
        ("PUT", "/nothing", (405, "METHOD_NOT_ALLOWED")),
    ] {
        let (status, code) = ask(method, path, &[], Body::empty()).await.problem();
        assert_eq!((status, code.as_str()), expected, "{method} {path}");
    }
}

#[tokio::test]
async fn a_foreign_page_opens_no_socket_and_posts_nothing() {
    let foreign = ("origin", "https://evil.example");
    let own = ("origin", "https://chat.example");
    let json = ("content-type", "application/json");
    for (method, path) in [
        ("GET", "/chat"),
        ("POST", "/api/rooms/general/messages"),
        ("POST", "/api/rooms"),
        ("DELETE", "/api/rooms"),
    ] {
        let refused = ask(method, path, &[foreign, json], "{}").await;
        assert_eq!(refused.problem(), (403, "FORBIDDEN".to_owned()), "{method} {path}");
        assert_ne!(ask(method, path, &[own, json], "{}").await.status, 403, "{method} {path}");
    }
    let upgrade = ("upgrade", "WebSocket");
    assert_eq!(ask("GET", "/chat", &[foreign, upgrade], Body::empty()).await.status, 403);
    assert_eq!(ask("GET", "/chat", &[own, upgrade], Body::empty()).await.body, "upgraded");
    assert_eq!(ask("GET", "/chat", &[upgrade], Body::empty()).await.body, "upgraded");
}

#[tokio::test]
async fn who_asks_for_no_socket_is_told_what_opens_there() {
    let refused = get("/chat").await;
    assert_eq!(refused.problem(), (426, "UPGRADE_REQUIRED".to_owned()));
    assert_eq!(
        (&refused.headers[UPGRADE], &refused.headers[header::CONNECTION]),
        (&"websocket".parse().unwrap(), &"upgrade".parse().unwrap())
    );
    assert_eq!(
        ask("POST", "/chat", &[], Body::empty()).await.problem(),
        (405, "METHOD_NOT_ALLOWED".to_owned())
    );
}

#[tokio::test]
async fn a_body_is_json_of_bounded_size() {
    let path = "/api/rooms/general/messages";
    let json = ("content-type", "application/json; charset=utf-8");
    for (headers, body, expected) in [
        (&[][..], "{}".to_owned(), (415, "INVALID_FRAME")),
        (&[("content-type", "text/plain")][..], "{}".to_owned(), (415, "INVALID_FRAME")),
        (&[json][..], "[]".to_owned(), (400, "INVALID_FRAME")),
        (&[json][..], "{".to_owned(), (400, "INVALID_FRAME")),
        (&[json][..], "{}".to_owned(), (400, "MISSING_FIELD")),
        (&[json][..], r#"{"content":1}"#.to_owned(), (400, "INVALID_FIELD")),
        (&[json][..], r#"{"content":"x","reply_to":"1"}"#.to_owned(), (400, "INVALID_FIELD")),
        (&[json, ("idempotency-key", "")][..], r#"{"content":"x"}"#.to_owned(), (400, "INVALID_FIELD")),
        (&[json][..], "x".repeat(Limits::default().body_bytes() + 1), (413, "TOO_LARGE")),
    ] {
        let (status, code) = ask("POST", path, headers, body.clone()).await.problem();
        assert_eq!((status, code.as_str()), expected, "{:.40}", body);
    }
    let escaped = format!(r#"{{"content":"{}"}}"#, "\\ud83d\\ude00".repeat(Limits::default().content_chars));
    assert_eq!(ask("POST", path, &[json], escaped).await.status, 503, "the longest message gets through");
}

#[tokio::test]
async fn p11_a_room_service_that_is_away_is_said_with_a_wait() {
    for path in ["/api/rooms", "/api/rooms/general", "/api/rooms/general/messages"] {
        let away = get(path).await;
        assert_eq!(away.problem(), (503, "UNAVAILABLE".to_owned()));
        assert_eq!(away.headers[header::RETRY_AFTER], "1");
        assert_eq!(away.headers[header::CACHE_CONTROL], "no-store");
    }
}

#[tokio::test]
async fn a_wrong_query_names_its_field() {
    for (path, field) in [
        ("/api/rooms?page_size=x", "page_size"),
        ("/api/rooms/general/messages?limit=-1", "limit"),
        ("/api/rooms/general/messages?before=1.5", "before"),
        ("/api/rooms/general/messages?after=", "after"),
        ("/api/rooms/general/messages?before=1&after=1", "after"),
        ("/api/rooms/%ff", "room"),
    ] {
        let refused = get(path).await;
        assert_eq!(refused.problem(), (400, "INVALID_FIELD".to_owned()), "{path}");
        let body: Value = serde_json::from_slice(&refused.body).unwrap();
        assert_eq!(body["field"], field, "{path}");
    }
}

#[tokio::test]
async fn a_panic_ends_one_request_with_a_problem() {
    async fn falls() -> &'static str {
        panic!("on purpose")
    }
    let nowhere = Target::Urls(vec!["http://127.0.0.1:1".parse().unwrap()]);
    let upstream = Upstream::connect_lazy(nowhere, None, Duration::ZERO);
    let origins = Origins::new(vec![], "0.0.0.0:80".parse().unwrap());
    let rates = Rates::new(Proxies::default(), &Limits::default());
    let router = router(upstream.unwrap(), origins, rates, &Limits::default(), routing::get(falls));
    let response = router
        .oneshot(
            Request::get("/chat")
                .extension(ConnectInfo(PEER))
                .header("upgrade", "websocket")
                .body(Body::empty())
                .unwrap(),
        )
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
}
