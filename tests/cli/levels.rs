//! Levels of findings: `[lints]`, comments on lines, `--deny warnings`.

use crate::support::Place;

const UNUSED: &str = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n\nSEC(\"xdp\")\n\
                      int pass(struct xdp_md *ctx)\n{\n\tint unused;\n\treturn XDP_PASS;\n}\n\n\
                      char LICENSE[] SEC(\"license\") = \"GPL\";\n";

fn project(manifest: &str, source: &str) -> Place {
    let place = Place::new();
    place.file("Skep.toml", manifest);
    place.file("src/pass.bpf.c", source);
    place
}

#[test]
fn clangs_warnings_have_levels() {
    let short = ["build", "--message-format", "short"];
    let warned = |place: &Place, code| {
        let run = place.skep(&short).expect(code);
        let lines = run.stdout.lines().filter(|line| line.contains("[W0201]"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let plain = project("", UNUSED);
    assert!(warned(&plain, 0)[0].contains(": warning[W0201]"));
    assert!(
        warned(&project("[lints]\nW0201 = \"deny\"\n", UNUSED), 1)[0].contains(": error[W0201]")
    );
    assert!(warned(&project("[lints]\nclang-warning = \"allow\"\n", UNUSED), 0).is_empty());
    let allowed = UNUSED.replace("int unused;", "int unused; // skep: allow(W0201)");
    assert!(warned(&project("", &allowed), 0).is_empty());
    let above = UNUSED
        .replace("\tint unused;", "\t// skep: allow(clang-warning): for later\n\tint unused;");
    assert!(warned(&project("", &above), 0).is_empty());

    let run = plain.skep(&["build", "--deny", "warnings"]).expect(1);
    assert!(
        run.stdout.contains("error[W0201]") && run.stdout.contains("`--deny warnings`"),
        "{run}"
    );
    project("", &allowed).skep(&["build", "--deny", "warnings"]).expect(0);
}

#[test]
fn what_check_finds_has_levels_and_what_does_not_compile_has_none() {
    let section =
        UNUSED.replace("\tint unused;\n", "").replace("SEC(\"xdp\")", "SEC(\"kprob/do_unlinkat\")");
    project("", &section).skep(&["check"]).expect(1);
    let run =
        project("[lints]\nunknown-section = \"allow\"\n", &section).skep(&["check"]).expect(0);
    assert!(run.stderr.contains("1 allowed"), "{run}");
    project("[lints]\nunknown-section = \"warn\"\n", &section).skep(&["check"]).expect(0);
    let broken = UNUSED.replace("int unused;", "int unused = nothing; // skep: allow(E0201)");
    project("[lints]\nclang-error = \"allow\"\n", &broken).skep(&["build"]).expect(1);
}

#[test]
fn a_name_that_is_no_findings_is_told_with_the_nearest() {
    let source = UNUSED.replace("int unused;", "int unused; // skep: allow(W0201, clang-eror)");
    let place = project("[lints]\nunknown-sektion = \"deny\"\nlarge = \"warn\"\n", &source);
    let run = place.skep(&["build", "--message-format", "short"]).expect(0);
    for line in [
        "Skep.toml:2:1: warning[W0114]: no finding is called `unknown-sektion` [unknown-lint]",
        "Skep.toml:3:1: warning[W0114]: no finding is called `large` [unknown-lint]",
        "src/pass.bpf.c:7:36: warning[W0114]: no finding is called `clang-eror` [unknown-lint]",
    ] {
        assert!(run.stdout.contains(line), "{line}: {run}");
    }
    let human = place.skep(&["build"]).expect(0);
    assert!(human.stdout.contains("did you mean E0404 unknown-section?"), "{human}");
    assert!(human.stdout.contains("did you mean E0201 clang-error?"), "{human}");
    // Once, whatever the command does besides building.
    let check = place.skep(&["check", "--message-format", "short"]).expect(0);
    assert_eq!(check.stdout.matches("W0114").count(), 3, "{check}");
    place.skep(&["build", "--deny", "warnings"]).expect(1);
    let quiet = "[lints]\nunknown-lint = \"allow\"\nlarge = \"warn\"\n";
    let run = project(quiet, UNUSED).skep(&["build"]).expect(0);
    assert!(!run.stdout.contains("W0114"), "{run}");
}
