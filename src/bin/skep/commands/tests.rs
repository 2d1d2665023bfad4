//! The arguments that say which tests are meant, for every command that runs
//! them.

use super::packages::BuildArgs;
use skep::ops::test::Request;
use std::path::PathBuf;

/// Which tests, on which kernels.
#[derive(Clone, Debug, clap::Args)]
pub struct TestArgs {
    /// Projects, BPF sources, objects, or files of tests [default: the project
    /// here]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
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
            paths: args.paths,
            profile: args.building.profile(),
            packages: args.building.packages.into(),
            kernels: args.kernels,
            filters: args.filters,
            ..Self::default()
        }
    }
}
