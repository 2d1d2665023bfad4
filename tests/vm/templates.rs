//! Every template goes the whole way, as a user would: new, build, check,
//! verify, on each of Debian's kernels from the one that the template says it
//! needs.

use crate::support::{Place, Run};

/// Debian's kernels, oldest first, with the version each has.
const KERNELS: [(&str, &str); 4] = [
    ("debian/bullseye", "5.10"),
    ("debian/bookworm", "6.1"),
    ("debian/trixie", "6.12"),
    ("debian/sid", "7.0"),
];

fn version(text: &str) -> (u32, u32) {
    let (major, minor) = text.split_once('.').expect("a version has two numbers");
    (major.parse().unwrap(), minor.parse().unwrap())
}

/// The rows of one kind among a command's JSON messages.
fn rows(run: &Run, reason: &str) -> Vec<serde_json::Value> {
    run.stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|message| message["reason"] == reason)
        .collect()
}

#[test]
fn every_template_is_accepted_by_every_kernel_it_is_for() {
    let place = Place::new();
    let list = place.skep(&["new", "--list", "--message-format", "json"]).expect(0);
    let templates = rows(&list, "template");
    assert!(templates.len() >= 3, "{list}");
    for template in templates {
        let name = template["name"].as_str().unwrap();
        let min = version(template["kernel"].as_str().unwrap());
        place.skep(&["new", "--template", name, &format!("my-{name}")]).expect(0);
        let project = format!("my-{name}");
        let json = |args: &[&str]| {
            let all = [&["-C", &project, "--message-format", "json"], args].concat();
            place.skep(&all)
        };

        let build = json(&["build"]).expect(0);
        assert_eq!(rows(&build, "compiler-message"), Vec::<serde_json::Value>::new(), "{name}");
        let check = json(&["check"]).expect(0);
        assert_eq!(rows(&check, "compiler-message"), Vec::<serde_json::Value>::new(), "{name}");

        let kernels: Vec<_> =
            KERNELS.iter().filter(|(_, release)| version(release) >= min).collect();
        assert!(!kernels.is_empty(), "{name} is for no kernel there is");
        let mut args = vec!["verify"];
        args.extend(kernels.iter().flat_map(|(kernel, _)| ["--kernel", *kernel]));
        let verify = json(&args).expect(0);
        for (kernel, release) in kernels {
            let mut verdicts = rows(&verify, "program-verdict");
            verdicts.retain(|row| row["kernel"] == *kernel);
            assert!(!verdicts.is_empty(), "{name} has no verdict of {kernel}: {verify}");
            for row in verdicts {
                assert_eq!(row["verdict"], "accepted", "{name} on {kernel}: {row}");
                assert!(row["instructions"].as_u64().unwrap() > 0, "{row}");
                let said = row["release"].as_str().unwrap();
                assert!(said.starts_with(release.split('.').next().unwrap()), "{row}");
            }
        }
    }
}
