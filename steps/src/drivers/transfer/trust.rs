//! Whose certificates are trusted: those of the operator's authorities where a transport names them, else the system's.

use std::sync::Arc;

use resplit_operations::site::Transport;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::failure::Failure;

/// The certificates of the authorities.
pub(super) fn authorities(transport: &Transport) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let Some(path) = &transport.ca else {
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
            return Err(Failure::refused(format!("this system trusts no certificate authority{why}"))
                .with_help("install ca-certificates, or name the authority: `ca: /PATH`"));
        }
        return Ok(found.certs);
    };
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let help = "name a file with certificates in PEM: `ca: /PATH`";
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(Failure::refused(format!("{} holds no certificate", path.display())).with_help(help)),
        Err(error) => {
            Err(Failure::refused(format!("cannot read the certificates in {}: {error}", path.display()))
                .with_help(help))
        }
    }
}

/// What a connection insists on: a certificate of those authorities, for the name that was asked for.
pub(super) fn config(transport: &Transport) -> Result<Arc<ClientConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    // A system may have some that are not understood; one of the operator's is.
    let (added, ignored) = roots.add_parsable_certificates(authorities(transport)?);
    if added == 0 || (transport.ca.is_some() && ignored > 0) {
        return Err(Failure::refused("a certificate of the authorities is not one")
            .with_help("see `ca` in site.yaml: openssl x509 -noout -text -in FILE"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Failure::permanent(format!("cannot prepare TLS: {error}")))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
