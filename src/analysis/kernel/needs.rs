//! What an object needs of kernels, and since when kernels have it.
//!
//! Nothing here knows a fact of its own: the rules of availability are asked
//! about kernels of every release in which something came, and what they miss
//! in one release and not in the next came with that next one.

use super::super::{Context, Sources};
use super::{Kernel, Subject, attach, availability, externs};
use crate::bpf::{
    AttachType, Feature, Helper, KernelVersion, MapType, ProgramType, allowed, context,
};
use crate::diagnostics::{Diagnostic, codes};
use crate::elf::Object;
use std::collections::BTreeSet;
use std::path::Path;

/// Something that an object needs of kernels.
#[derive(Clone, Debug)]
pub struct Need {
    /// The first release that has it; of what a type of program may call, the
    /// first of the kernels that were asked.
    pub since: KernelVersion,
    /// What older kernels are told to lack, on its C line.
    pub finding: Diagnostic,
}

impl Need {
    /// Whether a finding about a kernel says that this is missing there.
    pub fn is_missed_by(&self, finding: &Diagnostic) -> bool {
        is_same(&self.finding, finding)
    }
}

/// All that an object needs, the newest first: the first one's release is the
/// oldest kernel that takes every program.
pub fn needs(object: &Object, path: &Path, sources: Sources<'_>) -> Vec<Need> {
    let context = Context::new(object, path, sources);
    let releases = releases();
    let asked = allowed::asked();
    let mut needs: Vec<Need> = Vec::new();
    let nothing = KernelVersion::new(0, 0);
    for (at, release) in std::iter::once(nothing).chain(releases.iter().copied()).enumerate() {
        let kernel = Kernel::of_version("", release);
        let mut findings = Vec::new();
        let meant = attach::check(&context, &kernel, &mut findings);
        let subject = Subject::new(&context, &meant);
        availability::check(&subject, &kernel, &mut findings);
        externs::check(&subject, &kernel, &mut findings);
        for finding in findings {
            let since = if finding.code == codes::HELPER_NOT_ALLOWED {
                asked.iter().copied().find(|known| *known > release)
            } else {
                // Place `at` among the releases alone is the one after.
                releases.get(at).copied()
            };
            let Some(since) = since else { continue };
            match needs.iter_mut().find(|known| is_same(&known.finding, &finding)) {
                Some(known) => known.since = since,
                None => needs.push(Need { since, finding }),
            }
        }
    }
    needs.sort_by_key(|need| std::cmp::Reverse(need.since));
    needs
}

fn is_same(a: &Diagnostic, b: &Diagnostic) -> bool {
    let line = |finding: &Diagnostic| {
        finding.primary.as_ref().map(|label| (label.span.file.clone(), label.span.start.line))
    };
    a.code == b.code && a.message == b.message && line(a) == line(b)
}

/// Every release in which something came.
fn releases() -> Vec<KernelVersion> {
    let mut all = BTreeSet::new();
    all.extend(Helper::all().map(Helper::since));
    all.extend(MapType::ALL.iter().map(|known| known.since()));
    all.extend(ProgramType::ALL.iter().map(|known| known.since()));
    all.extend(AttachType::ALL.iter().map(|known| known.since()));
    all.extend(Feature::ALL.iter().map(|known| known.since()));
    all.extend(context::releases());
    all.extend(allowed::asked());
    all.into_iter().collect()
}
