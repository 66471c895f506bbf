//! One request over HTTP/1 and its answer, without sockets.

use ant_cache_core::settings::Settings;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The longest head of a request, in bytes. A browser sends a few hundred.
pub(super) const MAX_HEAD: usize = 8 << 10;

/// Most headers of a request.
const MAX_HEADERS: usize = 64;

/// The page that draws the figures; it loads nothing but them.
const PAGE: &str = include_str!("page.html");

/// What there is to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// `/`: the page.
    Page,
    /// `/metrics`: the figures.
    Metrics,
    /// `/healthz`: that the process answers.
    Health,
    /// `/readyz`: whether it serves.
    Readiness,
}

/// What came of a request's head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// It is not complete yet.
    More,
    /// For this. `bodiless`: by HEAD, which wants the headers alone.
    For { resource: Resource, bodiless: bool },
    /// Nothing that can be had: the answer to it.
    Refused(Answer),
}

/// A response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    status: &'static str,
    kind: &'static str,
    header: &'static str,
    body: String,
}

impl Answer {
    pub(super) fn page() -> Self {
        Self {
            status: "200 OK",
            kind: "text/html; charset=utf-8",
            // Nothing from elsewhere, and nobody frames it.
            header: "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; \
                     script-src 'unsafe-inline'; connect-src 'self'; img-src data:; frame-ancestors 'none'\r\n",
            body: PAGE.to_owned(),
        }
    }

    pub(super) fn metrics(body: String) -> Self {
        Self {
            kind: "text/plain; version=0.0.4; charset=utf-8",
            ..Self::plain("200 OK", body)
        }
    }

    pub(super) fn ok(body: &str) -> Self {
        Self::plain("200 OK", format!("{body}\n"))
    }

    pub(super) fn unavailable(why: &str) -> Self {
        Self::plain("503 Service Unavailable", format!("{why}\n"))
    }

    fn plain(status: &'static str, body: String) -> Self {
        Self {
            status,
            kind: "text/plain; charset=utf-8",
            header: "",
            body,
        }
    }

    fn refusal(status: &'static str) -> Self {
        Self::plain(status, format!("{status}\n"))
    }

    /// The bytes to send.
    pub(super) fn encode(&self, bodiless: bool) -> Vec<u8> {
        let Self {
            status,
            kind,
            header,
            body,
        } = self;
        let length = body.len();
        let mut bytes = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{header}\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        )
        .into_bytes();
        if !bodiless {
            bytes.extend_from_slice(body.as_bytes());
        }
        bytes
    }
}

/// Reads what has arrived of a request. `password`: whether figures are shown only to who knows the server's.
pub(super) fn read(bytes: &[u8], settings: &Settings, password: bool) -> Asked {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Asked::More,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Asked::Refused(Answer::refusal("431 Request Header Fields Too Large"));
        }
        Err(_) => return Asked::Refused(Answer::refusal("400 Bad Request")),
    }
    let bodiless = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => {
            return Asked::Refused(Answer {
                header: "Allow: GET, HEAD\r\n",
                ..Answer::refusal("405 Method Not Allowed")
            });
        }
    };
    let path = request.path.unwrap_or_default();
    let resource = match path.split('?').next().unwrap_or_default() {
        "/" => Resource::Page,
        "/metrics" => Resource::Metrics,
        "/healthz" => Resource::Health,
        "/readyz" => Resource::Readiness,
        _ => return Asked::Refused(Answer::refusal("404 Not Found")),
    };
    // Who only asks whether the server lives need not know the password: that is a machine.
    let open = matches!(resource, Resource::Health | Resource::Readiness);
    if password && !open && !knows_password(request.headers, settings) {
        return Asked::Refused(Answer {
            header: "WWW-Authenticate: Basic realm=\"ant-cache\", charset=\"UTF-8\"\r\n",
            ..Answer::refusal("401 Unauthorized")
        });
    }
    Asked::For { resource, bodiless }
}

/// Whether the request brings the server's password, under any name of a user.
fn knows_password(headers: &[httparse::Header<'_>], settings: &Settings) -> bool {
    let given = headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("Authorization"))
        .and_then(|header| {
            let (scheme, token) = str::from_utf8(header.value).ok()?.split_once(' ')?;
            let basic = scheme.eq_ignore_ascii_case("Basic");
            basic.then(|| STANDARD.decode(token.trim()).ok())?
        });
    let given = given.as_deref().unwrap_or_default();
    let colon = given.iter().position(|&byte| byte == b':');
    settings.admits(colon.map_or(&[], |colon| &given[colon + 1..]))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settings(password: Option<&str>) -> Settings {
        let settings = Settings::default();
        settings.set_password(password.map(Into::into));
        settings
    }

    fn status(asked: &Asked) -> &str {
        match asked {
            Asked::Refused(answer) => &answer.status[..3],
            Asked::More => "more",
            Asked::For { .. } => "for",
        }
    }

    #[test]
    fn resources_are_found() {
        let cases = [
            ("GET / HTTP/1.1\r\n\r\n", Resource::Page, false),
            (
                "GET /metrics?x=1 HTTP/1.0\r\n\r\n",
                Resource::Metrics,
                false,
            ),
            (
                "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
                Resource::Health,
                true,
            ),
            ("GET /readyz HTTP/1.1\n\n", Resource::Readiness, false),
        ];
        for (text, resource, bodiless) in cases {
            let asked = read(text.as_bytes(), &settings(None), false);
            assert_eq!(asked, Asked::For { resource, bodiless }, "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(MAX_HEAD));
        let many = format!(
            "GET / HTTP/1.1\r\n{}\r\n",
            "X: y\r\n".repeat(MAX_HEADERS + 1)
        );
        let cases = [
            ("GET /other HTTP/1.1\r\n\r\n", "404"),
            ("GET /metrics/ HTTP/1.1\r\n\r\n", "404"),
            ("GET http://x/metrics HTTP/1.1\r\n\r\n", "404"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
            ("PING\r\n", "400"),
            ("*1\r\n$4\r\nPING\r\n", "400"),
            ("GET / HTTP/2.0\r\n\r\n", "400"),
            ("\0\0\0", "400"),
            (&long, "431"),
            (&many, "431"),
            ("GET / HTTP/1.1\r\n", "more"),
            ("", "more"),
        ];
        for (text, expected) in cases {
            let asked = read(text.as_bytes(), &settings(None), false);
            assert_eq!(status(&asked), expected, "{}", &text[..text.len().min(40)]);
        }
    }

    #[test]
    fn figures_may_require_the_password() {
        let settings = settings(Some("hush:hush"));
        let with = |token: &str| {
            let text = format!("GET /metrics HTTP/1.1\r\nauthorization: {token}\r\n\r\n");
            status(&read(text.as_bytes(), &settings, true)).to_owned()
        };
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(with(&basic("anyone:hush:hush")), "for");
        assert_eq!(with(&basic(":hush:hush")), "for");
        for wrong in [
            basic("anyone:hush"),
            basic("hush:hush:"),
            basic("no colon"),
            "Basic ???".to_owned(),
            "Bearer aHVzaA==".to_owned(),
            String::new(),
        ] {
            assert_eq!(with(&wrong), "401", "{wrong}");
        }
        for (path, expected) in [
            ("/", "401"),
            ("/metrics", "401"),
            ("/healthz", "for"),
            ("/readyz", "for"),
        ] {
            let text = format!("GET {path} HTTP/1.1\r\n\r\n");
            assert_eq!(status(&read(text.as_bytes(), &settings, true)), expected);
        }
    }

    #[test]
    fn an_answer_says_how_long_it_is() {
        let answer = Answer::ok("ok");
        let text = String::from_utf8(answer.encode(false)).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\nok\n"));
        assert!(text.contains("Content-Length: 3\r\n"));
        assert!(answer.encode(true).ends_with(b"\r\n\r\n"));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes, &settings(Some("x")), true);
        }

        #[test]
        fn a_head_in_pieces_is_read_once_it_is_whole(cut in 0..44_usize) {
            let whole = b"GET /metrics HTTP/1.1\r\nHost: localhost:1\r\n\r\n";
            prop_assert_eq!(whole.len(), 44);
            prop_assert_eq!(read(&whole[..cut], &settings(None), false), Asked::More);
        }
    }
}
