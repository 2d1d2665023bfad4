//! The flags that choose packages of a workspace, for every command that
//! takes projects.

use skep::ops::Packages;

/// Which packages.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PackageArgs {
    /// The package of that name in the workspace
    #[arg(short, long = "package", value_name = "NAME", conflicts_with = "paths")]
    packages: Vec<String>,
    /// All packages of the workspace
    #[arg(long, conflicts_with_all = ["paths", "packages"])]
    workspace: bool,
}

impl From<PackageArgs> for Packages {
    fn from(args: PackageArgs) -> Self {
        Self { names: args.packages, all: args.workspace }
    }
}
