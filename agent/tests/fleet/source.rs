//! etcd as a source: what a host gets to hear.

use dynix_agent::etcd::floor;
use dynix_agent::etcd::source;
use dynix_agent::sources::{Event, Identity, Layer, With};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, PATIENCE, client, delete, fleet, is_here, put, write};

/// A source that runs, and what it says.
struct Heard {
    events: mpsc::Receiver<Event>,
    cancel: CancellationToken,
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

fn state(directory: &tempfile::TempDir) -> camino::Utf8PathBuf {
    camino::Utf8PathBuf::from_path_buf(directory.path().join("state")).unwrap()
}

impl Heard {
    fn of(engine: &Engine, directory: &tempfile::TempDir) -> Self {
        let (sender, events) = mpsc::channel(16);
        let cancel = CancellationToken::new();
        let identity = Identity {
            source: "fleet".to_owned(),
            host: "web1".to_owned(),
            groups: vec!["web".to_owned(), "eu".to_owned()],
            state: state(directory),
            runtime: state(directory),
        };
        let client = client(engine);
        let stop = cancel.clone();
        tokio::spawn(async move { source::run(client, &fleet(), identity, sender, stop).await });
        Self { events, cancel }
    }

    async fn next(&mut self) -> Event {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("it says nothing").unwrap()
    }

    /// The next layer, whatever trouble there is before it.
    async fn layer(&mut self) -> Layer {
        loop {
            if let Event::Layer(layer) = self.next().await {
                return layer;
            }
        }
    }

    async fn trouble(&mut self) -> (With, String) {
        match self.next().await {
            Event::Trouble { with, reason } => (with, reason),
            other => panic!("{other:?}"),
        }
    }
}

fn entry(value: &Value) -> String {
    json!({ "value": value, "by": "alice", "message": "m" }).to_string()
}

const ALL: &str = "/dynix/test/all/";
const WEB: &str = "/dynix/test/groups/web/";
const HOST: &str = "/dynix/test/hosts/web1/";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_one_layer_and_later_targets_win() {
    if !is_here() {
        return;
    }
    let engine = tokio::task::block_in_place(|| Engine::new(1));
    let (client, directory) = (client(&engine), tempfile::tempdir().unwrap());
    let mut heard = Heard::of(&engine, &directory);
    assert_eq!(
        heard.layer().await,
        Layer { revision: "0".into(), by: None, message: None, values: json!({}).as_object().unwrap().clone() }
    );
    let revision = write(
        &client,
        vec![
            put(&format!("{ALL}a.b"), &entry(&json!(1))),
            put(&format!("{ALL}a.c"), &entry(&json!(1))),
            put(&format!("{WEB}a.c"), &entry(&json!(2))),
            put("/dynix/test/groups/eu/a.d.\"x.y/z\"", &entry(&json!("eu"))),
            put(&format!("{HOST}a.b"), &entry(&json!(null))),
            // Not for this host.
            put("/dynix/test/hosts/web10/a.b", &entry(&json!(9))),
            put("/dynix/test/groups/webs/a.b", &entry(&json!(9))),
            put("/dynix/test2/all/a.b", &entry(&json!(9))),
        ],
    )
    .await;
    let layer = heard.layer().await;
    assert_eq!(Value::Object(layer.values), json!({"a": {"b": null, "c": 2, "d": {"x.y/z": "eu"}}}));
    assert_eq!(
        (layer.revision, layer.by.as_deref(), layer.message.as_deref()),
        (revision.to_string(), Some("alice"), Some("m"))
    );
    // One goes, one comes, and there are as many as before.
    let note = json!({"by": "bob", "message": "gone"}).to_string();
    let ops = vec![
        delete(&format!("{ALL}a.b")),
        put(&format!("{ALL}a.e"), &entry(&json!(3))),
        put(&format!("{ALL}@change"), &note),
    ];
    let revision = write(&client, ops).await;
    let layer = heard.layer().await;
    assert_eq!(Value::Object(layer.values), json!({"a": {"b": null, "c": 2, "d": {"x.y/z": "eu"}, "e": 3}}));
    assert_eq!((layer.revision, layer.by.as_deref()), (revision.to_string(), Some("bob")));
    let revision = write(&client, vec![delete(&format!("{HOST}a.b"))]).await;
    let layer = heard.layer().await;
    assert_eq!(layer.values["a"], json!({"c": 2, "d": {"x.y/z": "eu"}, "e": 3}));
    assert_eq!((layer.revision, layer.by), (revision.to_string(), None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_makes_an_override_that_ends() {
    if !is_here() {
        return;
    }
    let engine = tokio::task::block_in_place(|| Engine::new(1));
    let directory = tempfile::tempdir().unwrap();
    let mut heard = Heard::of(&engine, &directory);
    heard.layer().await;
    let granted = engine.etcdctl(&["lease", "grant", "2"]);
    let lease = granted.split_ascii_whitespace().nth(1).unwrap();
    engine.etcdctl(&["put", &format!("{ALL}a"), &entry(&json!(1)), "--lease", lease]);
    assert_eq!(Value::Object(heard.layer().await.values), json!({"a": 1}));
    assert_eq!(Value::Object(heard.layer().await.values), json!({}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_layer_is_refused_by_its_key_and_the_host_keeps_what_it_has() {
    if !is_here() {
        return;
    }
    let engine = tokio::task::block_in_place(|| Engine::new(1));
    let (client, directory) = (client(&engine), tempfile::tempdir().unwrap());
    let mut heard = Heard::of(&engine, &directory);
    heard.layer().await;
    let large = json!({"value": "x".repeat(1_400_000)}).to_string();
    let mut said = Vec::new();
    for (key, value) in [
        ("a b", entry(&json!(1))),
        ("a", "{\"value\": 1".to_owned()),
        ("a", "{\"vlaue\": 1}".to_owned()),
        ("a", "{\"value\": 123456789012345678901234567890}".to_owned()),
        ("a.b", large),
        ("@wave", "{}".to_owned()),
    ] {
        let revision = write(&client, vec![put(&format!("{WEB}{key}"), &value)]).await;
        let (of, reason) = heard.trouble().await;
        assert_eq!(of, With::Revision(revision.to_string()));
        said.push(reason);
        write(&client, vec![delete(&format!("{WEB}{key}"))]).await;
        assert_eq!(Value::Object(heard.layer().await.values), json!({}));
    }
    let both = vec![put(&format!("{WEB}a"), &entry(&json!(1))), put(&format!("{WEB}a.b"), &entry(&json!(1)))];
    write(&client, both).await;
    said.push(heard.trouble().await.1);
    insta::assert_snapshot!(said.join("\n"));
    // etcd itself takes no more than 1.5 MB, and says so.
    let error = client
        .transaction(dynix_agent::etcd::message::TxnRequest {
            success: vec![put(&format!("{WEB}c"), &"x".repeat(1_600_000))],
            ..Default::default()
        })
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "etcd takes no request of this size: request is too large");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_by_compaction_or_an_outage_and_nothing_comes_twice() {
    if !is_here() {
        return;
    }
    let mut engine = tokio::task::block_in_place(|| Engine::new(1));
    let (client, directory) = (client(&engine), tempfile::tempdir().unwrap());
    let mut heard = Heard::of(&engine, &directory);
    heard.layer().await;
    tokio::task::block_in_place(|| engine.kill(0));
    let (with, reason) = heard.trouble().await;
    assert!(with == With::Reach && reason.starts_with("etcd can't be reached: "), "{reason}");
    // The agent is not there while changes come and go, and are compacted.
    drop(heard);
    tokio::task::block_in_place(|| {
        engine.start(0);
        engine.answers();
    });
    for value in 0..20 {
        write(
            &client,
            vec![put(&format!("{ALL}a"), &entry(&json!(value))), put(&format!("{ALL}b{value}"), &entry(&json!(1)))],
        )
        .await;
        write(&client, vec![delete(&format!("{ALL}b{value}"))]).await;
    }
    let last = write(&client, vec![put(&format!("{ALL}c"), &entry(&json!(1)))]).await;
    client.compact(last).await.unwrap();
    let mut heard = Heard::of(&engine, &directory);
    let layer = heard.layer().await;
    assert_eq!(Value::Object(layer.values), json!({"a": 19, "c": 1}));
    assert_eq!(layer.revision, last.to_string());
    // It is down while it is watched: what was written meanwhile comes, and only that.
    tokio::task::block_in_place(|| engine.kill(0));
    heard.trouble().await;
    tokio::task::block_in_place(|| engine.start(0));
    let last = write(&client, vec![put(&format!("{ALL}a"), &entry(&json!(20)))]).await;
    let layer = loop {
        // Where it is back before the write, that comes first, as it was.
        let layer = heard.layer().await;
        if layer.revision == last.to_string() {
            break layer;
        }
        assert_eq!(Value::Object(layer.values), json!({"a": 19, "c": 1}));
    };
    assert_eq!(Value::Object(layer.values), json!({"a": 20, "c": 1}));
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    while let Ok(event) = heard.events.try_recv() {
        // Whether etcd was there all the time is another matter.
        assert!(matches!(event, Event::Trouble { .. }), "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_etcd_or_another_one_is_refused_until_it_is_accepted() {
    if !is_here() {
        return;
    }
    let mut engine = tokio::task::block_in_place(|| Engine::new(1));
    let (client, directory) = (client(&engine), tempfile::tempdir().unwrap());
    let mut heard = Heard::of(&engine, &directory);
    heard.layer().await;
    write(&client, vec![put(&format!("{ALL}a"), &entry(&json!(1)))]).await;
    heard.layer().await;
    drop(heard);
    // Somebody makes a backup, and goes on.
    tokio::task::block_in_place(|| {
        engine.kill(0);
        engine.copy("m0", "backup");
        engine.start(0);
        engine.answers();
    });
    let mut heard = Heard::of(&engine, &directory);
    heard.layer().await;
    let newest = write(&client, vec![put(&format!("{ALL}a"), &entry(&json!(2)))]).await;
    assert_eq!(heard.layer().await.revision, newest.to_string());
    // The old state comes back, and looks new to who does not remember.
    tokio::task::block_in_place(|| {
        engine.kill(0);
        engine.copy("backup", "m0");
        engine.start(0);
        engine.answers();
    });
    let reason = loop {
        let (with, reason) = heard.trouble().await;
        assert_eq!(with == With::Reach, reason.starts_with("etcd can't be reached"), "{reason}");
        if with == With::Source {
            break reason;
        }
    };
    assert!(
        reason.starts_with(&format!("etcd is at revision {}, and was at {newest} before: ", newest - 1)),
        "{reason}"
    );
    // What is written to it makes it no newer, also for an agent that starts by then.
    for value in 0..3 {
        assert!(write(&client, vec![put(&format!("{WEB}b"), &entry(&json!(value)))]).await >= newest);
    }
    drop(heard);
    let mut heard = Heard::of(&engine, &directory);
    assert_eq!(heard.trouble().await, (With::Source, reason));
    assert!(floor::forget(&state(&directory)).unwrap());
    assert_eq!(Value::Object(heard.layer().await.values), json!({"a": 1, "b": 2}));
    drop(heard);
    // Another one altogether, which is ahead.
    tokio::task::block_in_place(|| engine.kill(0));
    let other = tokio::task::block_in_place(|| Engine::new(1));
    let theirs = crate::engine::client(&other);
    for _ in 0..10 {
        write(&theirs, vec![put(&format!("{ALL}a"), &entry(&json!(3)))]).await;
    }
    let mut heard = Heard::of(&other, &directory);
    let (with, reason) = heard.trouble().await;
    assert_eq!(with, With::Source);
    // Every etcd of one member on these ports would have the same number: it is made of their names.
    assert!(reason.starts_with("this is another etcd ("), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_lost_or_frozen_or_led_the_others_is_no_outage() {
    if !is_here() {
        return;
    }
    let mut engine = tokio::task::block_in_place(|| Engine::new(3));
    let (client, directory) = (client(&engine), tempfile::tempdir().unwrap());
    let mut heard = Heard::of(&engine, &directory);
    heard.layer().await;
    for round in 0..3 {
        // Each of them once, so the leader and the one that is watched are among them.
        tokio::task::block_in_place(|| if round == 1 { engine.freeze(round, true) } else { engine.kill(round) });
        let revision = write(&client, vec![put(&format!("{ALL}a"), &entry(&json!(round)))]).await;
        loop {
            let layer = heard.layer().await;
            if layer.revision == revision.to_string() {
                assert_eq!(Value::Object(layer.values), json!({ "a": round }));
                break;
            }
        }
        tokio::task::block_in_place(|| if round == 1 { engine.freeze(round, false) } else { engine.start(round) });
        tokio::task::block_in_place(|| engine.answers());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_answers_and_is_no_etcd_is_trouble_and_no_layer() {
    use std::io::Write as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        }
    });
    let directory = tempfile::tempdir().unwrap();
    let (sender, events) = mpsc::channel(16);
    let cancel = CancellationToken::new();
    let config = dynix_agent::config::Etcd {
        endpoints: vec![format!("http://127.0.0.1:{port}")],
        fleet: "test".into(),
        certificate_authority: None,
        certificate: None,
        key: None,
        user_file: None,
        password_file: None,
        lease: 5,
        drive: false,
    };
    let client = dynix_agent::etcd::client::Client::new(&config, "t").unwrap();
    let identity = Identity {
        source: "fleet".into(),
        host: "web1".into(),
        groups: Vec::new(),
        state: state(&directory),
        runtime: state(&directory),
    };
    let stop = cancel.clone();
    tokio::spawn(async move { source::run(client, &fleet(), identity, sender, stop).await });
    let mut heard = Heard { events, cancel };
    let (with, reason) = heard.trouble().await;
    assert!(!matches!(with, With::Revision(_)) && reason.starts_with("etcd"), "{reason}");
}
