//! Digest authentication against Apache's `mod_auth_digest`, if `apache2` is installed.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use jaquard::http::digest::{Credentials, Digest, Next, Refusal, Signed};
use md5::{Digest as _, Md5};

const REALM: &str = "Test \"API\"";
const USERS: [(&str, &str); 2] = [("mufasa", "Circle of Life"), ("quo\"te", "a\"b\\c")];

struct Apache {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Drop for Apache {
    fn drop(&mut self) {
        // one process without children, because of `-X`
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the event is in another process, or is time itself")]
fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

fn config(folder: &Path, port: u16) -> String {
    let modules = Path::new("/usr/lib/apache2/modules");
    let load: String = ["mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_digest"]
        .iter()
        .map(|name| format!("LoadModule {name}_module {}/mod_{name}.so\n", modules.display()))
        .collect();
    let user = match std::fs::metadata("/proc/self").unwrap().uid() {
        0 => "User #65534\nGroup #65534\n",
        _ => "",
    };
    let folder = folder.display();
    let place = |path: &str, more: &str| {
        format!(
            "<Location {path}>\nAuthType Digest\nAuthName {REALM:?}\nAuthDigestProvider file\n\
             AuthUserFile {folder}/users\nRequire valid-user\n{more}\n</Location>\n"
        )
    };
    format!(
        "ServerRoot {folder}\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile {folder}/pid\n\
         ErrorLog {folder}/error.log\nDocumentRoot {folder}/www\nDefaultRuntimeDir {folder}\n{load}{user}{}{}",
        place("/long.json", ""),
        place("/short.json", "AuthDigestNonceLifetime 1"),
    )
}

fn start() -> Option<Apache> {
    let program = Path::new("/usr/sbin/apache2");
    if !program.exists() {
        eprintln!("SKIPPED: {} is not installed", program.display());
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::create_dir(path.join("www")).unwrap();
    for name in ["long.json", "short.json"] {
        std::fs::write(path.join("www").join(name), "{}").unwrap();
    }
    let users: String = USERS
        .iter()
        .map(|(user, password)| {
            let hash = Md5::digest(format!("{user}:{REALM}:{password}"));
            let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{user}:{REALM}:{hex}\n")
        })
        .collect();
    std::fs::write(path.join("users"), users).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    std::fs::write(path.join("apache.conf"), config(path, port)).unwrap();
    let child = Command::new(program)
        .arg("-X")
        .arg("-f")
        .arg(path.join("apache.conf"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut apache = Apache { child, port, folder };
    let begin = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = apache.child.try_wait().unwrap();
        let log = || std::fs::read_to_string(apache.folder.path().join("error.log"));
        assert!(ended.is_none() && begin.elapsed() < Duration::from_secs(20), "{ended:?} {:?}", log());
        pause(20);
    }
    Some(apache)
}

impl Apache {
    fn request(&self, target: &str, authorization: Option<&HeaderValue>) -> (u16, HeaderMap) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let mut text =
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n").into_bytes();
        if let Some(value) = authorization {
            text.extend([b"Authorization: ", value.as_bytes(), b"\r\n"].concat());
        }
        text.extend(b"\r\n");
        stream.write_all(&text).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let mut lines = response.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map_while(|line| line.split_once(": "))
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect();
        (status, headers)
    }

    /// A request as a client makes it: its statuses, and the last signature or the refusal.
    fn get(&self, digest: &Digest, target: &str) -> (Vec<u16>, Result<Signed, Refusal>) {
        let mut statuses = Vec::new();
        for attempt in 1.. {
            let signed = digest.authorize("GET", target);
            let (status, headers) = self.request(target, signed.as_ref().map(Signed::value));
            statuses.push(status);
            match (status, signed) {
                (401, signed) => match digest.challenged(signed.as_ref(), &headers, attempt) {
                    Next::Retry => {}
                    Next::Refused(refusal) => return (statuses, Err(refusal)),
                },
                (_, Some(signed)) => {
                    digest.accepted(&signed, &headers);
                    return (statuses, Ok(signed));
                }
                (status, None) => panic!("{status} without authentication"),
            }
        }
        unreachable!()
    }
}

fn count(signed: &Signed) -> String {
    let text = signed.value().to_str().unwrap();
    text.split("nc=").nth(1).unwrap().chars().take(8).collect()
}

#[test]
fn apache_is_satisfied() {
    let Some(apache) = start() else { return };

    for (user, password) in USERS {
        let digest = Digest::new(Credentials::new(user, password));
        let (statuses, signed) = apache.get(&digest, "/long.json");
        assert_eq!((statuses, count(&signed.unwrap()).as_str()), (vec![401, 200], "00000001"));
        let (statuses, signed) = apache.get(&digest, "/long.json?a=b%20c&d[]=%22,e");
        assert_eq!((statuses, count(&signed.unwrap()).as_str()), (vec![200], "00000002"));
        let (statuses, signed) = apache.get(&digest, "/long.json");
        assert_eq!((statuses, count(&signed.unwrap()).as_str()), (vec![200], "00000003"));
    }

    for (user, password) in [("mufasa", "Circle Of Life"), ("nobody", "x")] {
        let digest = Digest::new(Credentials::new(user, password));
        for expected in [&[401, 401][..], &[401]] {
            let (statuses, refusal) = apache.get(&digest, "/long.json");
            assert_eq!(statuses, expected);
            assert_eq!(refusal.unwrap_err(), Refusal::Credentials { user: user.to_owned() });
        }
    }

    // one nonce for many at once
    let digest = Digest::new(Credentials::new(USERS[0].0, USERS[0].1));
    apache.get(&digest, "/long.json").1.unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert_eq!(apache.get(&digest, "/long.json").0, [200]);
                }
            });
        }
    });
    assert_eq!(count(&apache.get(&digest, "/long.json").1.unwrap()), "00000052");

    // a nonce that expires, for many at once too
    let digest = Digest::new(Credentials::new(USERS[0].0, USERS[0].1));
    assert_eq!(apache.get(&digest, "/short.json").0, [401, 200]);
    let signed = digest.authorize("GET", "/short.json").unwrap();
    pause(2500);
    let (status, headers) = apache.request("/short.json", Some(signed.value()));
    let challenge = headers["www-authenticate"].to_str().unwrap();
    assert!(status == 401 && challenge.contains("stale=true"), "{status} {challenge}");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let (statuses, result) = apache.get(&digest, "/short.json");
                result.unwrap();
                assert!(statuses == [401, 200] || statuses == [200], "{statuses:?}");
            });
        }
    });
}
