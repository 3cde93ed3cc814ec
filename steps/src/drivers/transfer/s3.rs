//! An object store that speaks S3. An object is there whole or not at all, which is what is asked of a transport.

use std::time::Duration;

use resplit_operations::site::Transport;
use rusty_s3::{
    Bucket, Credentials, S3Action as _, UrlStyle,
    actions::{DeleteObject, GetObject, ListObjectsV2, PutObject},
};
use secrecy::{ExposeSecret, SecretString};
use ureq::{
    Agent, Body,
    http::Response,
    tls::{Certificate, RootCerts, TlsConfig},
};

use super::{MOST_BYTES, TransferDriver, too_large, trust};
use crate::{
    context::Work,
    drivers::secrets::{self, cleaned},
    failure::Failure,
};

/// How long a connection may take, and each answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the signature of a request holds.
const SIGNED_FOR: Duration = Duration::from_secs(300);
/// The most of an error, or of a list, that is read, in bytes.
const MOST_SAID: u64 = 4 << 20;

/// A bucket, and what objects in it begin with.
pub(super) struct S3 {
    agent: Agent,
    bucket: Bucket,
    prefix: String,
    credentials: Credentials,
    secrets: [SecretString; 2],
    work: Work,
}

impl S3 {
    pub(super) fn open(transport: &Transport, work: &Work) -> Result<Self, Failure> {
        let (Some(access), Some(secret)) = (&transport.access_key, &transport.secret_key) else {
            return Err(Failure::refused("it names no access key, or no secret key"));
        };
        let secrets = [secrets::read(access, work)?, secrets::read(secret, work)?];
        let region = transport.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
        let endpoint = transport
            .endpoint
            .as_ref()
            .map_or_else(|| format!("https://s3.{region}.amazonaws.com"), |endpoint| endpoint.0.clone());
        let wrong =
            |why: &dyn std::fmt::Debug| Failure::refused(format!("{endpoint} is no endpoint: {why:?}"));
        let url = endpoint.parse().map_err(|why| wrong(&why))?;
        // By path: what every server takes, and the only way to one that is called by its address.
        let name = transport.url.host.clone();
        let bucket = Bucket::new(url, UrlStyle::Path, name, region).map_err(|why| wrong(&why))?;
        let prefix = match transport.url.path.as_str() {
            "" => String::new(),
            path => format!("{path}/"),
        };
        let credentials = Credentials::new(secrets[0].expose_secret(), secrets[1].expose_secret());
        let agent = agent(transport, endpoint.starts_with("https:"))?;
        Ok(Self { agent, bucket, prefix, credentials, secrets, work: work.clone() })
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The answer, if it is a good one. `doing` is said of one that is not. No URL is: each is signed.
    fn answer(
        &self,
        doing: &str,
        asked: Result<Response<Body>, ureq::Error>,
    ) -> Result<Option<Response<Body>>, Failure> {
        let secrets: Vec<&SecretString> = self.secrets.iter().collect();
        let bucket = self.bucket.name();
        let mut answer = asked.map_err(|error| match error {
            ureq::Error::Rustls(why) => {
                Failure::refused(format!("cannot {doing}: {}", cleaned(&why.to_string(), &secrets)))
                    .with_help("name the authority that has signed the server's certificate: `ca: /PATH`")
            }
            ureq::Error::Io(why) if why.kind() == std::io::ErrorKind::InvalidData => {
                Failure::refused(format!("cannot {doing}: {}", cleaned(&why.to_string(), &secrets)))
                    .with_help("name the authority that has signed the server's certificate: `ca: /PATH`")
            }
            ureq::Error::Io(why) => {
                Failure::temporary(format!("cannot {doing}: {}", cleaned(&why.to_string(), &secrets)))
            }
            ureq::Error::Timeout(_) => Failure::temporary(format!("cannot {doing}: no answer in time")),
            ureq::Error::HostNotFound => Failure::temporary(format!("cannot {doing}: the host is not known")),
            // What others say may name the URL.
            _ => Failure::temporary(format!("cannot {doing}: the server did not answer as one of HTTP does")),
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(Some(answer));
        }
        let said = answer.body_mut().with_config().limit(MOST_SAID).read_to_string().unwrap_or_default();
        let code = element(&said, "Code").unwrap_or_default();
        if status == 404 && code != "NoSuchBucket" {
            return Ok(None);
        }
        let why = element(&said, "Message").unwrap_or_default();
        let why = cleaned(&format!("{status} {code} {why}"), &secrets);
        let text = format!("cannot {doing}: {why}");
        Err(match status.as_u16() {
            401 | 403 | 404 => Failure::refused(text).with_help(format!(
                "see that bucket '{bucket}' is there, and that the keys may use it; then resplit resume"
            )),
            408 | 429 | 500..=599 => Failure::temporary(text),
            _ => Failure::permanent(text),
        })
    }
}

/// Who asks. Redirects are not followed: they would lead elsewhere with what is signed for here.
fn agent(transport: &Transport, is_secure: bool) -> Result<Agent, Failure> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .timeout_recv_body(Some(PATIENCE))
        .timeout_send_body(Some(PATIENCE));
    if !is_secure {
        return Ok(config.build().new_agent());
    }
    let authorities = trust::authorities(transport)?;
    let authorities: Vec<_> =
        authorities.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&authorities))
        .unversioned_rustls_crypto_provider(std::sync::Arc::new(rustls::crypto::ring::default_provider()));
    Ok(config.tls_config(tls.build()).build().new_agent())
}

/// The text of the first element of a name: what an error says, which is all that is wanted of it.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.to_owned())
}

impl TransferDriver for S3 {
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.work.check()?;
        let key = self.key(name);
        let url = PutObject::new(&self.bucket, Some(&self.credentials), &key).sign(SIGNED_FOR);
        let doing = format!("write {key}");
        let answer = self.answer(&doing, self.agent.put(url.as_str()).send(bytes))?;
        answer.map(drop).ok_or_else(|| Failure::permanent(format!("cannot {doing}: there is no such place")))
    }

    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        self.work.check()?;
        let key = self.key(name);
        let url = GetObject::new(&self.bucket, Some(&self.credentials), &key).sign(SIGNED_FOR);
        let doing = format!("read {key}");
        let Some(mut answer) = self.answer(&doing, self.agent.get(url.as_str()).call())? else {
            return Ok(None);
        };
        let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
        match answer.body_mut().with_config().limit(most).read_to_vec() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(ureq::Error::BodyExceedsLimit(_)) => Err(too_large(name)),
            Err(_) => Err(Failure::temporary(format!("cannot {doing}: the answer broke off"))),
        }
    }

    fn names(&mut self) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        let mut more = None;
        loop {
            self.work.check()?;
            let mut list = ListObjectsV2::new(&self.bucket, Some(&self.credentials));
            list.with_prefix(self.prefix.as_str());
            list.with_delimiter("/");
            if let Some(token) = more.take() {
                list.with_continuation_token(token);
            }
            let url = list.sign(SIGNED_FOR);
            let doing = format!("list {}", self.prefix);
            let Some(mut answer) = self.answer(&doing, self.agent.get(url.as_str()).call())? else {
                return Ok(names);
            };
            let text = answer.body_mut().with_config().limit(MOST_SAID).read_to_string();
            let page = text.ok().and_then(|text| ListObjectsV2::parse_response(&text).ok());
            let page =
                page.ok_or_else(|| Failure::temporary(format!("cannot {doing}: the answer is no list")))?;
            let known = page.contents.iter().filter_map(|object| object.key.strip_prefix(&self.prefix));
            names.extend(known.map(str::to_owned));
            more = page.next_continuation_token;
            if more.is_none() {
                return Ok(names);
            }
        }
    }

    fn remove(&mut self, name: &str) -> Result<(), Failure> {
        let key = self.key(name);
        let url = DeleteObject::new(&self.bucket, Some(&self.credentials), &key).sign(SIGNED_FOR);
        self.answer(&format!("remove {key}"), self.agent.delete(url.as_str()).call()).map(drop)
    }
}
