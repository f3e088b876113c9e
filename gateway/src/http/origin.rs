//! Origins.
//!
//! Owns which pages may open `/chat` and post to `/api`. Promises that a page of a foreign site cannot act for its
//! visitor. Never judges programs, which send no origin.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use http::{
    HeaderMap, Uri,
    header::{HOST, ORIGIN},
    uri::Authority,
};

/// A page's origin: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    is_https: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// Reads `https://example.org` or `http://localhost:8080`.
    ///
    /// # Errors
    /// It is not an origin of the web.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text)
            .ok_or_else(|| "expected origins of scheme and host, such as https://example.org".to_owned())
    }

    fn read(text: &str) -> Option<Self> {
        let url: Uri = text.parse().ok()?;
        let is_https = match url.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        // An origin has nothing behind its port; a `Uri` without a path says "/".
        if text.ends_with('/') || url.path_and_query().is_some_and(|path| path != "/") {
            return None;
        }
        let (host, port) = host_and_port(url.authority()?)?;
        Some(Self { is_https, host, port: port.unwrap_or(default_port(is_https)) })
    }

    /// Whether it is the origin of pages that the host named in a request serves.
    fn is_of(&self, host: &str) -> bool {
        let Some((name, port)) = host.parse().ok().as_ref().and_then(host_and_port) else { return false };
        self.host == name && self.port == port.unwrap_or(default_port(self.is_https))
    }

    fn is_loopback(&self) -> bool {
        let bare = self.host.trim_matches(['[', ']']);
        self.host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// Which origins a gateway admits.
#[derive(Clone, Debug)]
pub struct Origins {
    allowed: Vec<Origin>,
    allows_loopback: bool,
}

impl Origins {
    /// Admits these and the gateway's own; one that listens on loopback only admits every loopback origin too.
    pub fn new(allowed: Vec<Origin>, listen: SocketAddr) -> Self {
        Self { allowed, allows_loopback: listen.ip().is_loopback() }
    }

    /// Whether a request with these headers may act: it has no origin, or an admitted one.
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else { return true };
        if origins.next().is_some() {
            return false;
        }
        let Some(origin) = origin.to_str().ok().and_then(Origin::read) else { return false };
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        host.is_some_and(|host| origin.is_of(host))
            || self.allowed.contains(&origin)
            || (self.allows_loopback && origin.is_loopback())
    }
}

fn host_and_port(authority: &Authority) -> Option<(String, Option<u16>)> {
    // Whatever is neither host nor port (user names, ports that are no number) must not pass for nothing.
    let host = authority.host();
    let port = match authority.as_str().strip_prefix(host)? {
        "" => None,
        rest => Some(rest.strip_prefix(':').filter(|port| !port.starts_with('+'))?.parse().ok()?),
    };
    (!host.is_empty()).then(|| (host.to_ascii_lowercase(), port))
}

fn default_port(is_https: bool) -> u16 {
    if is_https { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(listen: &str, host: &str, origin: Option<&str>) -> bool {
        let allowed = vec![Origin::parse("https://friend.example").unwrap()];
        let origins = Origins::new(allowed, listen.parse().unwrap());
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        origins.admit(&headers)
    }

    #[test]
    fn the_table_of_origins() {
        let public = "0.0.0.0:9292";
        let loopback = "127.0.0.1:9292";
        for (listen, host, origin, expected) in [
            (public, "chat.example", None, true),
            (public, "chat.example", Some("https://chat.example"), true),
            (public, "chat.example", Some("http://chat.example"), true),
            (public, "CHAT.example:443", Some("https://chat.example"), true),
            (public, "chat.example:9292", Some("http://chat.example:9292"), true),
            (public, "chat.example:9292", Some("http://chat.example"), false),
            (public, "chat.example", Some("http://chat.example:9292"), false),
            (public, "chat.example", Some("https://friend.example"), true),
            (public, "chat.example", Some("http://friend.example"), false),
            (public, "chat.example", Some("https://friend.example:444"), false),
            (public, "chat.example", Some("https://friend.example.evil.example"), false),
            (public, "chat.example", Some("https://evil.example"), false),
            (public, "chat.example", Some("null"), false),
            (public, "chat.example", Some(""), false),
            (public, "chat.example", Some("https://chat.example@evil.example"), false),
            (public, "chat.example", Some("http://localhost:3000"), false),
            (public, "localhost:9292", Some("http://localhost:3000"), false),
            (loopback, "localhost:9292", Some("http://localhost:3000"), true),
            (loopback, "localhost:9292", Some("http://127.0.0.1:8080"), true),
            (loopback, "127.0.0.1:9292", Some("http://[::1]:80"), true),
            (loopback, "localhost:9292", Some("http://localhost.evil.example"), false),
            (loopback, "localhost:9292", Some("https://evil.example"), false),
            ("[::1]:9292", "[::1]:9292", Some("http://localhost:9292"), true),
        ] {
            assert_eq!(admits(listen, host, origin), expected, "{listen} {host} {origin:?}");
        }
    }

    #[test]
    fn two_origins_are_none() {
        let origins = Origins::new(vec![], "0.0.0.0:1".parse().unwrap());
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "a.example".parse().unwrap());
        headers.append(ORIGIN, "http://a.example".parse().unwrap());
        headers.append(ORIGIN, "http://a.example".parse().unwrap());
        assert!(!origins.admit(&headers));
    }

    #[test]
    fn what_is_no_origin_of_the_web_is_refused() {
        for text in
            ["example.org", "ws://example.org", "https://", "https://a/b", "https://a/", "https://a:x", "*"]
        {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }
}
