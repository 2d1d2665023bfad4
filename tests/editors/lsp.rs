//! The language server, spoken to in its own protocol.

use crate::findings::{Seen, WIDE};
use crate::project;
use crate::support::{Place, debian, shared_cache};
use crate::tools;
use lsp_server::{Message, Notification, Request, RequestId, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long the server has for anything.
const LIMIT: Duration = Duration::from_secs(60);

/// An editor with a server of its own.
struct Editor<'p> {
    place: &'p Place,
    child: Child,
    stdin: Option<ChildStdin>,
    inbox: Receiver<Message>,
    next: i32,
    /// The last findings of each file, relative to the place.
    published: BTreeMap<String, Vec<Value>>,
    capabilities: Value,
    /// What the server said to ask for again.
    refreshed: Vec<String>,
}

impl<'p> Editor<'p> {
    fn start(place: &'p Place) -> Self {
        let mut command = place.command(&["lsp"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, inbox) = channel();
        std::thread::spawn(move || {
            while let Ok(Some(message)) = Message::read(&mut stdout) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let stdin = child.stdin.take();
        let (next, published) = (0, BTreeMap::new());
        let (capabilities, refreshed) = (Value::Null, Vec::new());
        let mut editor =
            Self { place, child, stdin, inbox, next, published, capabilities, refreshed };
        let folders = json!([{ "uri": uri(place.path()), "name": "project" }]);
        let refreshes = json!({ "refreshSupport": true });
        let workspace = json!({ "codeLens": refreshes, "inlayHint": refreshes });
        let params =
            json!({ "capabilities": { "workspace": workspace }, "workspaceFolders": folders });
        editor.capabilities = editor.ask("initialize", params)["capabilities"].clone();
        editor.say("initialized", json!({}));
        editor
    }

    fn send(&mut self, message: Message) {
        message.write(self.stdin.as_mut().unwrap()).unwrap();
    }

    fn say(&mut self, method: &str, params: Value) {
        self.send(Notification::new(method.to_owned(), params).into());
    }

    #[track_caller]
    fn ask(&mut self, method: &str, params: Value) -> Value {
        let response = self.response(method, params);
        response.response_result.unwrap_or_else(|error| panic!("{method}: {error:?}"))
    }

    #[track_caller]
    fn response(&mut self, method: &str, params: Value) -> Response {
        self.next += 1;
        let id = RequestId::from(self.next);
        self.send(Request::new(id.clone(), method.to_owned(), params).into());
        loop {
            match self.receive(method) {
                Message::Response(response) if response.id == id => return response,
                other => self.take(other),
            }
        }
    }

    #[track_caller]
    fn receive(&self, what: &str) -> Message {
        self.inbox.recv_timeout(LIMIT).unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    fn take(&mut self, message: Message) {
        // The server asks only that we ask again.
        if let Message::Request(request) = &message {
            self.refreshed.push(request.method.clone());
        }
        if let Message::Notification(notification) = message {
            assert_eq!(notification.method, "textDocument/publishDiagnostics", "{notification:?}");
            let params = notification.params;
            let file = path(params["uri"].as_str().unwrap(), self.place);
            let findings = params["diagnostics"].as_array().unwrap().clone();
            self.published.insert(file, findings);
        }
    }

    /// Takes messages until the published findings are as wished.
    #[track_caller]
    fn until(&mut self, what: &str, is: impl Fn(&BTreeMap<String, Vec<Value>>) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !is(&self.published) {
            assert!(Instant::now() < deadline, "{what}: {:#?}", self.published);
            let message = self.receive(what);
            self.take(message);
        }
    }

    /// Opens a file as it is on the disk.
    fn open(&mut self, file: &str) {
        let document = json!({
            "uri": uri(&self.place.path().join(file)), "languageId": "c", "version": 1,
            "text": self.place.read(file),
        });
        self.say("textDocument/didOpen", json!({ "textDocument": document }));
    }

    /// Changes a file in the editor only.
    fn change(&mut self, file: &str, text: &str) {
        let document = json!({ "uri": uri(&self.place.path().join(file)), "version": 2 });
        let params = json!({ "textDocument": document, "contentChanges": [{ "text": text }] });
        self.say("textDocument/didChange", params);
    }

    fn save(&mut self, file: &str, text: &str) {
        self.change(file, text);
        self.place.file(file, text);
        let document = json!({ "uri": uri(&self.place.path().join(file)) });
        self.say("textDocument/didSave", json!({ "textDocument": document }));
    }

    #[track_caller]
    fn at(&mut self, method: &str, file: &str, line: u32, character: u32) -> Value {
        let document = json!({ "uri": uri(&self.place.path().join(file)) });
        let position = json!({ "line": line, "character": character });
        self.ask(method, json!({ "textDocument": document, "position": position }))
    }

    /// The quick fixes for a finding.
    #[track_caller]
    fn fixes(&mut self, file: &str, finding: &Value) -> Vec<Value> {
        let document = json!({ "uri": uri(&self.place.path().join(file)) });
        let context = json!({ "diagnostics": [finding] });
        let params =
            json!({ "textDocument": document, "range": finding["range"], "context": context });
        self.ask("textDocument/codeAction", params).as_array().unwrap().clone()
    }

    /// Ends the server as an editor does; it must end at once and well.
    fn quit(mut self) {
        let started = Instant::now();
        self.ask("shutdown", Value::Null);
        self.say("exit", Value::Null);
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        assert!(started.elapsed() < Duration::from_secs(5), "it took {:?}", started.elapsed());
    }
}

impl Drop for Editor<'_> {
    fn drop(&mut self) {
        drop(self.stdin.take());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// As an editor writes it: everything unusual percent-encoded.
fn uri(path: &Path) -> String {
    let encode = |byte: &u8| match byte {
        b'/' | b'.' | b'-' => char::from(*byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => format!("%{byte:02x}"),
    };
    format!("file://{}", path.to_str().unwrap().bytes().map(|b| encode(&b)).collect::<String>())
}

fn path(uri: &str, place: &Place) -> String {
    let mut bytes = Vec::new();
    let mut rest = uri.strip_prefix("file://").unwrap().bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    let path = String::from_utf8(bytes).unwrap();
    let below = path.strip_prefix(place.path().to_str().unwrap());
    below.map_or(path.as_str(), |below| below.trim_start_matches('/')).to_owned()
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

/// A published finding, its column turned back into bytes.
fn seen(file: &str, finding: &Value, place: &Place) -> Seen {
    assert_eq!(finding["source"], "skep");
    let start = &finding["range"]["start"];
    let text = place.read(file);
    let line = text.lines().nth(number(&start["line"])).unwrap_or_default();
    let mut units = 0;
    let before = line.chars().take_while(|c| {
        units += c.len_utf16();
        units <= number(&start["character"])
    });
    let column = before.map(char::len_utf8).sum::<usize>() + 1;
    Seen {
        file: file.to_owned(),
        line: start["line"].as_u64().unwrap() + 1,
        column: u64::try_from(column).unwrap(),
        severity: ["error", "warning", "note"][number(&finding["severity"]) - 1].to_owned(),
        code: finding["code"].as_str().unwrap().to_owned(),
    }
}

#[test]
fn every_finding_of_a_project_is_published() {
    let place = project::write();
    let expected = project::expected(&place);
    let mut editor = Editor::start(&place);
    editor.open(WIDE);
    editor.until("findings", |published| published.len() >= 4);
    let all = editor.published.iter().flat_map(|(file, found)| {
        found.iter().map(|finding| seen(file, finding, &place)).collect::<Vec<_>>()
    });
    crate::findings::assert_same(all.collect(), &expected);
    editor.quit();
}

#[test]
fn what_check_finds_is_published_once_it_compiles() {
    let place = project::write_checked();
    let expected = project::expected_of_check(&place);
    let right = place.read(WIDE);
    place.file(WIDE, right.replace("int two", "int two three"));
    let mut editor = Editor::start(&place);
    editor.open(WIDE);
    editor.until("clang's", |published| published.contains_key(WIDE));
    assert!(editor.published[WIDE].iter().all(|finding| finding["code"] == "E0201"));
    editor.save(WIDE, &right);
    editor.until("check's", |published| published[WIDE].len() == expected.len());
    let all = editor.published[WIDE].iter().map(|finding| seen(WIDE, finding, &place));
    crate::findings::assert_same(all.collect(), &expected);
    editor.quit();
}

#[test]
fn a_fix_is_offered_applied_and_seen() {
    let place = Place::new();
    let manifest = "# größer 😀\n[bfp]\nmcpu = \"v3\"\n";
    place.file("Skep.toml", manifest);
    place.file("src/x.bpf.c", "char LICENSE[] __attribute__((section(\"license\"))) = \"GPL\";\n");
    let mut editor = Editor::start(&place);
    editor.until("a mistake", |published| published.contains_key("Skep.toml"));
    let finding = editor.published["Skep.toml"][0].clone();
    assert_eq!(finding["code"], "E0103");
    assert_eq!(finding["range"]["start"], json!({ "line": 1, "character": 1 }));
    editor.open("Skep.toml");
    let fixes = editor.fixes("Skep.toml", &finding);
    assert_eq!(fixes.len(), 1, "{fixes:?}");
    assert_eq!(fixes[0]["kind"], "quickfix");
    let edits = fixes[0]["edit"]["changes"].as_object().unwrap();
    let (file, edits) = edits.iter().next().unwrap();
    assert_eq!(path(file, &place), "Skep.toml");
    assert_eq!(edits[0]["newText"], "bpf");
    assert_eq!(edits[0]["range"], finding["range"]);

    // What was typed since would be hit by an edit that knows nothing of it.
    editor.change("Skep.toml", &format!("\n{manifest}"));
    assert!(editor.fixes("Skep.toml", &finding).is_empty());

    editor.save("Skep.toml", &manifest.replace("bfp", "bpf"));
    editor.until("no mistake", |published| published["Skep.toml"].is_empty());
    editor.quit();
}

#[test]
fn hovering_and_completing() {
    let place = Place::new();
    place.file("Skep.toml", "[kernels]\nmin = \"5.4\"\n");
    let source = "/* 漢字 */ SEC(\"kprobe/do_unlinkat\")\nint f(void *ctx)\n{\n\
                  \tbpf_ringbuf_output(0, 0, 0, 0);\n}\nSEC(\"cgroup/c";
    place.file("src/x.bpf.c", source);
    let mut editor = Editor::start(&place);
    editor.open("src/x.bpf.c");
    let hover = editor.at("textDocument/hover", "src/x.bpf.c", 0, 18);
    let text = hover["contents"]["value"].as_str().unwrap();
    assert!(text.contains("program type `kprobe`") && text.contains("`do_unlinkat`"), "{text}");
    assert_eq!(hover["range"]["start"]["character"], 14);
    let hover = editor.at("textDocument/hover", "src/x.bpf.c", 3, 5);
    let text = hover["contents"]["value"].as_str().unwrap();
    assert!(text.contains("since Linux 5.8") && text.contains("Not in Linux 5.4"), "{text}");
    assert_eq!(editor.at("textDocument/hover", "src/x.bpf.c", 1, 1), Value::Null);
    assert_eq!(editor.at("textDocument/hover", "src/nowhere.bpf.c", 1, 1), Value::Null);

    let items = editor.at("textDocument/completion", "src/x.bpf.c", 5, 13);
    let labels: Vec<&str> = items["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["label"].as_str().unwrap())
        .collect();
    assert!(labels.contains(&"cgroup/connect4"), "{labels:?}");
    let edit = &items["items"][0]["textEdit"]["range"];
    assert_eq!((&edit["start"]["character"], &edit["end"]["character"]), (&json!(5), &json!(13)));
    editor.quit();
}

#[test]
fn it_answers_while_it_works_and_leaves_nothing_behind() {
    let place = Place::new();
    // A clang that takes its time, in a process of its own.
    let clang = tools::find("clang");
    let slow = place.file(
        "slow-clang",
        format!(
            "#!/bin/sh\ncase \" $* \" in *' -c '*) touch started; sleep 100.125 ;; esac\n\
             exec {} \"$@\"\n",
            clang.display()
        ),
    );
    std::fs::set_permissions(&slow, std::fs::Permissions::from_mode(0o755)).unwrap();
    let place = place.env("SKEP_CLANG", &slow);
    place.file("Skep.toml", "");
    place.file("src/x.bpf.c", "int x;\n");
    let mut editor = Editor::start(&place);
    editor.open("src/x.bpf.c");
    let is_working = |place: &Place| place.path().join("started").exists();
    let wait = |place: &Place| {
        let deadline = Instant::now() + LIMIT;
        while !is_working(place) {
            assert!(Instant::now() < deadline, "clang was never started");
            std::thread::sleep(Duration::from_millis(10));
        }
        std::fs::remove_file(place.path().join("started")).unwrap();
    };
    wait(&place);
    let asked = Instant::now();
    editor.at("textDocument/hover", "src/x.bpf.c", 0, 1);
    assert!(asked.elapsed() < Duration::from_secs(1), "an answer took {:?}", asked.elapsed());
    // A save makes the work useless, and new work begins.
    editor.save("src/x.bpf.c", "int y;\n");
    wait(&place);
    editor.quit();
    let left = || {
        let lines = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let line = std::fs::read(entry.unwrap().path().join("cmdline")).ok()?;
            Some(String::from_utf8_lossy(&line).replace('\0', " "))
        });
        let ours = |line: &String| line.contains("100.125");
        lines.filter(ours).collect::<Vec<_>>()
    };
    // What was killed may take a moment to be gone.
    let deadline = Instant::now() + Duration::from_secs(5);
    while !left().is_empty() {
        assert!(Instant::now() < deadline, "left behind: {:?}", left());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_source_outside_of_projects_is_enough() {
    let place = Place::new();
    place.file("hello.bpf.c", "int x = y;\n");
    place.file("main.c", "int x = y;\n");
    let mut editor = Editor::start(&place);
    editor.open("main.c");
    editor.open("hello.bpf.c");
    editor.until("findings", |published| !published.is_empty());
    assert_eq!(editor.published.keys().collect::<Vec<_>>(), ["hello.bpf.c"]);
    let finding = &editor.published["hello.bpf.c"][0];
    assert_eq!(finding["range"]["start"], json!({ "line": 0, "character": 8 }));
    assert_eq!(finding["range"]["end"], json!({ "line": 0, "character": 9 }));
    editor.quit();
}

#[test]
fn what_is_no_editor_is_told_so() {
    let place = Place::new();
    let run = place.skep(&["lsp"]).expect(2);
    assert!(run.stderr.contains("started by an editor"), "{run}");
    assert_eq!(run.stdout, "");

    let mut editor = Editor::start(&place);
    let response = editor.response("textDocument/rename", json!({}));
    assert_eq!(response.response_result.unwrap_err().code, -32601);
    let response = editor.response("textDocument/hover", json!({ "position": 3 }));
    assert_eq!(response.response_result.unwrap_err().code, -32602);
    // Nonsense that asks nothing is passed over.
    editor.say("textDocument/didOpen", json!([1]));
    editor.say("textDocument/didSave", json!({ "textDocument": { "uri": "untitled:x" } }));
    editor.say("$/unheard", json!({}));
    assert_eq!(editor.at("textDocument/hover", "x", 0, 0), Value::Null);
    // Gone without a word.
    drop(editor.stdin.take());
    assert!(editor.child.wait().unwrap().success());
}

const OPENED: &str = "#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(\".maps\");

SEC(\"xdp\")
int count(struct xdp_md *ctx)
{
	__u32 key = 1;
	__u64 *seen = bpf_map_lookup_elem(&counts, &key);

	*seen += 1;
	return XDP_PASS;
}

SEC(\"fentry/vfs_op\")

char LICENSE[] SEC(\"license\") = \"GPL\";
";

#[test]
fn a_warm_kernel_says_its_verdict_on_save() {
    let place = Place::new();
    place.file("Skep.toml", "[kernels]\nmatrix = [\"debian/trixie\"]\n");
    let file = "src/count.bpf.c";
    let source = OPENED.replace("SEC(\"fentry/vfs_op\")\n", "");
    place.file(file, &source);
    // The machine of the kernel is kept by the first run.
    place.skep(&["verify"]).expect(1);

    let mut editor = Editor::start(&place);
    editor.open(file);
    editor.until("the verdict", |published| {
        published.get(file).is_some_and(|found| found.iter().any(|one| one["code"] == "E0301"))
    });
    let finding = editor.published[file][0].clone();
    assert_eq!(finding["range"]["start"]["line"], 16);
    let related = &finding["relatedInformation"][0];
    assert_eq!(related["location"]["range"]["start"]["line"], 14);
    let title = |editor: &mut Editor<'_>| {
        let document = json!({ "uri": uri(&place.path().join(file)) });
        let lenses = editor.ask("textDocument/codeLens", json!({ "textDocument": document }));
        let lens = lenses.as_array()?.first()?.clone();
        assert_eq!(lens["range"]["start"]["line"], 11);
        lens["command"]["title"].as_str().map(str::to_owned)
    };
    let until = |editor: &mut Editor<'_>, method: &str| {
        while !editor.refreshed.iter().any(|refreshed| refreshed == method) {
            let message = editor.receive(method);
            editor.take(message);
        }
    };
    until(&mut editor, "workspace/codeLens/refresh");
    let shown = title(&mut editor).unwrap();
    assert!(shown.starts_with("Linux 6.12.") && shown.ends_with(": rejected"), "{shown}");

    // The fix that is offered, applied and saved.
    let fixes = editor.fixes(file, &finding);
    let edits = fixes[0]["edit"]["changes"].as_object().unwrap().values().next().unwrap();
    assert!(edits[0]["newText"].as_str().unwrap().contains("if (!seen)"), "{fixes:?}");
    let line = "\t__u64 *seen = bpf_map_lookup_elem(&counts, &key);\n";
    let mended = source.replace(line, &format!("{line}\tif (!seen)\n\t\treturn XDP_PASS;\n"));
    editor.refreshed.clear();
    editor.save(file, &mended);
    editor.until("no finding", |published| published[file].is_empty());
    until(&mut editor, "workspace/inlayHint/refresh");
    let shown = title(&mut editor).unwrap();
    assert!(shown.contains(": accepted, ") && shown.ends_with(" insns verified"), "{shown}");
    let document = json!({ "uri": uri(&place.path().join(file)) });
    let range =
        json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 99, "character": 0 } });
    let params = json!({ "textDocument": document, "range": range });
    let hints = editor.ask("textDocument/inlayHint", params);
    let hints = hints.as_array().unwrap();
    let on = |line: u64| hints.iter().find(|hint| hint["position"]["line"] == line);
    let lookup = on(14).unwrap_or_else(|| panic!("{hints:#?}"));
    assert!(lookup["label"].as_str().unwrap().ends_with(" insns"), "{lookup}");
    assert!(on(3).is_none(), "{hints:#?}");

    // What is attached to comes from the kernel's own types.
    editor.change(file, OPENED);
    let deadline = Instant::now() + LIMIT;
    let items = loop {
        let items = editor.at("textDocument/completion", file, 20, 18);
        let first = items["items"][0]["label"].as_str().unwrap_or_default().to_owned();
        if first.starts_with("fentry/vfs_op") {
            break items;
        }
        assert!(Instant::now() < deadline, "{items}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let labels: Vec<_> =
        items["items"].as_array().unwrap().iter().map(|item| &item["label"]).collect();
    assert!(labels.contains(&&json!("fentry/vfs_open")), "{labels:?}");
    editor.change(file, "extern void bpf_task_release(struct task_struct *task) __ksym;\n");
    let hover = editor.at("textDocument/hover", file, 0, 15);
    let text = hover["contents"]["value"].as_str().unwrap();
    assert!(text.contains("debian/trixie") && text.contains("bpf_task_release("), "{text}");
    editor.quit();
}

#[test]
fn without_a_matrix_the_newest_warm_kernel_says_its_verdict() {
    let cache = Place::new();
    let kernels = cache.path().join("kernels");
    std::fs::create_dir(&kernels).unwrap();
    let mut keys = Vec::new();
    for suite in ["bookworm", "trixie"] {
        debian::kernel_release(&format!("debian/{suite}"));
        let name = format!("debian-{suite}.json");
        let stored = shared_cache().join("kernels");
        let meaning: Value =
            serde_json::from_slice(&std::fs::read(stored.join(&name)).unwrap()).unwrap();
        let key = meaning["key"].as_str().unwrap().to_owned();
        std::fs::copy(stored.join(&name), kernels.join(&name)).unwrap();
        std::os::unix::fs::symlink(stored.join(&key), kernels.join(&key)).unwrap();
        keys.push(key);
    }
    let place = Place::new().env("SKEP_CACHE_DIR", cache.path());
    let file = "src/count.bpf.c";
    place.file("Skep.toml", "");
    place.file(file, OPENED.replace("SEC(\"fentry/vfs_op\")\n", ""));
    place.skep(&["verify", "-k", "debian/trixie"]).expect(1);
    // The older one is warm, too.
    cache.file(&format!("snapshots/{}-0/seal", keys[0]), "");
    let mut editor = Editor::start(&place);
    editor.open(file);
    editor.until("the verdict", |published| {
        published.get(file).is_some_and(|found| found.iter().any(|one| one["code"] == "E0301"))
    });
    while !editor.refreshed.iter().any(|refreshed| refreshed == "workspace/codeLens/refresh") {
        let message = editor.receive("lenses");
        editor.take(message);
    }
    let document = json!({ "uri": uri(&place.path().join(file)) });
    let lenses = editor.ask("textDocument/codeLens", json!({ "textDocument": document }));
    let title = lenses[0]["command"]["title"].as_str().unwrap();
    assert!(title.starts_with("Linux 6.12.") && !title.contains("6.1.0"), "{title}");
    editor.quit();
}
