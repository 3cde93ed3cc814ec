//! FTP, in clear or over TLS by AUTH TLS, both channels; binary, passive.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream, ToSocketAddrs as _},
    time::Duration,
};

use resplit_operations::site::{Transport, transport::Scheme};
use secrecy::{ExposeSecret, SecretString};
use suppaftp::{FtpError, RustlsConnector, RustlsFtpStream, Status, types::FileType};

use super::{MOST_BYTES, PARTIAL, TransferDriver, too_large, trust};
use crate::{
    context::Work,
    drivers::secrets::{self, cleaned},
    failure::Failure,
};

/// How long a connection may take, and each answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A directory of an FTP server, logged in to.
pub(super) struct Ftp {
    stream: RustlsFtpStream,
    password: SecretString,
    work: Work,
}

impl Ftp {
    pub(super) fn open(transport: &Transport, work: &Work) -> Result<Self, Failure> {
        let url = &transport.url;
        let (Some(user), Some(name)) = (&url.user, &transport.password) else {
            return Err(Failure::refused("it names no user, or no password"));
        };
        let password = secrets::read(name, work)?;
        let failed = |doing: &str, error: &FtpError| failure(doing, error, &password);
        let mut stream = connected(&url.host, url.port.unwrap_or(21))
            .map_err(|error| failed("connect", &error))?
            .passive_stream_builder(|address| stream(&address).map_err(FtpError::ConnectionError));
        // Behind a translated address a server names one that leads nowhere.
        stream.set_passive_nat_workaround(true);
        if url.scheme == Scheme::Ftps {
            let connector = RustlsConnector::from(trust::config(transport)?);
            stream = stream.into_secure(connector, &url.host).map_err(|error| match error {
                FtpError::UnexpectedResponse(_) => Failure::refused("the server offers no TLS (AUTH TLS)"),
                error => failed("agree on TLS", &error),
            })?;
        }
        stream.login(user.as_str(), password.expose_secret()).map_err(|error| failed("log in", &error))?;
        stream.transfer_type(FileType::Binary).map_err(|error| failed("ask for binary transfer", &error))?;
        if !url.path.is_empty() {
            let doing = format!("enter {}", url.path);
            stream.cwd(&url.path).map_err(|error| failed(&doing, &error))?;
        }
        Ok(Self { stream, password, work: work.clone() })
    }

    fn failed(&self, doing: &str, name: &str, error: &FtpError) -> Failure {
        failure(&format!("{doing} {name}"), error, &self.password)
    }

    fn send(&mut self, name: &str, bytes: &[u8]) -> Result<(), FtpError> {
        let mut data = self.stream.put_with_stream(name)?;
        data.write_all(bytes).and_then(|()| data.flush()).map_err(FtpError::ConnectionError)?;
        data.finish()
    }
}

/// A connection that does not wait for ever.
fn stream(address: &SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A connection to the first address of a host that answers.
fn connected(host: &str, port: u16) -> Result<RustlsFtpStream, FtpError> {
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs().map_err(FtpError::ConnectionError)? {
        match stream(&address) {
            Ok(stream) => return RustlsFtpStream::connect_with_stream(stream),
            Err(error) => last = error,
        }
    }
    Err(FtpError::ConnectionError(last))
}

/// What failed, in the server's words, without the password.
fn failure(doing: &str, error: &FtpError, password: &SecretString) -> Failure {
    let text = |why: &str| format!("cannot {doing}: {}", cleaned(why, &[password]));
    match error {
        FtpError::UnexpectedResponse(response) => {
            let said = String::from_utf8_lossy(&response.body);
            let message = text(&said);
            match response.status.code() {
                // 530: not logged in, 532: needs an account, 534: wants TLS.
                530..=534 => Failure::refused(message),
                // 4xx passes by itself, says RFC 959; 552: no space left.
                400..=499 | 552 => Failure::temporary(message)
                    .with_help("see the server's log and its free space; then resplit resume"),
                _ if said.contains("pace") || said.contains("uota") => {
                    Failure::temporary(message).with_help("free space on the server; then resplit resume")
                }
                _ => Failure::permanent(message),
            }
        }
        FtpError::SecureError(why) => Failure::refused(text(why)),
        // TLS reports a certificate that is not trusted when it is first written to.
        FtpError::ConnectionError(why) if why.kind() == std::io::ErrorKind::InvalidData => {
            Failure::refused(text(&why.to_string()))
                .with_help("name the authority that has signed the server's certificate: `ca: /PATH`")
        }
        FtpError::ConnectionError(why) => Failure::temporary(text(&why.to_string())),
        other => Failure::temporary(text(&other.to_string())),
    }
}

impl TransferDriver for Ftp {
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.work.check()?;
        let partial = format!("{name}{PARTIAL}");
        if let Err(error) = self.send(&partial, bytes) {
            // What does not fit is not left to fill the rest.
            let _ = self.stream.rm(&partial);
            return Err(self.failed("write", name, &error));
        }
        // A server need not replace what is there.
        self.remove(name)?;
        self.stream.rename(partial, name.to_owned()).map_err(|error| self.failed("rename to", name, &error))
    }

    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        self.work.check()?;
        // 550 says that it is not there, and also that it may not be read.
        if !self.names()?.iter().any(|known| known == name) {
            return Ok(None);
        }
        let mut data = self.stream.retr_as_stream(name).map_err(|error| self.failed("read", name, &error))?;
        let mut bytes = Vec::new();
        let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
        let read = std::io::Read::by_ref(&mut data).take(most + 1).read_to_end(&mut bytes);
        let read = read.map_err(FtpError::ConnectionError);
        if bytes.len() > MOST_BYTES {
            return Err(too_large(name));
        }
        read.and_then(|_| data.finish()).map_err(|error| self.failed("read", name, &error))?;
        Ok(Some(bytes))
    }

    fn names(&mut self) -> Result<Vec<String>, Failure> {
        match self.stream.nlst(None) {
            // Some servers put the directory in front, some a dot.
            Ok(names) => {
                Ok(names.iter().map(|name| name.rsplit('/').next().unwrap_or(name).to_owned()).collect())
            }
            // So some say that there is nothing.
            Err(FtpError::UnexpectedResponse(said))
                if said.status == Status::FileUnavailable || said.status.code() == 450 =>
            {
                Ok(Vec::new())
            }
            Err(error) => Err(self.failed("list", "the directory", &error)),
        }
    }

    fn remove(&mut self, name: &str) -> Result<(), Failure> {
        match self.stream.rm(name) {
            Ok(()) => Ok(()),
            Err(FtpError::UnexpectedResponse(said)) if said.status == Status::FileUnavailable => {
                let there = self.names()?.iter().any(|known| known == name);
                if !there {
                    return Ok(());
                }
                Err(self.failed("remove", name, &FtpError::UnexpectedResponse(said)))
            }
            Err(error) => Err(self.failed("remove", name, &error)),
        }
    }
}

impl Drop for Ftp {
    fn drop(&mut self) {
        // A server that is gone needs no farewell.
        let _ = self.stream.quit();
    }
}

#[cfg(test)]
mod tests {
    use suppaftp::types::Response;

    use super::*;
    use crate::failure::FailureClass;

    #[test]
    fn what_a_server_repeats_of_a_password_is_not_told() {
        let password = SecretString::from("hunter2");
        let said = |code: u32, text: &str| {
            failure(
                "log in",
                &FtpError::UnexpectedResponse(Response::new(Status::from(code), text.as_bytes().to_vec())),
                &password,
            )
        };
        let wrong = said(530, "530 no such login: PASS hunter2");
        assert_eq!(
            (wrong.class, wrong.message.as_str()),
            (FailureClass::Refused, "cannot log in: 530 no such login: PASS ***")
        );
        assert_eq!(said(452, "452 no space").class, FailureClass::Temporary);
        assert_eq!(said(550, "550 denied").class, FailureClass::Permanent);
    }
}
