//! The steps of the graph that make user programs.

use super::{Program, User, messages};
use crate::base::digest::Digest;
use crate::base::process::Command;
use crate::build::steps::{Ran, Step};
use crate::build::{Error, Workspace, compile, install};
use crate::events::Event;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

impl User {
    /// What decides about an object, as far as it is on the command line.
    fn essential(&self, root: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["-g".into()];
        if self.optimised {
            arguments.push("-O2".into());
        }
        let mut include = |dir: &Path| {
            arguments.push("-I".into());
            arguments.push(dir.strip_prefix(root).unwrap_or(dir).into());
        };
        include(&self.generated);
        self.include.iter().for_each(|dir| include(dir));
        arguments.extend_from_slice(&self.libbpf.cflags);
        arguments.extend(self.cflags.iter().map(OsString::from));
        arguments
    }

    fn command(&self, root: &Path) -> Command {
        let mut map = OsString::from("-ffile-prefix-map=");
        map.push(root);
        map.push("/=");
        Command::new(&self.compiler.path)
            .cwd(root)
            // The messages are read, and must not be translated.
            .env("LC_ALL", "C")
            .env("PWD", root)
            .args(self.essential(root))
            .arg(map)
            .args(messages::ARGUMENTS)
    }

    /// The command line of a source as editors need it.
    pub(in crate::build) fn for_editors(&self, root: &Path, source: &Path) -> Vec<String> {
        let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
        std::iter::once(text(self.compiler.path.as_os_str()))
            .chain(self.essential(root).iter().map(|word| text(word)))
            .chain(["-c".to_owned(), text(source.as_os_str())])
            .collect()
    }

    /// The linker's arguments behind the objects.
    fn link_arguments(&self) -> Vec<OsString> {
        let mut arguments = self.libbpf.link.clone();
        for library in &self.libs {
            let is_argument = library.starts_with('-') || library.contains('/');
            arguments.push(if is_argument {
                library.into()
            } else {
                format!("-l{library}").into()
            });
        }
        arguments.extend_from_slice(&self.libbpf.requires);
        if self.is_static {
            arguments.insert(0, "-static".into());
        }
        arguments
    }
}

/// Where the object of a source lies.
pub fn object(state: &Path, profile: &str, source: &Path) -> PathBuf {
    state.join(profile).join("user").join(format!("{}.o", source.display()))
}

/// The steps, which come behind `after`, the steps that make skeletons. `first`
/// is the index that the first of them will have.
pub fn steps<'a>(
    workspace: &'a Workspace<'_, '_>,
    user: &'a User,
    after: &[usize],
    first: usize,
) -> Vec<Step<'a>> {
    let sources = user.sources.iter().map(|source| compile_step(workspace, user, source, after));
    let programs = user.programs.iter().map(|program| link_step(workspace, user, program, first));
    sources.chain(programs).collect()
}

fn compile_step<'a>(
    workspace: &'a Workspace<'_, '_>,
    user: &'a User,
    source: &'a Path,
    after: &[usize],
) -> Step<'a> {
    let request = workspace.request;
    let object = object(&workspace.state, request.profile, source);
    let unique = Digest::of(source.as_os_str().as_encoded_bytes()).short();
    let aside = workspace.aside.join(format!("{unique}.user.o"));
    let dependencies = workspace.aside.join(format!("{unique}.user.d"));
    let words = user.essential(request.root);
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    Step {
        name: format!("{}/user/{}", request.profile, source.display()),
        verb: Some("Compiling"),
        subject: source.display().to_string(),
        key: vec![
            ("the C compiler", user.compiler.version.clone()),
            ("the C compiler's place", user.compiler.path.display().to_string()),
            ("the libbpf of user programs", user.libbpf.identity.clone()),
            ("the command line", words.join(" ")),
        ],
        inputs: vec![request.root.join(source)],
        outputs: vec![object.clone()],
        after: after.to_vec(),
        run: Box::new(move || {
            let command = user
                .command(request.root)
                .args(["-MD", "-MT", "object", "-MF"])
                .arg(&dependencies)
                .arg("-c")
                .arg(source)
                .arg("-o")
                .arg(&aside);
            let parse = |log: &str| messages::of_compiler(log, request.root, &|_| None);
            let ran = compile(request, &command, source, &dependencies, &parse)?;
            if !ran.failed {
                install(&aside, &object)?;
            }
            Ok(ran)
        }),
    }
}

fn link_step<'a>(
    workspace: &'a Workspace<'_, '_>,
    user: &'a User,
    program: &'a Program,
    first: usize,
) -> Step<'a> {
    let request = workspace.request;
    let objects: Vec<PathBuf> = program
        .sources
        .iter()
        .map(|&index| object(&workspace.state, request.profile, &user.sources[index]))
        .collect();
    let unique = Digest::of(program.name.as_bytes()).short();
    let aside = workspace.aside.join(format!("{unique}.program"));
    let arguments = user.link_arguments();
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    let mut inputs = objects.clone();
    inputs.extend_from_slice(&user.libbpf.files);
    Step {
        name: format!("{}/program/{}", request.profile, program.name),
        verb: Some("Linking"),
        subject: program.name.clone(),
        key: vec![
            ("the C compiler", user.compiler.version.clone()),
            ("the C compiler's place", user.compiler.path.display().to_string()),
            ("the libbpf of user programs", user.libbpf.identity.clone()),
            ("the linker's arguments", words.join(" ")),
        ],
        inputs,
        outputs: vec![program.path.clone()],
        after: program.sources.iter().map(|source| first + source).collect(),
        run: Box::new(move || {
            // Relative, so that messages and DWARF do not say where we are.
            let relative = |path: &Path| path.strip_prefix(request.root).unwrap_or(path).to_owned();
            let command = Command::new(&user.compiler.path)
                .cwd(request.root)
                .env("LC_ALL", "C")
                .args(objects.iter().map(|path| relative(path)))
                .arg("-o")
                .arg(&aside)
                .args(&arguments);
            request.sink.emit(Event::Detail(in_words(&command)));
            let output = command.run(request.cancel)?;
            if request.cancel.is_cancelled() {
                return Err(crate::base::process::Error::Cancelled.into());
            }
            let log = output.stderr_text();
            if !output.success() {
                if log.contains("No space left on device") {
                    return Err(Error::DiskFull { source: program.path.clone() });
                }
                return Ok(Ran { log, failed: true, ..Ran::default() });
            }
            install(&aside, &program.path)?;
            Ok(Ran { log, ..Ran::default() })
        }),
    }
}

/// A command line, for people who want to see it.
pub fn in_words(command: &Command) -> String {
    command.words().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
