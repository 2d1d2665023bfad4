//! The arguments that say which tests are meant, for every command that runs
//! them.

use super::packages::BuildArgs;
use skep::ops::test::Request;
use std::path::PathBuf;

/// Which tests, on which kernels.
///
/// A package can be named beside a test, but not beside a path, and only `ops`
/// tells them apart: here, no argument is a path.
#[derive(Clone, Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("paths"))]
pub struct TestArgs {
    /// Projects, BPF sources, objects or files of tests [default: the project
    /// here], and programs or tests in them, by their names or parts of these
    /// [default: all]
    #[arg(value_name = "PATH|NAME")]
    words: Vec<PathBuf>,
    #[command(flatten)]
    building: BuildArgs,
    /// A kernel: host, debian/SUITE, a version, or a path to an image or .deb
    /// [default: the project's matrix]
    #[arg(short, long = "kernel", value_name = "REF")]
    kernels: Vec<String>,
    /// Only tests whose name, or whose program's name, matches
    #[arg(short, long = "filter", value_name = "GLOB")]
    filters: Vec<String>,
}

impl From<TestArgs> for Request {
    fn from(args: TestArgs) -> Self {
        Self {
            words: args.words,
            profile: args.building.profile(),
            packages: args.building.packages.into(),
            kernels: args.kernels,
            filters: args.filters,
            ..Self::default()
        }
    }
}
