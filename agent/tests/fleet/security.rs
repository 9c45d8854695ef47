//! Who may do what: TLS, client certificates, passwords, and the roles of examples/fleet/roles.sh.

use std::path::Path;
use std::process::Command;

use dynix_agent::config;
use dynix_agent::etcd::client::Client;
use dynix_agent::etcd::error::Error;

use crate::engine::{Engine, Security, fleet, is_here, skip};

const ROLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/fleet/roles.sh");

/// Runs `openssl` in a directory.
fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl").current_dir(directory).args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority, and certificates of these names by it.
fn certificates(directory: &Path, names: &[&str]) {
    let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    openssl(directory, &format!("{new} -keyout ca.key -out ca.pem -subj /CN=authority"));
    openssl(directory, &format!("{new} -keyout other.key -out other.pem -subj /CN=other"));
    std::fs::write(directory.join("extensions"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n").unwrap();
    for name in names {
        let request = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        openssl(directory, &format!("{request} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        let sign = "x509 -req -days 2 -CA ca.pem -CAkey ca.key -CAcreateserial -extfile extensions";
        openssl(directory, &format!("{sign} -in {name}.csr -out {name}.pem"));
    }
}

fn config(engine: &Engine, directory: &Path, name: Option<&str>) -> config::Etcd {
    let at = |file: String| Some(camino::Utf8PathBuf::from_path_buf(directory.join(file)).unwrap());
    config::Etcd {
        certificate_authority: at("ca.pem".into()),
        certificate: name.and_then(|name| at(format!("{name}.pem"))),
        key: name.and_then(|name| at(format!("{name}.key"))),
        ..engine.config()
    }
}

fn fleet_as(engine: &Engine, directory: &Path, who: &str, arguments: &[&str]) -> (i32, String) {
    let mut command = crate::cli::command(engine);
    for (variable, file) in [("CA", "ca.pem".to_owned()), ("CERT", format!("{who}.pem")), ("KEY", format!("{who}.key"))]
    {
        command.env(format!("DYNIX_FLEET_{variable}"), directory.join(file));
    }
    let output = command.args(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn certificates_name_who_asks_and_roles_say_what_they_may() {
    if !is_here() {
        return;
    }
    if Command::new("openssl").arg("version").output().is_err() {
        return skip("fleets with TLS: there is no openssl");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    certificates(path, &["server", "root", "web1", "alice", "olga", "stranger"]);
    let file = |name: &str| path.join(name).to_str().unwrap().to_owned();
    let arguments = [
        "--cert-file",
        &file("server.pem"),
        "--key-file",
        &file("server.key"),
        "--client-cert-auth",
        "--trusted-ca-file",
        &file("ca.pem"),
    ];
    let security = Security { arguments: arguments.map(str::to_owned).to_vec(), is_tls: true };
    let engine = Engine::with(1, security);
    let roles = |arguments: &[&str]| {
        let mut command = Command::new("sh");
        command.arg(ROLES).arg("test").args(arguments);
        command.env("ETCDCTL_ENDPOINTS", engine.endpoints().join(",")).env("ETCDCTL_CACERT", file("ca.pem"));
        let output =
            command.env("ETCDCTL_CERT", file("root.pem")).env("ETCDCTL_KEY", file("root.key")).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    for arguments in [&["fleet"][..], &["host", "web1", "web"], &["admin", "alice", "web"], &["owner", "olga"], &["on"]]
    {
        roles(arguments);
    }
    let may = |who: &str, arguments: &[&str]| fleet_as(&engine, path, who, arguments);
    assert_eq!(may("olga", &["set", "a", "1", "--all"]), (0, String::new()));
    assert_eq!(may("alice", &["set", "b", "2", "--group", "web"]), (0, String::new()));
    assert_eq!(may("alice", &["undo"]), (0, String::new()));
    for (who, arguments) in [
        ("alice", ["set", "b", "2", "--all", "--string"]),
        ("alice", ["set", "b", "2", "--group", "db"]),
        ("web1", ["set", "b", "2", "--group", "web"]),
        ("web1", ["set", "b", "2", "--host", "web1"]),
        ("stranger", ["set", "b", "2", "--host", "web1"]),
    ] {
        let (code, said) = may(who, &arguments);
        assert_eq!(
            (code, said.starts_with("error: etcd does not allow it: ")),
            (1, true),
            "{who} {arguments:?}: {said}"
        );
    }
    // A host reads what is for it and writes its report, and neither what is for others nor their reports.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let web1 = Client::new(&config(&engine, path, Some("web1")), "t").unwrap();
        for allowed in ["all/", "groups/web/", "hosts/web1/"] {
            web1.all(&format!("/dynix/test/{allowed}")).await.unwrap();
        }
        for denied in ["groups/db/", "hosts/web2/", "hosts/web10/", "reports/", "rollouts/", ""] {
            let answer = web1.all(&format!("/dynix/test/{denied}")).await;
            assert!(matches!(answer, Err(Error::Denied(_))), "{denied}: {answer:?}");
        }
        let report = |host: &str| crate::engine::put(&fleet().report(host), "{}");
        let write = async |host: &str| {
            let request = dynix_agent::etcd::message::TxnRequest { success: vec![report(host)], ..Default::default() };
            web1.transaction(request).await
        };
        write("web1").await.unwrap();
        assert!(matches!(write("web2").await, Err(Error::Denied(_))));
        // Nobody without a certificate, nor an etcd that the authority does not vouch for.
        let nobody = Client::new(&config(&engine, path, None), "t").unwrap();
        assert!(matches!(nobody.get("/").await, Err(Error::Unreachable(_))));
        let mut wrong = config(&engine, path, Some("web1"));
        wrong.certificate_authority = camino::Utf8PathBuf::from_path_buf(path.join("other.pem")).ok();
        assert!(matches!(Client::new(&wrong, "t").unwrap().get("/").await, Err(Error::Unreachable(_))));
    });
}

#[test]
fn a_password_is_a_way_in_and_its_token_is_renewed() {
    if !is_here() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // A token is over after a second without use.
    let security = Security { arguments: ["--auth-token-ttl", "1"].map(str::to_owned).to_vec(), is_tls: false };
    let mut engine = Engine::with(1, security);
    for arguments in [
        &["user", "add", "root:secret"][..],
        &["user", "grant-role", "root", "root"],
        &["user", "add", "bob:pass word"],
        &["role", "add", "look"],
        &["role", "grant-permission", "look", "--prefix=true", "read", "/dynix/test/"],
        &["user", "grant-role", "bob", "look"],
        &["auth", "enable"],
    ] {
        engine.etcdctl(arguments);
    }
    let write = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).unwrap();
        camino::Utf8PathBuf::from_path_buf(directory.path().join(name)).ok()
    };
    let with = |password: &str| config::Etcd {
        user_file: write("user", "bob\n"),
        password_file: write("password", password),
        ..engine.config()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The files are read when a client is made.
    let [bob, mallory] = ["pass word\n", "wrong"].map(|password| {
        let _inside = runtime.enter();
        Client::new(&with(password), "t").unwrap()
    });
    runtime.block_on(async {
        bob.all("/dynix/test/").await.unwrap();
        assert!(matches!(bob.all("/dynix/other/").await, Err(Error::Denied(_))));
        assert!(matches!(mallory.all("/dynix/test/").await, Err(Error::Denied(_))));
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
        bob.all("/dynix/test/").await.unwrap();
    });
    // The one who gave the token forgets it.
    engine.kill(0);
    engine.start(0);
    runtime.block_on(async {
        let start = std::time::Instant::now();
        while let Err(error) = bob.all("/dynix/test/").await {
            assert!(matches!(error, Error::Unreachable(_)), "{error}");
            assert!(start.elapsed() < crate::engine::PATIENCE);
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    });
}
