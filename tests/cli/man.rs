//! `skep man` and `skep completions`.

use crate::support::Place;
use std::process::Command;

#[test]
fn the_pages_are_written_for_every_command() {
    let place = Place::new();
    let run = place.skep(&["man", "--out", "share/man1"]).expect(0);
    assert_eq!(run.stdout, "");
    for page in ["skep", "skep-explain", "skep-man", "skep-completions"] {
        let text = place.read(&format!("share/man1/{page}.1"));
        let title = format!(".TH {} 1", page.to_uppercase().replace('-', "\\-"));
        assert!(text.contains(&title) || text.contains(&title.replace('\\', "")), "{page}: {text}");
    }
    let page = place.skep(&["man"]).expect(0).stdout;
    assert_eq!(page, place.read("share/man1/skep.1"));
}

/// The script is read by the shell itself.
#[test]
fn the_completion_script_is_bash() {
    let place = Place::new();
    let script = place.skep(&["completions", "bash"]).expect(0).stdout;
    let script = place.file("skep.bash", script);
    let check = "source \"$1\" && COMP_WORDS=(skep expl) COMP_CWORD=1 && _skep skep expl skep && \
                 echo \"${COMPREPLY[@]}\"";
    let output = Command::new("bash").args(["-c", check, "bash"]).arg(script).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "explain\n", "{output:?}");
}
