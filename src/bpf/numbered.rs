//! Enumerations of the kernel's that grow with it: each value has a number, a
//! name of libbpf's and the version that first had it.

/// Makes such an enumeration of a table with a row for each value.
macro_rules! numbered {
    (
        $(#[$doc:meta])* $type:ident: $what:literal;
        $($variant:ident = $id:literal, $name:literal, ($major:literal, $minor:literal);)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum $type {
            $(#[doc = concat!("`", $name, "`.")] $variant = $id,)*
        }

        impl $type {
            #[doc = concat!("Every ", $what, ", by number.")]
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name that libbpf and bpftool use.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            #[doc = concat!("The ", $what, " of that name.")]
            pub fn by_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.name() == name)
            }

            /// The first kernel that has it.
            pub fn since(self) -> $crate::bpf::KernelVersion {
                match self { $(Self::$variant => $crate::bpf::KernelVersion::new($major, $minor),)* }
            }

            /// The number the kernel knows it by.
            pub fn id(self) -> u32 {
                self as u32
            }

            #[doc = concat!("The ", $what, " of that number.")]
            pub fn from_id(id: u32) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.id() == id)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

pub(super) use numbered;
