//! Debian's archive, through the machine's own `apt-get`.
//!
//! apt does what it is good at: the network, proxies, mirrors, signatures.
//! It gets a private state directory and a sources file of our own with the
//! mirror and the keyring taken from the machine's sources, so no root is
//! needed and the machine's package lists are neither read nor touched.

use super::package::field;
use super::{Error, Reference};
use crate::base::programs::Programs;
use crate::base::{Cancel, fs, process};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Debian's suites, by which a mirror in the machine's sources is known to be
/// one of Debian's own archive and not of an add-on.
const SUITES: &[&str] = &[
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "unstable",
    "testing",
    "stable",
    "oldstable",
    "oldoldstable",
];

/// The longest a download may take.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// What fetching needs of the machine.
#[derive(Clone, Debug)]
pub struct Apt {
    programs: Programs,
    etc: PathBuf,
}

/// A mirror of Debian's archive as the machine's sources describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mirror {
    uri: String,
    /// The value of `Signed-By`, which may be a key of several lines.
    signed_by: Option<String>,
    trusted: bool,
}

impl Apt {
    /// apt as found on the search path, with the machine's own sources.
    pub fn new(programs: Programs) -> Self {
        Self { programs, etc: PathBuf::from("/etc/apt") }
    }

    /// Fetches the package that holds the newest kernel of a suite into
    /// `scratch`, an empty directory that the caller removes. The result is
    /// the `.deb`'s path.
    pub(super) fn fetch(
        &self,
        suite: &str,
        flavour: &str,
        scratch: &Path,
        cancel: &Cancel,
        said: &dyn Fn(String),
    ) -> Result<PathBuf, Error> {
        let missing = |name: &str| Error::NoApt {
            reason: format!("{name} is not installed, and Debian's kernels are fetched with it"),
        };
        let get = self.programs.find("apt-get").ok_or_else(|| missing("apt-get"))?;
        let cache = self.programs.find("apt-cache").ok_or_else(|| missing("apt-cache"))?;
        let mirror = self.mirror()?;
        fs::write_atomic(&scratch.join("skep.sources"), mirror.source(suite).as_bytes())?;
        for dir in ["lists/partial", "archives/partial", "download", "conf"] {
            fs::create_dir_all(&scratch.join(dir))?;
        }
        fs::write_atomic(&scratch.join("apt.conf"), self.configuration(scratch)?.as_bytes())?;
        let run = |program: &Path, args: &[&str], what: &str| {
            let output = process::Command::new(program)
                .args(args)
                .env("APT_CONFIG", scratch.join("apt.conf"))
                .env("LC_ALL", "C.UTF-8")
                .cwd(scratch.join("download"))
                .timeout(LIMIT)
                .run(cancel)?;
            let stdout = String::from_utf8_lossy(&output.stdout);
            // `update` ends well although it got nothing.
            if output.success() && !stdout.lines().any(|line| line.starts_with("Err:")) {
                return Ok(stdout.into_owned());
            }
            Err(Error::Download { what: what.into(), tail: tail(&stdout, &output.stderr_text()) })
        };

        said(format!("package lists of {suite} from {}", mirror.uri));
        run(&get, &["update", "-q"], &format!("the package lists of {suite}"))?;
        // The meta-package leads, over one or two steps, to the package with
        // the image: linux-image-FLAVOUR → linux-image-RELEASE-FLAVOUR and
        // from 7.x on → linux-binary-RELEASE-FLAVOUR.
        let mut name = format!("linux-image-{flavour}");
        for _ in 0..4 {
            let what = format!("`{name}`, the kernel of {suite}");
            let show = |name: &str| run(&cache, &["show", "--no-all-versions", name], &what);
            let record = show(&name).map_err(|_| Error::NotFound {
                reference: Reference::Debian { suite: suite.into(), flavour: flavour.into() }
                    .to_string(),
                reason: format!("{suite} has no package `{name}`"),
                help: None,
            })?;
            let depends = field(&record, "Depends").unwrap_or_default();
            match kernel_dependency(depends) {
                Some(next) => name = next,
                None => break,
            }
        }
        let record = run(&cache, &["show", "--no-all-versions", &name], &name)?;
        let version = field(&record, "Version").unwrap_or_default().to_owned();
        let what = format!("{name} {version}");
        said(what.clone());
        run(&get, &["download", "-q", &name], &what)?;
        let debs = fs::read_dir(&scratch.join("download"))?;
        match debs.into_iter().find(|path| path.extension().is_some_and(|ext| ext == "deb")) {
            Some(path) => Ok(path),
            None => Err(Error::Download { what, tail: String::new() }),
        }
    }

    /// apt's configuration: the machine's own (proxies, mirrors' options),
    /// then what keeps this run private, without hooks.
    fn configuration(&self, scratch: &Path) -> Result<String, Error> {
        // APT_CONFIG is read before `Dir::Etc::parts`; to have the last word
        // we make the parts directory ours, with the machine's files in it.
        let parts = scratch.join("conf");
        let mut machine = self.etc.join("apt.conf.d");
        let mut files = if fs::is_dir(&machine) { fs::read_dir(&machine)? } else { Vec::new() };
        machine = self.etc.join("apt.conf");
        if fs::is_file(&machine) {
            files.push(machine);
        }
        for (index, file) in files.iter().filter(|path| fs::is_file(path)).enumerate() {
            // apt skips names with other letters; it would have skipped the
            // file in its own directory too, except for `.conf` files.
            if let Some(bytes) = fs::read_if_exists(file)?
                && is_part(file)
            {
                fs::write_atomic(&parts.join(format!("{index:03}")), &bytes)?;
            }
        }
        let path = |path: &Path| path.display().to_string();
        let last = format!(
            "#clear APT::Update::Pre-Invoke;\n\
             #clear APT::Update::Post-Invoke;\n\
             #clear APT::Update::Post-Invoke-Success;\n\
             #clear DPkg::Pre-Invoke;\n\
             #clear DPkg::Post-Invoke;\n\
             #clear APT::Default-Release;\n\
             Dir::Etc::sourcelist \"{sources}\";\n\
             Dir::Etc::sourceparts \"-\";\n\
             Dir::Etc::preferences \"-\";\n\
             Dir::Etc::preferencesparts \"-\";\n\
             Dir::State \"{scratch}\";\n\
             Dir::State::lists \"{scratch}/lists\";\n\
             Dir::State::status \"/dev/null\";\n\
             Dir::Cache \"{scratch}\";\n\
             Dir::Cache::archives \"{scratch}/archives\";\n\
             Dir::Log \"{scratch}\";\n\
             APT::Sandbox::User \"\";\n\
             APT::Architecture \"amd64\";\n\
             APT::Architectures {{ \"amd64\"; }};\n\
             Acquire::Languages \"none\";\n\
             Acquire::Retries \"2\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
             Acquire::IndexTargets::deb::DEP-11-icons-small::DefaultEnabled \"false\";\n\
             Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled \"false\";\n\
             Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled \"false\";\n\
             Acquire::IndexTargets::deb::CNF::DefaultEnabled \"false\";\n",
            sources = path(&scratch.join("skep.sources")),
            scratch = path(scratch),
        );
        fs::write_atomic(&parts.join("zzz-last"), last.as_bytes())?;
        Ok(format!("Dir::Etc::parts \"{}\";\nDir::Etc::main \"-\";\n", path(&parts)))
    }

    /// The first mirror of Debian's archive among the machine's sources.
    fn mirror(&self) -> Result<Mirror, Error> {
        let mut files = vec![self.etc.join("sources.list")];
        let parts = self.etc.join("sources.list.d");
        if fs::is_dir(&parts) {
            files.extend(fs::read_dir(&parts)?);
        }
        for file in files {
            let Some(bytes) = fs::read_if_exists(&file)? else { continue };
            let text = String::from_utf8_lossy(&bytes);
            let found = match file.extension().and_then(|ext| ext.to_str()) {
                Some("sources") => deb822(&text),
                Some("list") => one_line(&text),
                _ => None,
            };
            if let Some(mirror) = found {
                return Ok(mirror);
            }
        }
        Err(Error::NoApt {
            reason: format!(
                "the apt sources of this machine ({}) name no mirror of Debian",
                self.etc.display()
            ),
        })
    }
}

impl Mirror {
    /// A deb822 source for one suite of this mirror.
    fn source(&self, suite: &str) -> String {
        let mut source =
            format!("Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\n", self.uri);
        if let Some(signed_by) = &self.signed_by {
            source.push_str(&format!("Signed-By: {signed_by}\n"));
        }
        if self.trusted {
            source.push_str("Trusted: yes\n");
        }
        source
    }
}

/// Names that run-parts directories of apt allow.
fn is_part(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let stem = name.strip_suffix(".conf").unwrap_or(name);
    !stem.is_empty()
        && stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

fn is_debian(suites: &str, components: &str) -> bool {
    suites.split_whitespace().any(|suite| SUITES.contains(&suite))
        && components.split_whitespace().any(|component| component == "main")
}

/// Debian's mirror in a file of `deb [options] uri suite component…` lines.
fn one_line(text: &str) -> Option<Mirror> {
    text.lines().find_map(|line| {
        let mut rest = line.trim().strip_prefix("deb")?;
        if !rest.starts_with([' ', '\t', '[']) {
            return None;
        }
        rest = rest.trim_start();
        let mut options = "";
        if let Some(inner) = rest.strip_prefix('[') {
            (options, rest) = inner.split_once(']')?;
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let mut words = rest.split_whitespace();
        let (uri, suite) = (words.next()?, words.next()?);
        if !is_debian(suite, &words.collect::<Vec<_>>().join(" ")) {
            return None;
        }
        let option = |name: &str| {
            options.split_whitespace().find_map(|option| {
                let (key, value) = option.split_once('=')?;
                (key == name).then(|| value.to_owned())
            })
        };
        Some(Mirror {
            uri: uri.to_owned(),
            signed_by: option("signed-by").map(|list| list.replace(',', " ")),
            trusted: option("trusted").as_deref() == Some("yes"),
        })
    })
}

/// Debian's mirror in a file of deb822 stanzas.
fn deb822(text: &str) -> Option<Mirror> {
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
    text.split("\n\n").find_map(|stanza| {
        let types = folded(stanza, "Types")?;
        let enabled = folded(stanza, "Enabled").is_none_or(|value| value != "no");
        if !enabled || !types.split_whitespace().any(|kind| kind == "deb") {
            return None;
        }
        if !is_debian(&folded(stanza, "Suites")?, &folded(stanza, "Components")?) {
            return None;
        }
        Some(Mirror {
            uri: folded(stanza, "URIs")?.split_whitespace().next()?.to_owned(),
            signed_by: folded(stanza, "Signed-By"),
            trusted: folded(stanza, "Trusted").as_deref() == Some("yes"),
        })
    })
}

/// A field with its continuation lines, as they stand.
fn folded(stanza: &str, name: &str) -> Option<String> {
    let mut lines = stanza.lines().skip_while(|line| {
        !line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name))
    });
    let first = lines.next()?.split_once(':')?.1.trim().to_owned();
    let more = lines.take_while(|line| line.starts_with([' ', '\t']));
    Some(more.fold(first, |all, line| format!("{all}\n{line}")))
}

/// The package among dependencies that leads on to a kernel image.
fn kernel_dependency(depends: &str) -> Option<String> {
    depends
        .split(',')
        .filter_map(|alternatives| alternatives.split('|').next()?.split_whitespace().next())
        .find(|name| {
            ["linux-image-", "linux-binary-"].iter().any(|prefix| {
                name.strip_prefix(prefix)
                    .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            })
        })
        .map(str::to_owned)
}

/// The lines that tell why apt failed: its own errors, else its last words.
fn tail(stdout: &str, stderr: &str) -> String {
    let marked =
        |line: &&str| ["E: ", "Err:", "W: Failed"].iter().any(|mark| line.starts_with(mark));
    let mut lines: Vec<&str> = stdout.lines().chain(stderr.lines()).filter(marked).collect();
    if lines.is_empty() {
        lines = stdout.lines().chain(stderr.lines()).collect();
    }
    lines[lines.len().saturating_sub(6)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(uri: &str, signed_by: Option<&str>) -> Mirror {
        Mirror { uri: uri.into(), signed_by: signed_by.map(str::to_owned), trusted: false }
    }

    #[test]
    fn the_one_line_format_is_read() {
        let text = "# deb http://old/debian bookworm main\n\
                    deb-src http://src/debian bookworm main\n\
                    deb https://tools.example/apt cloud-bookworm main\n\
                    deb http://security.example/debian-security bookworm-security main\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://m.example/debian bookworm main contrib # x\n";
        assert_eq!(one_line(text), Some(mirror("http://m.example/debian", Some("/k.gpg"))));
        assert_eq!(one_line("deb http://m/debian trixie\n"), None);
        assert_eq!(one_line("deb [trusted=yes http://m/debian trixie main\n"), None);
    }

    #[test]
    fn the_deb822_format_is_read() {
        let text = "# about\nTypes: deb\n# more\nURIs: http://a.example/ubuntu\nSuites: noble\nComponents: main\n\n\
                    Types: deb deb-src\nURIs: http://m.example/debian http://n\nSuites: trixie trixie-updates\n\
                    Components: main\nSigned-By:\n -----BEGIN\n .\n abc\n";
        assert_eq!(
            deb822(text),
            Some(mirror("http://m.example/debian", Some("\n -----BEGIN\n .\n abc")))
        );
        assert_eq!(deb822(&text.replace("Types: deb deb-src", "Enabled: no\nTypes: deb")), None);
    }

    #[test]
    fn the_meta_package_leads_to_the_image() {
        let next = |depends| kernel_dependency(depends);
        assert_eq!(
            next("linux-image-6.1.0-50-cloud-amd64 (= 6.1.176-1)").as_deref(),
            Some("linux-image-6.1.0-50-cloud-amd64")
        );
        assert_eq!(
            next("linux-base-7.2 (= 1), linux-binary-7.2.13-cloud-amd64 | x, linux-modules-7.2")
                .as_deref(),
            Some("linux-binary-7.2.13-cloud-amd64")
        );
        assert_eq!(next("kmod, linux-base (>= 4.3~), initramfs-tools | dracut"), None);
    }

    #[test]
    fn apts_errors_are_its_last_words() {
        let tail = tail("Get:1 x\nErr:2 http://m trixie\n  404\n", "W: x\nE: cannot\n");
        assert_eq!(tail, "Err:2 http://m trixie\nE: cannot");
    }
}
