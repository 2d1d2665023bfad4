//! Which licenses let a program call GPL-only helpers.

/// Whether the kernel takes this license string as compatible with the GPL,
/// letter for letter (`license_is_gpl_compatible` in
/// include/linux/license.h).
pub fn is_gpl_compatible(license: &str) -> bool {
    matches!(
        license,
        "GPL"
            | "GPL v2"
            | "GPL and additional rights"
            | "Dual BSD/GPL"
            | "Dual MIT/GPL"
            | "Dual MPL/GPL"
    )
}
