//! A small web server that runs git-http-backend, as any web server with CGI does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use camino::Utf8PathBuf;

use crate::support::run;

/// The server; its thread ends with the process of the tests.
pub struct Web {
    pub url: String,
    /// Bytes of replies.
    pub sent: Arc<AtomicU64>,
}

/// Whether git-http-backend is there.
pub fn backend() -> Option<Utf8PathBuf> {
    let path = Utf8PathBuf::from(run("git", &["--exec-path"]).trim()).join("git-http-backend");
    path.exists().then_some(path)
}

/// Serves the repositories below a directory. `password`: what has to be in the Authorization header.
pub fn serve(backend: Utf8PathBuf, root: Utf8PathBuf, authorization: Option<String>) -> Web {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (backend, root, authorization, count) =
                (backend.clone(), root.clone(), authorization.clone(), Arc::clone(&count));
            // A client that leaves early is its own matter.
            std::thread::spawn(move || drop(answer(stream, &backend, &root, authorization.as_deref(), &count)));
        }
    });
    Web { url, sent }
}

fn answer(
    stream: TcpStream,
    backend: &Utf8PathBuf,
    root: &Utf8PathBuf,
    authorization: Option<&str>,
    count: &AtomicU64,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut command = Command::new(backend);
    command.env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1").env("REMOTE_ADDR", "127.0.0.1");
    command.env("REQUEST_METHOD", method).env("PATH_INFO", path).env("QUERY_STRING", query);
    command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "safe.directory").env("GIT_CONFIG_VALUE_0", "*");
    let (mut length, mut may) = (0, authorization.is_none());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "content-type" => drop(command.env("CONTENT_TYPE", value)),
            "content-encoding" => drop(command.env("HTTP_CONTENT_ENCODING", value)),
            "git-protocol" => drop(command.env("GIT_PROTOCOL", value)),
            "authorization" => may = may || Some(value) == authorization,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut stream = stream;
    if !may {
        return stream.write_all(
            b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    }
    command.env("CONTENT_LENGTH", length.to_string());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || drop(input.write_all(&body)));
    let mut output = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut output)?;
    writer.join().unwrap();
    child.wait()?;
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(0);
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK").to_owned();
    let body = &output[end + 4..];
    count.fetch_add(body.len() as u64, Ordering::Relaxed);
    write!(stream, "HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    stream.write_all(body)
}
