//! What hovering says: what a helper, a map type, a program type or a
//! section's name is, and since which kernel there is one.

use super::text::Text;
use crate::bpf::{
    GplOnly, Helper, KernelVersion, MapType, ProgramType, SectionTarget, allowed, kfuncs,
};
use crate::ops::editing::KernelNames;
use lsp_types::{Position, Range};

/// What there is to say about a place, in Markdown, and of what.
pub fn about(
    text: &Text,
    at: Position,
    oldest: Option<KernelVersion>,
    names: Option<&KernelNames>,
) -> Option<(String, Range)> {
    if let Some((section, range, _)) = text.section_at(at) {
        return Some((about_section(section, oldest)?, range));
    }
    let (word, range) = text.word_at(at)?;
    let known = about_word(word, oldest).or_else(|| about_kfunc(word, names?));
    Some((known?, range))
}

/// A kernel function, by the kernel's own types.
fn about_kfunc(word: &str, names: &KernelNames) -> Option<String> {
    let prototype = names.kfuncs.get(word)?;
    let kernel = &names.kernel;
    let flags = kfuncs::newest(word).filter(|(_, flags)| flags.names().next().is_some());
    let flags = flags
        .map_or(String::new(), |(newest, flags)| format!("\n\nFlags (Linux {newest}): `{flags}`"));
    Some(format!(
        "**{word}**: kernel function (kfunc) of {kernel}\n\n```c\n{prototype};\n```{flags}"
    ))
}

fn about_word(word: &str, oldest: Option<KernelVersion>) -> Option<String> {
    if let Some(helper) = Helper::by_name(word) {
        let gpl = match helper.gpl_only() {
            GplOnly::Never => "any license will do",
            GplOnly::Always => "only for programs with a GPL-compatible license",
            GplOnly::Depends => "some program types need a GPL-compatible license",
        };
        let about = format!("**{word}**: helper {}, {gpl}", helper.id());
        return Some(about + &since(helper.since(), oldest) + &callers(helper));
    }
    if let Some(map_type) = MapType::ALL.iter().find(|known| known.constant() == word) {
        let about = format!("**{word}**: map type {}, `{map_type}`", map_type.id());
        return Some(about + &since(map_type.since(), oldest));
    }
    if let Some(program_type) = ProgramType::ALL.iter().find(|known| known.constant() == word) {
        let about = format!("**{word}**: program type {}, `{program_type}`", program_type.id());
        return Some(about + &since(program_type.since(), oldest));
    }
    None
}

/// The types of program that may call a helper, on the newest kernel that was
/// asked about it.
fn callers(helper: Helper) -> String {
    let Some(newest) = allowed::asked().last() else { return String::new() };
    let types: Vec<String> = allowed::sections_for(helper)
        .iter()
        .map(|section| format!("`{}`", section.program_type))
        .collect();
    match types.len() {
        0 => String::new(),
        count if count == allowed::program_types() => {
            format!("\n\nEvery type of program may call it (Linux {newest}).")
        }
        _ => format!("\n\nMay be called from (Linux {newest}): {}.", types.join(", ")),
    }
}

/// What a section's name means; for one that libbpf does not know, which one
/// was probably meant.
pub fn about_section(section: &str, oldest: Option<KernelVersion>) -> Option<String> {
    let resolved = match SectionTarget::resolve(section) {
        Ok(resolved) => resolved,
        // Maps, the license and functions have sections too.
        Err(error) => {
            let suggestion = error.suggestion.as_ref()?;
            return Some(format!("{error}; did you mean `SEC(\"{suggestion}\")`?"));
        }
    };
    let def = resolved.def;
    let mut about = format!("**SEC(\"{section}\")**: program type `{}`", def.program_type);
    if let Some(attach_type) = def.attach_type {
        about.push_str(&format!(", attach type `{attach_type}`"));
    }
    let mut youngest = def.program_type.since();
    if let Some(attach_type) = def.attach_type {
        youngest = youngest.max(attach_type.since());
    }
    about.push_str(&since(youngest, oldest));
    match resolved.target {
        Some(target) => about.push_str(&format!("\n\nIt is attached to `{target}`.")),
        None if def.takes_target => {
            about.push_str(&format!(
                "\n\nWhat it is attached to may follow: `SEC(\"{section}/…\")`."
            ));
        }
        None => {}
    }
    if def.sleepable {
        about.push_str("\n\nThe program may sleep.");
    }
    if def.frags {
        about.push_str("\n\nIt takes packets that lie in several buffers.");
    }
    if !resolved.autoload {
        about.push_str("\n\n`?`: libbpf loads it only if it is asked to.");
    }
    Some(about)
}

/// Since when, and whether that is too late for the project.
fn since(version: KernelVersion, oldest: Option<KernelVersion>) -> String {
    let mut text = format!("; since Linux {version}");
    if let Some(oldest) = oldest.filter(|oldest| *oldest < version) {
        text.push_str(&format!(
            "\n\n**Not in Linux {oldest}**, the oldest kernel that the project supports."
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hover(line: &str, character: u32) -> Option<String> {
        let text = Text::new(line.to_owned());
        {
            let names = KernelNames {
                kernel: "debian/trixie".to_owned(),
                kfuncs: [(
                    "bpf_task_release".to_owned(),
                    "void bpf_task_release(struct task_struct *p)".to_owned(),
                )]
                .into(),
                ..KernelNames::default()
            };
            let oldest = Some(KernelVersion::new(5, 7));
            about(&text, Position::new(0, character), oldest, Some(&names)).map(|(t, _)| t)
        }
    }

    #[test]
    fn helpers_types_and_sections() {
        let newest = allowed::asked().last().unwrap();
        assert_eq!(
            hover("x = bpf_map_lookup_elem(&m, &k);", 6).unwrap(),
            format!(
                "**bpf_map_lookup_elem**: helper 1, any license will do; since Linux 3.19\n\n\
                 Every type of program may call it (Linux {newest})."
            )
        );
        let adjust = hover("bpf_xdp_adjust_head(ctx, 4);", 6).unwrap();
        assert!(adjust.ends_with("): `xdp`."), "{adjust}");
        assert_eq!(
            hover("__uint(type, BPF_MAP_TYPE_RINGBUF);", 20).unwrap(),
            "**BPF_MAP_TYPE_RINGBUF**: map type 27, `ringbuf`; since Linux 5.8\n\n\
             **Not in Linux 5.7**, the oldest kernel that the project supports."
        );
        let section = hover("SEC(\"kprobe/do_unlinkat\")", 8).unwrap();
        assert!(section.contains("program type `kprobe`"), "{section}");
        assert!(section.contains("attached to `do_unlinkat`"), "{section}");
        assert!(hover("SEC(\"fentry.s/x\")", 8).unwrap().contains("may sleep"));
        let unknown = hover("SEC(\"kprob/do_unlinkat\")", 8).unwrap();
        assert!(unknown.contains("did you mean `SEC(\"kprobe/do_unlinkat\")`"), "{unknown}");
        let kfunc = hover("bpf_task_release(task);", 3).unwrap();
        assert!(kfunc.contains("kfunc") && kfunc.contains("struct task_struct *p"), "{kfunc}");
        assert!(kfunc.contains("): `KF_RELEASE`"), "{kfunc}");
        assert_eq!(hover("SEC(\".maps\")", 8), None);
        assert_eq!(hover("int x;", 4), None);
    }
}
