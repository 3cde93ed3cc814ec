use std::path::Path;

use super::*;

fn site(hosts: &[(&str, &str)]) -> Site {
    let hosts = hosts.iter().map(|(name, connect)| {
        let connect = Connect::try_from((*connect).to_owned()).unwrap();
        ((*name).into(), Host { connect, ..Host::local("state") })
    });
    Site { hosts: hosts.collect(), ..Site::default() }
}

#[test]
fn an_address_is_written_as_it_was_read() {
    for text in [
        "ssh://bk01",
        "ssh://root@bk01.example.org:2222",
        "ssh://backup@[fe80::1]:22",
        "ssh://[::1]",
        "ssh://10.1.2.3",
        "local",
    ] {
        let connect = Connect::try_from(text.to_owned()).unwrap();
        assert_eq!(String::from(connect), text);
        assert!(is_connect(text));
    }
}

#[test]
fn what_ssh_could_take_for_an_option_or_a_command_is_no_address() {
    for text in [
        "",
        "ssh://",
        "ssh://-oProxyCommand=x",
        "ssh://a@-b",
        "ssh://-a@b",
        "ssh://a b",
        "ssh://a:0",
        "ssh://a:65536",
        "ssh://a:",
        "ssh://a:1x",
        "ssh://a:+1",
        "ssh://a/b",
        "ssh://a;b",
        "ssh://$(a)",
        "ssh://a@b@c",
        "ssh://[::1",
        "ssh://[::1]22",
        "ssh://[]",
        "ssh:/a",
        "telnet://a",
        "Local",
    ] {
        assert!(Connect::try_from(text.to_owned()).is_err(), "{text}");
        assert!(!is_connect(text), "{text}");
    }
}

#[test]
fn where_a_host_is_depends_on_who_looks() {
    let site = site(&[("a", "ssh://m1"), ("b", "ssh://m2"), ("c", "local"), ("d", "local")]);
    let seen = |host: &str, here: Option<&str>| {
        let here = here.map(HostId::from);
        site.reach(&host.into(), here.as_ref()).map(|reach| match reach {
            Reach::Here => "here",
            Reach::Remote(_) => "remote",
            Reach::Elsewhere => "elsewhere",
        })
    };
    assert_eq!(seen("a", Some("a")), Some("here"));
    assert_eq!(seen("a", Some("b")), Some("remote"));
    assert_eq!(seen("a", None), Some("remote"));
    assert_eq!(seen("c", None), Some("here"));
    assert_eq!(seen("c", Some("d")), Some("here"), "both are on the machine of local hosts");
    assert_eq!(seen("c", Some("a")), Some("elsewhere"), "another machine's `local` is no place here");
    assert_eq!(seen("x", None), None);
}

#[test]
fn a_machine_is_the_host_of_its_name_or_of_its_address() {
    let site = site(&[("fileserver", "ssh://fs01.example.org"), ("backup", "ssh://bk01"), ("desk", "local")]);
    let host = |name: &str| site.of_machine(name).map(HostId::as_str);
    assert_eq!(host("fileserver"), Some("fileserver"));
    assert_eq!(host("FileServer.example.org"), Some("fileserver"));
    assert_eq!(host("fs01.example.org"), Some("fileserver"));
    assert_eq!(host("bk01.example.org"), Some("backup"));
    assert_eq!(host("desk"), Some("desk"));
    assert_eq!(host("another"), None);
    assert_eq!(host(""), None);
    let twice = super::tests::site(&[("a", "ssh://m"), ("b", "ssh://m:2222")]);
    assert_eq!(twice.of_machine("m"), None, "it cannot be told");
}

#[test]
fn relative_paths_of_a_host_are_below_its_own_site_directory() {
    let mut site = site(&[("a", "ssh://m1"), ("c", "local")]);
    site.hosts.get_mut(&HostId::from("a")).unwrap().site = Some("/srv/site".into());
    let resolved = site.resolved(Path::new("/etc/resplit"));
    assert_eq!(resolved.hosts[&HostId::from("a")].state, Path::new("/srv/site/state"));
    assert_eq!(resolved.hosts[&HostId::from("c")].state, Path::new("/etc/resplit/state"));
}
