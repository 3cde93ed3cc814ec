//! An object store: moto's server, which keeps objects in memory; and one that refuses.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Command,
    sync::atomic::Ordering,
};

use crate::{
    bed::Bed,
    cut::Line,
    exercise,
    servers::{Server, done, free_port, has},
};

const ACCESS: &str = "AKIAEXAMPLE0ACCESS42";
const SECRET: &str = "Object-Store-Secret-42-xyz";

fn declare(bed: &Bed, port: u16) {
    bed.secret("access", ACCESS);
    bed.secret("secret", SECRET);
    bed.declare(&format!(
        "{{ url: \"s3://records/site-a\", endpoint: \"http://127.0.0.1:{port}\", access_key: \"file:{}\", secret_key: \"file:{}\" }}",
        bed.path("access").display(),
        bed.path("secret").display()
    ));
}

/// What is in the bucket, as its server lists it.
fn objects(port: u16) -> String {
    done(Command::new("curl").args(["-sf", &format!("http://127.0.0.1:{port}/records?list-type=2")]))
}

#[test]
fn records_are_handed_over_by_an_object_store() {
    if !has("moto_server") || !has("curl") {
        return;
    }
    let Some(bed) = Bed::new() else { return };
    let port = free_port();
    let mut command = Command::new("moto_server");
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    let server = Server::start(port, &mut command, &bed.path("moto.log"));
    let line = Line::to(server.port, b"PUT ");
    declare(&bed, line.port);
    let said = exercise::refused(&bed, "documents");
    assert!(said.contains("NoSuchBucket") && said.contains("bucket 'records'"), "{said}");
    let bucket = format!("http://127.0.0.1:{port}/records");
    done(Command::new("curl").args(["-sf", "-X", "PUT", &bucket]));
    let old =
        format!("{bucket}/site-a/resplit+fileserver+documents+20200101T000000000Z.json").replace('+', "%2B");
    done(Command::new("curl").args(["-sf", "-X", "PUT", "-d", "{}", &old]));
    bed.site.succeed(&["resume", "latest"]);
    assert!(!objects(port).contains("<Key>"), "{}", objects(port));
    bed.site.succeed(&["restore", "documents", "--from", "tape", "--yes"]);

    line.breaks.store(true, Ordering::SeqCst);
    let said = exercise::refused(&bed, "meddled");
    assert!(said.contains("transport 'exchange'") && line.broken.load(Ordering::SeqCst) > 0, "{said}");
    assert!(!said.contains("X-Amz") && !said.contains(SECRET), "{said}");
    line.breaks.store(false, Ordering::SeqCst);
    bed.site.succeed(&["resume", "latest"]);

    // Somebody else's bytes under the record's name.
    let script = format!(
        "key=$(curl -sf 'http://127.0.0.1:{port}/records?list-type=2' | sed -n 's,.*<Key>\\([^<]*\\)</Key>.*,\\1,p' | sed 's/+/%2B/g')\n\
         printf short | curl -sf -H 'Authorization: AWS a:b' -T - \"{bucket}/$key\"\n"
    );
    fs::write(bed.path("meddle"), script).unwrap();
    let said = exercise::refused(&bed, "meddled");
    assert!(said.contains("is not as it was sent"), "{said}");
    fs::write(bed.path("meddle"), "exit 0\n").unwrap();
    bed.site.succeed(&["resume", "latest"]);
    assert!(!objects(port).contains("<Key>"), "{}", objects(port));
    bed.site.assert_clean();
}

/// A store that knows no key, and says which it was given, as some do.
#[test]
fn wrong_keys_are_told_without_being_repeated() {
    let Some(bed) = Bed::new() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 8192];
            let _ = client.read(&mut request);
            let body = format!(
                "<Error><Code>InvalidAccessKeyId</Code><Message>no key {ACCESS} with {SECRET}</Message></Error>"
            );
            let _ = write!(
                client,
                "HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    declare(&bed, port);
    let said = exercise::refused(&bed, "meddled");
    assert!(said.contains("403 Forbidden InvalidAccessKeyId no key *** with ***"), "{said}");
    assert!(!said.contains(SECRET) && !said.contains(ACCESS), "{said}");
}
