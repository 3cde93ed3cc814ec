//! What a transport has to say, by what it is.

use super::{at, site::children};
use crate::{
    report::{Problem, shown},
    site::transport::{Scheme, TransportUrl},
    yaml::{Tree, View},
};

/// Checks that every transport says what its kind needs, and nothing that means nothing to it.
pub(super) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    for (name, transport) in children(at(tree, &["transports"])) {
        for key in ["ca", "ssh_config"] {
            absolute(transport.get(key), problems);
        }
        let Some(url) = transport.get("url") else { continue };
        let Some(parsed) = url.text().and_then(|text| text.parse::<TransportUrl>().ok()) else { continue };
        let scheme = parsed.scheme;
        let known = ["password", "access_key", "secret_key", "endpoint", "region", "ca", "ssh_config"];
        for entry in known.iter().filter_map(|key| transport.entry(key)) {
            if !scheme.keys().contains(&entry.key.as_str()) {
                let message = format!("'{}' means nothing to a transport by {}", entry.key, scheme.word());
                let problem = Problem::at(entry.key_span.clone(), message).label("remove this key");
                problems.push(problem.related(url.span(), format!("by {}", scheme.word())));
            }
        }
        if transport.tree().lacks_something_in(&transport.span()) {
            continue;
        }
        let missing = |key: &str, example: &str| {
            Problem::at(url.span(), format!("transport '{}' does not say where its {key} is", shown(name)))
                .label(format!("needs `{key}`"))
                .help(format!("add for example `{key}: {example}`"))
        };
        match scheme {
            Scheme::S3 => {
                for (key, example) in
                    [("access_key", "credential:s3-access"), ("secret_key", "credential:s3-secret")]
                {
                    if transport.get(key).is_none() {
                        problems.push(missing(key, example));
                    }
                }
            }
            Scheme::Ftp | Scheme::Ftps if parsed.user.is_some() && transport.get("password").is_none() => {
                problems.push(missing("password", "file:/etc/resplit/exchange.password"));
            }
            Scheme::Ftp | Scheme::Ftps if parsed.user.is_none() => problems.push(
                Problem::at(url.span(), format!("transport '{}' does not say as whom", shown(name)))
                    .label("without a user")
                    .help(format!("write `{}://USER@HOST/DIRECTORY`", scheme.word())),
            ),
            Scheme::Sftp if parsed.path == "/" => problems.push(
                Problem::at(url.span(), format!("transport '{}' names no directory", shown(name)))
                    .label("without a directory")
                    .help("write `sftp://USER@HOST/DIRECTORY`"),
            ),
            _ => {}
        }
    }
}

/// Every host reads a file of its own, so the path says the whole way.
fn absolute(path: Option<View<'_>>, problems: &mut Vec<Problem>) {
    let Some(path) = path else { return };
    if path.text().is_some_and(|text| !text.is_empty() && !text.starts_with('/')) {
        problems.push(
            Problem::at(
                path.span(),
                "this path is relative, and each host that uses the transport reads its own",
            )
            .label("expected an absolute path"),
        );
    }
}
