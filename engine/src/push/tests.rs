use super::*;

const SITE: &str = "hosts: { a: { connect: local, state: state } }
volumes:
  v: { driver: directory, primary: { host: a, path: p }, pairs: [ { copy_group: \"G,d\", secondary: { host: a, path: s } } ] }
";
const OPERATION: &str = "protect: { filesystem: p, volumes: [v] }\n";

fn came(operations: &[&str]) -> Files {
    let mut files = Files::from([(SITE_FILE.to_owned(), SITE.to_owned())]);
    files.extend(operations.iter().map(|name| (format!("operations/{name}.yaml"), OPERATION.to_owned())));
    files
}

#[test]
fn what_came_is_in_place_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let site = home.path().join("new/site");
    assert_eq!(changes(&site, &came(&["one"])).added, ["operations/one.yaml", "site.yaml"]);
    put(&site, &came(&["one", "two"])).unwrap();
    fs::write(site.join("operations/two.yaml"), "other").unwrap();
    fs::create_dir(site.join("state")).unwrap();
    let next = came(&["two", "three"]);
    let expected = Changes {
        added: vec!["operations/three.yaml".to_owned()],
        changed: vec!["operations/two.yaml".to_owned()],
        removed: vec!["operations/one.yaml".to_owned()],
    };
    assert_eq!(changes(&site, &next), expected);
    put(&site, &next).unwrap();
    assert!(changes(&site, &next).is_empty());
    assert_eq!(files(&site).unwrap(), next);
    assert!(site.join("state").is_dir(), "what is no definition stays");
}

#[test]
fn killed_at_any_rename_it_is_all_or_none() {
    let (old, new) = (came(&["one", "two"]), came(&["two", "three", "four"]));
    // Before the whole is named: the old files, and a next time that works.
    let home = tempfile::tempdir().unwrap();
    let site = home.path().to_owned();
    put(&site, &old).unwrap();
    write_all(&site.join(COMING), &new).unwrap();
    finish(&site).unwrap();
    assert_eq!(files(&site).unwrap(), old);
    put(&site, &new).unwrap();
    assert_eq!(files(&site).unwrap(), new);
    // After it: whatever has taken its place already, the rest does.
    for moved in 0..=new.len() {
        let home = tempfile::tempdir().unwrap();
        let site = home.path().to_owned();
        put(&site, &old).unwrap();
        write_all(&site.join(WHOLE), &new).unwrap();
        for name in new.keys().take(moved) {
            fs::rename(site.join(WHOLE).join(name), site.join(name)).unwrap();
        }
        finish(&site).unwrap();
        assert_eq!(files(&site).unwrap(), new);
        assert!(!site.join(WHOLE).exists());
    }
}

#[test]
fn what_is_no_definition_or_has_errors_is_refused_before_anything_is_written() {
    let site = Path::new("/nowhere");
    for name in
        ["../site.yaml", "operations/../x.yaml", "operations/.x.yaml", "state/x.yaml", "operations/x.yml"]
    {
        let mut files = came(&[]);
        let _ = files.insert(name.to_owned(), String::new());
        assert!(check(site, &files).unwrap_err().message.contains("no definition file"), "{name}");
    }
    assert!(check(site, &Files::new()).unwrap_err().message.contains("no site.yaml"));
    assert_eq!(check(site, &came(&["one"])).unwrap().report.errors(), 0);
    let mut broken = came(&[]);
    let _ = broken.insert("operations/x.yaml".to_owned(), "protect: 1\n".to_owned());
    assert!(check(site, &broken).unwrap().report.errors() > 0);
}
