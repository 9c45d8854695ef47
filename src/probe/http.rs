//! The part of HTTP/1.1 (RFC 9112) that a probe needs: one GET, and the status of its answer. No TLS, no redirects.
//!
//! A whole client would be many times the size, and the program has no other use for it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::{self as probe, Objection};

/// Most bytes of an answer that are read: the status line is its first.
const MOST: usize = 4096;

/// An `http://` URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url<'u> {
    /// `HOST:PORT`, to connect to.
    pub address: String,
    /// The part between `http://` and the path.
    authority: &'u str,
    /// The path and the query.
    target: &'u str,
}

impl<'u> Url<'u> {
    /// Reads `http://HOST[:PORT][/PATH][?QUERY]`; why it is none.
    pub fn parse(text: &'u str) -> Result<Self, String> {
        let no_url = |why: &str| Err(format!("{text:?} is not http://HOST[:PORT]/PATH: {why}"));
        let Some(rest) = text.strip_prefix("http://") else {
            return no_url("it does not start with http://; for anything else, use a command");
        };
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return no_url("it has characters other than those of a URL; encode them");
        }
        if rest.contains(['#', '@']) {
            return no_url("a fragment or a user is nothing that a probe could send");
        }
        let (authority, target) = match rest.find(['/', '?']) {
            Some(end) => rest.split_at(end),
            None => (rest, "/"),
        };
        let host_ends = authority.rfind(']').map_or(0, |end| end + 1);
        let (host, port) = match authority[host_ends..].rfind(':') {
            Some(colon) => (&authority[..host_ends + colon], &authority[host_ends + colon + 1..]),
            None => (authority, "80"),
        };
        match port.parse::<u16>() {
            Ok(port) if port > 0 && !host.is_empty() => {
                Ok(Self { address: format!("{host}:{port}"), authority, target })
            }
            Ok(_) if host.is_empty() => no_url("it has no host"),
            _ => no_url("its port is not one of 1 to 65535"),
        }
    }

    fn request(&self) -> String {
        let slash = if self.target.starts_with('/') { "" } else { "/" };
        format!(
            "GET {slash}{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: dynix\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            self.target, self.authority
        )
    }
}

/// Asks for `url` until `end`. It succeeds if the status is 2xx; the error says why not.
pub fn get(url: &str, end: Instant) -> Result<(), Objection> {
    let url = Url::parse(url).map_err(Objection::Unable)?;
    let stream = probe::connect(&url.address, end)?;
    ask(&url, stream, end).map_err(Objection::No)
}

fn ask(url: &Url<'_>, mut stream: TcpStream, end: Instant) -> Result<(), String> {
    let fault = |error: std::io::Error| format!("{}: {error}", url.address);
    stream.set_write_timeout(Some(probe::left(end))).map_err(fault)?;
    stream.write_all(url.request().as_bytes()).map_err(fault)?;
    let mut answer = Vec::new();
    let mut chunk = [0; 512];
    while !answer.contains(&b'\n') && answer.len() < MOST {
        // Checked at each read, so that a server that sends a byte now and then can't make this last for ever.
        if Instant::now() >= end {
            return Err(format!("{}: no whole answer in time", url.address));
        }
        stream.set_read_timeout(Some(probe::left(end))).map_err(fault)?;
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(fault(error)),
        }
    }
    match status(&answer) {
        Some(200..=299) => Ok(()),
        Some(status) => Err(format!("{}: it answers with status {status}", url.address)),
        None => Err(format!("{}: what it answers is not HTTP", url.address)),
    }
}

/// The status of an answer (RFC 9112, 4).
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\n').next()?;
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let (b' ', digits) = (*rest.get(1)?, rest.get(2..5)?) else { return None };
    let ends = rest.get(5).is_none_or(|byte| matches!(byte, b' ' | b'\r'));
    if !ends || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let parts = |text: &'static str| Url::parse(text).map(|url| (url.address, url.authority, url.target));
        assert_eq!(
            parts("http://localhost:9090/-/ready"),
            Ok(("localhost:9090".to_owned(), "localhost:9090", "/-/ready"))
        );
        assert_eq!(parts("http://a?b=c/d"), Ok(("a:80".to_owned(), "a", "?b=c/d")));
        assert_eq!(parts("http://[::1]:80"), Ok(("[::1]:80".to_owned(), "[::1]:80", "/")));
        assert_eq!(parts("http://[::1]/"), Ok(("[::1]:80".to_owned(), "[::1]", "/")));
        for bad in [
            "https://a/",
            "a",
            "",
            "http://",
            "http:///x",
            "http://a:0/",
            "http://a:x/",
            "http://a:65536/",
            "http://:80/",
            "http://a/ b",
            "http://a/\r\nX: y",
            "http://a/ä",
            "http://u@a/",
            "http://a/#x",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_a_status_line_has_a_status() {
        assert_eq!(status(b"HTTP/1.1 204 No Content\r\nX: y"), Some(204));
        assert_eq!(status(b"HTTP/1.0 503\r\n"), Some(503));
        for bad in [&b""[..], b"HTTP/1.1", b"HTTP/1.1 2", b"HTTP/1.1 2000 OK", b"HTTP/2 200 OK", b"SSH-2.0-x\r\n"] {
            assert_eq!(status(bad), None, "{bad:?}");
        }
    }

    /// Answers once with `answer`, a byte each `pause`; what it was asked.
    fn answered(answer: &'static [u8], pause: Duration) -> (Result<(), Objection>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/ready?x=1", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 1000];
            let length = stream.read(&mut request).unwrap();
            for byte in answer {
                std::thread::sleep(pause);
                if stream.write_all(&[*byte]).is_err() {
                    break;
                }
            }
            String::from_utf8(request[..length].to_vec()).unwrap()
        });
        let verdict = get(&url, Instant::now() + Duration::from_millis(500));
        (verdict, server.join().unwrap())
    }

    #[test]
    fn a_good_status_is_healthy_and_no_other() {
        let (verdict, request) = answered(b"HTTP/1.1 200 OK\r\n\r\n", Duration::ZERO);
        assert_eq!(verdict, Ok(()));
        assert!(request.starts_with("GET /ready?x=1 HTTP/1.1\r\nHost: 127.0.0.1:"), "{request}");
        for (answer, fault) in [
            (&b"HTTP/1.1 503 Busy\r\n\r\n"[..], "status 503"),
            (b"HTTP/1.1 302 Found\r\n\r\n", "status 302"),
            (b"hello\n", "not HTTP"),
            (b"", "not HTTP"),
        ] {
            let (verdict, _) = answered(answer, Duration::ZERO);
            let is_named = matches!(&verdict, Err(Objection::No(error)) if error.contains(fault));
            assert!(is_named, "{verdict:?}");
        }
    }

    #[test]
    fn an_answer_that_trickles_in_ends_at_the_deadline() {
        let began = Instant::now();
        let (verdict, _) = answered(b"HTTP/1.1 200 OK and a long reason after it", Duration::from_millis(50));
        assert!(verdict.is_err(), "{verdict:?}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}
