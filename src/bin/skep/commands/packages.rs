//! The flags that choose packages of a workspace and how they are built, for
//! every command that takes projects.

use skep::ops::Packages;
use skep::ops::build::Profile;

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

/// Which packages, and how they are built.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct BuildArgs {
    #[command(flatten)]
    pub packages: PackageArgs,
    /// Build with the profile `release`
    #[arg(long)]
    release: bool,
}

impl BuildArgs {
    /// The profile that is wished.
    pub fn profile(&self) -> Profile {
        if self.release { Profile::Release } else { Profile::Dev }
    }
}
