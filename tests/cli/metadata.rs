//! `skep metadata`.

use crate::support::Place;
use serde_json::Value;

const SOURCE: &str = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n\
    char LICENSE[] SEC(\"license\") = \"GPL\";\nstruct {\n__uint(type, BPF_MAP_TYPE_ARRAY);\n\
    __uint(max_entries, 3);\n__type(key, __u32);\n__type(value, __u64);\n} slots SEC(\".maps\");\n\
    SEC(\"tp/syscalls/sys_enter_write\") int one(void *ctx)\n\
    { __u32 key = 0; return bpf_map_lookup_elem(&slots, &key) != 0; }\n";

fn package(place: &Place) -> Value {
    let run = place.skep(&["metadata"]).expect(0);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["version"], 1);
    document["packages"][0].clone()
}

#[test]
fn a_project_and_its_objects_are_described() {
    let place = Place::new();
    place.file("Skep.toml", "[package]\nname = \"bees\"\n[kernels]\nmin = \"5.10\"\n");
    place.file("src/one.bpf.c", SOURCE);
    let before = package(&place);
    assert_eq!(before["name"], "bees");
    assert_eq!(before["root"].as_str(), place.path().to_str());
    assert_eq!(before["kernels"]["min"], "5.10");
    assert_eq!(before["objects"][0]["programs"], Value::Null, "it is not built");
    assert!(!place.path().join("target").exists(), "and it was not built for this");

    place.skep(&["build"]).expect(0);
    let objects = &package(&place)["objects"];
    let object = &objects[0];
    assert_eq!((&object["profile"], &object["license"]), (&"dev".into(), &"GPL".into()));
    let program = &object["programs"][0];
    assert_eq!(program["name"], "one");
    assert_eq!(program["section"], "tp/syscalls/sys_enter_write");
    assert_eq!(program["type"], "tracepoint");
    assert_eq!(program["target"], "syscalls/sys_enter_write");
    assert!(program["instructions"].as_u64().unwrap() > 3);
    let map = &object["maps"][0];
    assert_eq!((&map["name"], &map["type"]), (&"slots".into(), &"array".into()));
    assert_eq!(
        (&map["key_size"], &map["value_size"], &map["max_entries"]),
        (&4.into(), &8.into(), &3.into())
    );
    assert_eq!(objects[1]["profile"], "release");
    assert_eq!(objects[1]["programs"], Value::Null);

    place.file("target/skep/dev/one.bpf.o", "damage");
    assert_eq!(package(&place)["objects"][0]["programs"], Value::Null);
}

#[test]
fn mistakes_are_told_and_exit_with_2() {
    let run = Place::new().skep(&["metadata"]).expect(2);
    assert!(run.stdout.contains("E0105"), "{run}");
    Place::new().skep(&["metadata", "--format-version", "2"]).expect(2);
}
