//! Debian's and Ubuntu's archives, through the machine's own `apt-get`.
//!
//! apt does what it is good at: the network, proxies, mirrors, signatures.
//! It gets a private state directory and a sources file of our own with the
//! mirror and the keyring taken from the machine's sources or named by the
//! user, so no root is needed and the machine's package lists are neither
//! read nor touched.

use super::package::field;
use super::{Distribution, Error, Reference};
use crate::base::programs::Programs;
use crate::base::{Cancel, fs, process};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest a download may take.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Mirrors that the user names, because the machine's sources have none:
/// `URI`, or `[signed-by=KEYRING] URI` as in a line of sources.list(5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirrors {
    /// Of Debian's archive.
    pub debian: Option<String>,
    /// Of Ubuntu's.
    pub ubuntu: Option<String>,
}

/// What fetching needs of the machine.
#[derive(Clone, Debug)]
pub struct Apt {
    programs: Programs,
    mirrors: Mirrors,
    etc: PathBuf,
}

/// A mirror of an archive as the machine's sources describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mirror {
    uri: String,
    /// The value of `Signed-By`, which may be a key of several lines.
    signed_by: Option<String>,
    trusted: bool,
}

/// A kernel's packages, fetched.
#[derive(Debug)]
pub(super) struct Fetched {
    /// The packages: one has the image, others the modules and the
    /// configuration.
    pub packages: Vec<PathBuf>,
}

/// A kernel that can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Available {
    /// How to ask for it.
    pub reference: Reference,
    /// The package with the image.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// As `uname -r` prints it.
    pub release: String,
}

/// apt under way with lists of one distribution's suites.
struct Lists<'a> {
    get: PathBuf,
    cache: PathBuf,
    scratch: &'a Path,
    cancel: &'a Cancel,
}

impl Apt {
    /// apt as found on the search path, with the machine's own sources.
    pub fn new(programs: Programs) -> Self {
        Self { programs, mirrors: Mirrors::default(), etc: PathBuf::from("/etc/apt") }
    }

    /// The same, with mirrors that go before those of the machine's sources.
    pub fn with_mirrors(self, mirrors: Mirrors) -> Self {
        Self { mirrors, ..self }
    }

    /// The programs it is found among.
    pub(super) fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Fetches the packages of the newest kernel of a suite, or of an exact
    /// one (its image's package and version), into `scratch`, an empty
    /// directory that the caller removes.
    ///
    /// # Errors
    /// [`Error::Gone`] if the exact one is not there any more.
    pub(super) fn fetch(
        &self,
        (distribution, suite, flavour): (Distribution, &str, &str),
        exact: Option<(&str, &str)>,
        scratch: &Path,
        cancel: &Cancel,
        said: &dyn Fn(String),
    ) -> Result<Fetched, Error> {
        let lists = self.update(distribution, &[suite], scratch, cancel, said)?;
        let reference = || {
            Reference::Packaged { distribution, suite: suite.into(), flavour: flavour.into() }
                .to_string()
        };
        let (mut wanted, version) = match exact {
            Some((package, version)) => {
                if lists.show(&format!("{package}={version}")).is_err() {
                    return Err(Error::Gone {
                        reference: reference(),
                        package: package.into(),
                        version: version.into(),
                    });
                }
                (vec![package.to_owned()], Some(version))
            }
            None => (vec![lists.image(suite, flavour, &reference)?.0], None),
        };
        // What the image's package needs of modules and configuration; what
        // stands beside it, if an image does not ask for it.
        if let Some(rest) = wanted[0].strip_prefix("linux-binary-") {
            wanted.push(format!("linux-modules-{rest}"));
        }
        let mut next = 0;
        while let Some(name) = wanted.get(next).cloned() {
            next += 1;
            let Ok(record) = lists.show(&name) else { continue };
            for needed in kernel_dependencies(field(&record, "Depends").unwrap_or_default()) {
                if !wanted.contains(&needed) {
                    wanted.push(needed);
                }
            }
        }
        let mut asked = Vec::new();
        for (place, name) in wanted.iter().enumerate() {
            let versioned = version.map(|version| format!("{name}={version}"));
            let known = versioned.filter(|name| lists.show(name).is_ok());
            match known {
                Some(name) => asked.push(name),
                None if place == 0 || lists.show(name).is_ok() => asked.push(name.clone()),
                None => {}
            }
        }
        let what = asked.join(" ");
        said(what.clone());
        let mut args = vec!["download", "-q"];
        args.extend(asked.iter().map(String::as_str));
        lists.run(&lists.get, &args, &what)?;
        let files = fs::read_dir(&scratch.join("download"))?;
        let is_deb = |path: &PathBuf| path.extension().is_some_and(|ext| ext == "deb");
        let packages: Vec<PathBuf> = files.into_iter().filter(is_deb).collect();
        if packages.is_empty() {
            return Err(Error::Download { what, tail: String::new() });
        }
        Ok(Fetched { packages })
    }

    /// The newest kernels of a distribution's suites, in the usual flavour.
    pub(super) fn available(
        &self,
        distribution: Distribution,
        scratch: &Path,
        cancel: &Cancel,
        said: &dyn Fn(String),
    ) -> Result<Vec<Available>, Error> {
        let suites: Vec<&str> = distribution.suites().iter().map(|(suite, _)| *suite).collect();
        let lists = self.update(distribution, &suites, scratch, cancel, said)?;
        let mut available = Vec::new();
        for suite in suites {
            let reference = Reference::suite(distribution, suite);
            // A mirror need not have all suites.
            let found = lists.image(suite, distribution.flavour(), &|| reference.to_string());
            if let Ok((package, version)) = found {
                let release = package.splitn(3, '-').nth(2).unwrap_or_default().to_owned();
                available.push(Available { reference, package, version, release });
            }
        }
        Ok(available)
    }

    /// Gets the lists of a distribution's suites. One that a mirror does not
    /// have is an error only if it is the only one.
    fn update<'a>(
        &self,
        distribution: Distribution,
        suites: &[&str],
        scratch: &'a Path,
        cancel: &'a Cancel,
        said: &dyn Fn(String),
    ) -> Result<Lists<'a>, Error> {
        let missing = |name: &str| Error::NoTool {
            reason: format!(
                "{name} is not installed, and {}'s kernels are fetched with it",
                distribution.title()
            ),
        };
        let get = self.programs.find("apt-get").ok_or_else(|| missing("apt-get"))?;
        let cache = self.programs.find("apt-cache").ok_or_else(|| missing("apt-cache"))?;
        let mirror = self.mirror(distribution)?;
        let sources: Vec<String> =
            suites.iter().map(|suite| mirror.source(distribution, suite)).collect();
        fs::write_atomic(&scratch.join("skep.sources"), sources.join("\n").as_bytes())?;
        for dir in ["lists/partial", "archives/partial", "download", "conf"] {
            fs::create_dir_all(&scratch.join(dir))?;
        }
        fs::write_atomic(&scratch.join("apt.conf"), self.configuration(scratch)?.as_bytes())?;
        let names = suites.join(", ");
        said(format!("package lists of {names} from {}", mirror.uri));
        let lists = Lists { get, cache, scratch, cancel };
        let result =
            lists.run(&lists.get, &["update", "-q"], &format!("the package lists of {names}"));
        match result {
            Err(error @ Error::Download { .. }) if suites.len() == 1 => Err(error),
            Ok(_) | Err(Error::Download { .. }) => Ok(lists),
            Err(error) => Err(error),
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

    /// The mirror that the user names, else the first of the distribution's
    /// archive among the machine's sources.
    fn mirror(&self, distribution: Distribution) -> Result<Mirror, Error> {
        let (named, variable) = match distribution {
            Distribution::Ubuntu => (&self.mirrors.ubuntu, UBUNTU_MIRROR),
            Distribution::Debian | Distribution::Fedora => (&self.mirrors.debian, DEBIAN_MIRROR),
        };
        if let Some(text) = named {
            let suite = distribution.suites().first().map_or("sid", |(suite, _)| suite);
            let mut mirror = one_line(&format!("deb {} {suite} main", text.trim()), distribution)
                .ok_or_else(|| Error::NoTool {
                reason: format!("{variable} is not `URI` or `[signed-by=FILE] URI`: {text}"),
            })?;
            // Where the package with the archive's keys puts them.
            let keyring =
                format!("/usr/share/keyrings/{}-archive-keyring.gpg", distribution.as_str());
            if mirror.signed_by.is_none() && fs::is_file(Path::new(&keyring)) {
                mirror.signed_by = Some(keyring);
            }
            return Ok(mirror);
        }
        let mut files = vec![self.etc.join("sources.list")];
        let parts = self.etc.join("sources.list.d");
        if fs::is_dir(&parts) {
            files.extend(fs::read_dir(&parts)?);
        }
        for file in files {
            let Some(bytes) = fs::read_if_exists(&file)? else { continue };
            let text = String::from_utf8_lossy(&bytes);
            let found = match file.extension().and_then(|ext| ext.to_str()) {
                Some("sources") => deb822(&text, distribution),
                Some("list") => one_line(&text, distribution),
                _ => None,
            };
            if let Some(mirror) = found {
                return Ok(mirror);
            }
        }
        Err(Error::NoMirror { distribution, etc: self.etc.clone(), variable })
    }
}

/// The variables of the environment that name mirrors.
pub const DEBIAN_MIRROR: &str = "SKEP_DEBIAN_MIRROR";
/// See [`DEBIAN_MIRROR`].
pub const UBUNTU_MIRROR: &str = "SKEP_UBUNTU_MIRROR";

impl Lists<'_> {
    /// Runs one of apt's programs; its standard output.
    fn run(&self, program: &Path, args: &[&str], what: &str) -> Result<String, Error> {
        let output = process::Command::new(program)
            .args(args)
            .env("APT_CONFIG", self.scratch.join("apt.conf"))
            .env("LC_ALL", "C.UTF-8")
            .cwd(self.scratch.join("download"))
            .timeout(LIMIT)
            .run(self.cancel)?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        // `update` ends well although it got nothing.
        if output.success() && !stdout.lines().any(|line| line.starts_with("Err:")) {
            return Ok(stdout.into_owned());
        }
        Err(Error::Download { what: what.into(), tail: tail(&stdout, &output.stderr_text()) })
    }

    /// A package's record.
    fn show(&self, name: &str) -> Result<String, Error> {
        let record = self.run(&self.cache, &["show", "--no-all-versions", name], name)?;
        // It may end well and have said nothing.
        match field(&record, "Package") {
            Some(_) => Ok(record),
            None => Err(Error::Download { what: name.into(), tail: String::new() }),
        }
    }

    /// The package with the image of a suite's newest kernel, and its
    /// version. The meta-package leads there over one or two steps:
    /// linux-image-FLAVOUR → linux-image-RELEASE-FLAVOUR and in Debian from
    /// 7.x on → linux-binary-RELEASE-FLAVOUR.
    fn image(
        &self,
        suite: &str,
        flavour: &str,
        reference: &dyn Fn() -> String,
    ) -> Result<(String, String), Error> {
        let meta = format!("linux-image-{flavour}");
        // In Ubuntu the newest is in `SUITE-updates`.
        let show = |name: &str| {
            let of_suite = self.show(&format!("{name}/{suite}-updates"));
            of_suite.or_else(|_| self.show(&format!("{name}/{suite}"))).or_else(|_| self.show(name))
        };
        let mut name = meta.clone();
        let mut record = show(&name).map_err(|error| match error {
            Error::Cancelled => error,
            _ => Error::NotFound {
                reference: reference(),
                reason: format!("{suite} has no package `{meta}`"),
                help: None,
            },
        })?;
        for _ in 0..4 {
            let depends = field(&record, "Depends").unwrap_or_default();
            match kernel_dependency(depends) {
                Some(next) => name = next,
                None => break,
            }
            record = show(&name)?;
        }
        let version = field(&record, "Version").unwrap_or_default().to_owned();
        Ok((name, version))
    }
}

impl Mirror {
    /// A deb822 source for one suite of this mirror.
    fn source(&self, distribution: Distribution, suite: &str) -> String {
        // Ubuntu's kernels are replaced in these; a mirror has them all.
        let suites = match distribution {
            Distribution::Ubuntu => format!("{suite} {suite}-updates {suite}-security"),
            Distribution::Debian | Distribution::Fedora => suite.to_owned(),
        };
        let mut source =
            format!("Types: deb\nURIs: {}\nSuites: {suites}\nComponents: main\n", self.uri);
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

/// Whether a source's suites are of the distribution's own archive, and not of
/// an add-on to it.
fn is_archive_of(distribution: Distribution, suites: &str, components: &str) -> bool {
    // Names that lead on to others.
    let aliases: &[&str] = match distribution {
        Distribution::Debian => {
            &["duke", "unstable", "testing", "stable", "oldstable", "oldoldstable"]
        }
        Distribution::Ubuntu | Distribution::Fedora => &["bionic", "oracular", "resolute", "devel"],
    };
    let is_known = |suite: &str| {
        aliases.contains(&suite) || distribution.suites().iter().any(|(known, _)| *known == suite)
    };
    suites.split_whitespace().any(is_known)
        && components.split_whitespace().any(|component| component == "main")
}

/// A distribution's mirror in a file of `deb [options] uri suite component…` lines.
fn one_line(text: &str, distribution: Distribution) -> Option<Mirror> {
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
        if !is_archive_of(distribution, suite, &words.collect::<Vec<_>>().join(" ")) {
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

/// A distribution's mirror in a file of deb822 stanzas.
fn deb822(text: &str, distribution: Distribution) -> Option<Mirror> {
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
        if !is_archive_of(distribution, &folded(stanza, "Suites")?, &folded(stanza, "Components")?)
        {
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

/// The names of packages that dependencies ask for, without versions; of
/// alternatives the first.
fn names(depends: &str) -> impl Iterator<Item = &str> {
    depends
        .split(',')
        .filter_map(|alternatives| alternatives.split('|').next()?.split_whitespace().next())
}

/// Whether a package's name is one of these followed by a kernel's release.
fn has_release(name: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| {
        name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// The package among dependencies that leads on to a kernel image.
fn kernel_dependency(depends: &str) -> Option<String> {
    names(depends)
        .find(|name| has_release(name, &["linux-image-", "linux-binary-"]))
        .map(str::to_owned)
}

/// The packages among dependencies that have parts of the kernel.
fn kernel_dependencies(depends: &str) -> impl Iterator<Item = String> {
    const PARTS: &[&str] = &["linux-image-", "linux-binary-", "linux-modules-", "linux-base-"];
    names(depends).filter(|name| has_release(name, PARTS)).map(str::to_owned)
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
        assert_eq!(
            one_line(text, Distribution::Debian),
            Some(mirror("http://m.example/debian", Some("/k.gpg")))
        );
        assert_eq!(one_line("deb http://m/debian trixie\n", Distribution::Debian), None);
        assert_eq!(
            one_line("deb [trusted=yes http://m/debian trixie main\n", Distribution::Debian),
            None
        );
    }

    #[test]
    fn the_deb822_format_is_read() {
        let text = "# about\nTypes: deb\n# more\nURIs: http://a.example/ubuntu\nSuites: noble\nComponents: main\n\n\
                    Types: deb deb-src\nURIs: http://m.example/debian http://n\nSuites: trixie trixie-updates\n\
                    Components: main\nSigned-By:\n -----BEGIN\n .\n abc\n";
        assert_eq!(
            deb822(text, Distribution::Debian),
            Some(mirror("http://m.example/debian", Some("\n -----BEGIN\n .\n abc")))
        );
        let disabled = text.replace("Types: deb deb-src", "Enabled: no\nTypes: deb");
        assert_eq!(deb822(&disabled, Distribution::Debian), None);
        let ubuntu = deb822(text, Distribution::Ubuntu);
        assert_eq!(ubuntu, Some(mirror("http://a.example/ubuntu", None)));
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
        let parts = |depends| kernel_dependencies(depends).collect::<Vec<_>>().join(" ");
        assert_eq!(
            parts(
                "kmod, linux-base (>= 4.5), linux-modules-6.8.0-31-generic, linux-modules-extra-6.8"
            ),
            "linux-modules-6.8.0-31-generic"
        );
        assert_eq!(
            parts("linux-base-7.2.1-a (= 1), linux-modules-7.2.1-a (= 1)"),
            "linux-base-7.2.1-a linux-modules-7.2.1-a"
        );
    }

    #[test]
    fn a_mirror_that_the_user_names_goes_first() {
        let named = |text: &str| {
            let mirrors = Mirrors { debian: Some(text.into()), ubuntu: Some(text.into()) };
            Apt::new(Programs::default()).with_mirrors(mirrors).mirror(Distribution::Ubuntu)
        };
        let mirror = named("[trusted=yes] file:/srv/ubuntu").unwrap();
        assert_eq!((mirror.uri.as_str(), mirror.trusted), ("file:/srv/ubuntu", true));
        let mirror = named("[signed-by=/k.gpg] http://u.example/ubuntu").unwrap();
        assert_eq!(mirror.signed_by.as_deref(), Some("/k.gpg"));
        assert_eq!(
            mirror.source(Distribution::Ubuntu, "noble"),
            "Types: deb\nURIs: http://u.example/ubuntu\nSuites: noble noble-updates noble-security\n\
             Components: main\nSigned-By: /k.gpg\n"
        );
        assert!(matches!(named("[broken http://x"), Err(Error::NoTool { .. })));
    }

    #[test]
    fn without_a_mirror_the_variable_that_names_one_is_told() {
        let etc = tempfile::tempdir().unwrap();
        let debian = "deb http://m.example/debian trixie main\n";
        fs::write_atomic(&etc.path().join("sources.list"), debian.as_bytes()).unwrap();
        let apt = Apt { etc: etc.path().into(), ..Apt::new(Programs::default()) };
        assert_eq!(apt.mirror(Distribution::Debian).unwrap().uri, "http://m.example/debian");
        let error = apt.mirror(Distribution::Ubuntu).unwrap_err();
        let diagnostic = crate::diagnostics::Diagnostic::from(error);
        assert!(diagnostic.message.ends_with("name no mirror of Ubuntu"), "{diagnostic:?}");
        assert!(format!("{diagnostic:?}").contains("SKEP_UBUNTU_MIRROR"), "{diagnostic:?}");
    }

    #[test]
    fn apts_errors_are_its_last_words() {
        let tail = tail("Get:1 x\nErr:2 http://m trixie\n  404\n", "W: x\nE: cannot\n");
        assert_eq!(tail, "Err:2 http://m trixie\nE: cannot");
    }
}
