//! Licenses: SPDX expressions, and what a BPF program says of its license to
//! the kernel.

use super::Error;

/// The license of a new project if nobody chooses one.
pub const DEFAULT: &str = "GPL-2.0-only OR BSD-2-Clause";

/// The licenses that are offered where somebody is asked.
pub const OFFERED: &[&str] =
    &[DEFAULT, "GPL-2.0-only", "GPL-2.0-or-later", "GPL-2.0-only OR MIT", "MIT", "Apache-2.0"];

/// Names that a misspelt one is compared with.
const COMMON: &[&str] = &[
    "0BSD",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "EPL-2.0",
    "EUPL-1.2",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "ISC",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unlicense",
    "Zlib",
];

/// Names that SPDX has retired because they do not say "only" or "or later".
const RETIRED: &[(&str, &str)] = &[
    ("AGPL-3.0", "AGPL-3.0-only"),
    ("GPL-2.0", "GPL-2.0-only"),
    ("GPL-2.0+", "GPL-2.0-or-later"),
    ("GPL-3.0", "GPL-3.0-only"),
    ("GPL-3.0+", "GPL-3.0-or-later"),
    ("LGPL-2.1", "LGPL-2.1-only"),
    ("LGPL-2.1+", "LGPL-2.1-or-later"),
    ("LGPL-3.0", "LGPL-3.0-only"),
];

/// The longest expression that is taken: the kernel reads 128 bytes of a
/// program's license, the final zero among them.
const MAX: usize = 100;

/// Checks an SPDX license expression (SPDX 2.3, annex D).
///
/// Identifiers that are not among the common ones are taken as they are
/// unless they look like a common one misspelt: there are several hundred.
pub fn check(license: &str) -> Result<(), Error> {
    let bad = |reason: String, nearest: Option<String>| {
        Err(Error::BadLicense { license: license.to_owned(), reason, nearest })
    };
    if license.trim().is_empty() {
        return bad("it is empty".to_owned(), None);
    }
    if license.len() > MAX {
        return bad(format!("it is longer than {MAX} characters"), None);
    }
    // An expression is operands with operators between them; parentheses
    // open before an operand and close behind one.
    let (mut wants_operand, mut open) = (true, 0_u32);
    for word in words(license) {
        match (word, wants_operand) {
            ("(", true) => open += 1,
            (")", false) if open > 0 => open -= 1,
            ("AND" | "OR" | "WITH", false) => wants_operand = true,
            ("AND" | "OR" | "WITH" | "(" | ")", _) => {
                return bad(format!("`{word}` stands in the wrong place"), None);
            }
            (id, true) => {
                check_id(license, id)?;
                wants_operand = false;
            }
            (id, false) => {
                let lower = id.to_ascii_uppercase();
                let operator = ["AND", "OR", "WITH"].contains(&lower.as_str());
                let reason = format!("`{id}` stands in the wrong place");
                return bad(reason, operator.then(|| license.replace(id, &lower)));
            }
        }
    }
    if wants_operand || open > 0 {
        return bad("it is not complete".to_owned(), None);
    }
    Ok(())
}

fn check_id(license: &str, id: &str) -> Result<(), Error> {
    let fixed = |nearest: &str| Some(license.replace(id, nearest));
    let bad = |reason: String, nearest| {
        Err(Error::BadLicense { license: license.to_owned(), reason, nearest })
    };
    if COMMON.contains(&id) || id.starts_with("LicenseRef-") {
        return Ok(());
    }
    if let Some(wrong) = id.chars().find(|c| !(c.is_ascii_alphanumeric() || "-.+:".contains(*c))) {
        return bad(format!("it has the character {wrong:?} in it"), None);
    }
    if let Some((_, now)) = RETIRED.iter().find(|(old, _)| *old == id) {
        return bad(format!("SPDX has retired the name `{id}`"), fixed(now));
    }
    let nearest = COMMON
        .iter()
        .map(|known| {
            let (id, known_lower) = (id.to_ascii_lowercase(), known.to_ascii_lowercase());
            (strsim::damerau_levenshtein(&id, &known_lower), *known)
        })
        .min();
    match nearest {
        Some((distance, known)) if distance <= 2 && known.len() > 3 || distance == 0 => {
            bad(format!("`{id}` is no SPDX identifier"), fixed(known))
        }
        _ => Ok(()),
    }
}

fn words(license: &str) -> impl Iterator<Item = &str> {
    license.split_whitespace().flat_map(|word| {
        // Parentheses need no space around them.
        let mut parts = Vec::new();
        let mut rest = word;
        while let Some(at) = rest.find(['(', ')']) {
            if at > 0 {
                parts.push(&rest[..at]);
            }
            parts.push(&rest[at..=at]);
            rest = &rest[at + 1..];
        }
        if !rest.is_empty() {
            parts.push(rest);
        }
        parts
    })
}

/// What a program says of its license to the kernel: the content of its
/// `license` section.
///
/// The kernel lets a program call GPL-only helpers if this is one of a few
/// exact strings (include/linux/license.h, `license_is_gpl_compatible`); they
/// mean version 2 of the GPL. Any other text is taken, and says no.
pub fn for_kernel(license: &str) -> String {
    let ids: Vec<&str> = words(license).collect();
    let has = |wanted: &[&str]| ids.iter().any(|id| wanted.contains(id));
    let gpl2 = has(&["GPL-2.0-only", "GPL-2.0-or-later"]);
    // "Dual" promises a choice, which `AND` does not give.
    let choice = ids.contains(&"OR") && !ids.contains(&"AND");
    if !gpl2 {
        return license.to_owned();
    }
    let text = match choice {
        true if has(&["BSD-2-Clause", "BSD-3-Clause", "0BSD"]) => "Dual BSD/GPL",
        true if has(&["MIT"]) => "Dual MIT/GPL",
        true if has(&["MPL-1.1", "MPL-2.0"]) => "Dual MPL/GPL",
        _ => "GPL",
    };
    text.to_owned()
}

/// Whether the kernel takes a program of this license for GPL-compatible.
pub fn is_gpl_compatible(license: &str) -> bool {
    for_kernel(license).ends_with("GPL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        for good in [
            DEFAULT,
            "MIT",
            "(MIT OR Apache-2.0) AND BSD-3-Clause",
            "GPL-2.0-only WITH Linux-syscall-note",
            "LicenseRef-Proprietary",
            "OFL-1.1",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for (bad, nearest) in [
            ("", None),
            ("GPL-2.0", Some("GPL-2.0-only")),
            ("GPL-2.0 OR MIT", Some("GPL-2.0-only OR MIT")),
            ("apache-2.0", Some("Apache-2.0")),
            ("BSD-2-Clauses", Some("BSD-2-Clause")),
            ("mit", Some("MIT")),
            ("MIT or ISC", Some("MIT OR ISC")),
            ("MIT OR", None),
            ("(MIT", None),
            ("MIT)", None),
            ("OR MIT", None),
            ("MIT \"; int x;", None),
        ] {
            match check(bad) {
                Err(Error::BadLicense { nearest: found, .. }) => {
                    assert_eq!(found.as_deref(), nearest, "{bad}");
                }
                other => panic!("{bad}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_the_kernel_is_told() {
        for (license, told) in [
            (DEFAULT, "Dual BSD/GPL"),
            ("GPL-2.0-or-later", "GPL"),
            ("MIT OR GPL-2.0-only", "Dual MIT/GPL"),
            ("MPL-2.0 OR GPL-2.0-or-later", "Dual MPL/GPL"),
            ("GPL-2.0-only OR Apache-2.0", "GPL"),
            ("GPL-2.0-only AND BSD-2-Clause", "GPL"),
            ("GPL-3.0-only", "GPL-3.0-only"),
            ("MIT", "MIT"),
        ] {
            assert_eq!(for_kernel(license), told, "{license}");
        }
        assert!(is_gpl_compatible(DEFAULT) && !is_gpl_compatible("MIT"));
        assert!(!is_gpl_compatible("GPL-3.0-or-later"));
    }
}
