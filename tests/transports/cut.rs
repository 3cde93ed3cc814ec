//! A line to a server that breaks in the middle, when it is told to.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
};

/// A port of this machine behind which the server is.
pub(crate) struct Line {
    pub(crate) port: u16,
    /// Whether the line breaks where the client says the words.
    pub(crate) breaks: Arc<AtomicBool>,
    /// How often it did.
    pub(crate) broken: Arc<AtomicU16>,
}

impl Line {
    /// To the server at `port`; breaks once these words have passed.
    pub(crate) fn to(port: u16, words: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let (breaks, broken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU16::new(0)));
        let line = Self { port: own, breaks: Arc::clone(&breaks), broken: Arc::clone(&broken) };
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
                let (breaks, broken) = (Arc::clone(&breaks), Arc::clone(&broken));
                std::thread::spawn(move || carry(client, server, words, &breaks, &broken));
            }
        });
        line
    }
}

fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    words: &[u8],
    breaks: &AtomicBool,
    broken: &AtomicU16,
) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        let said = &buffer[..read];
        if server.write_all(said).is_err() {
            break;
        }
        if breaks.load(Ordering::SeqCst) && said.windows(words.len()).any(|window| window == words) {
            let _ = broken.fetch_add(1, Ordering::SeqCst);
            break;
        }
    }
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
}
