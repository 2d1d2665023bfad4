//! Who refers to a type.

use super::types::words;
use super::{Btf, Kind, TypeId};

/// A place that mentions a type, directly or through pointers, arrays and
/// qualifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct User {
    /// The type that has the mention: a struct, a union, a typedef, a
    /// function, a variable, or a function's type that no function has.
    pub ty: TypeId,
    /// The member or parameter; none for the type itself: what a typedef
    /// stands for, what a function returns.
    pub part: Option<u32>,
}

impl Btf {
    /// Every place that mentions a type, in the order of their types. What
    /// only stands for the type (a pointer to it, an array of it) is followed
    /// to those that use it; a struct without a name counts as itself.
    pub fn users(&self, id: TypeId) -> Vec<User> {
        if !self.contains(id) {
            return Vec::new();
        }
        // All mentions, by the type that is mentioned.
        let mut mentions: Vec<(u32, User)> = Vec::new();
        for from in self.ids() {
            let Some(record) = self.record(from.0) else { continue };
            let mut mention = |ty: u32, part: Option<usize>| {
                let part = part.and_then(|part| u32::try_from(part).ok());
                mentions.push((ty, User { ty: from, part }));
            };
            match record.kind() {
                Kind::Ptr
                | Kind::Typedef
                | Kind::Volatile
                | Kind::Const
                | Kind::Restrict
                | Kind::TypeTag
                | Kind::Func
                | Kind::Var => mention(record.third, None),
                Kind::Array => mention(words::<1>(record.rest)[0], None),
                Kind::Struct | Kind::Union => {
                    for (index, member) in record.rest.chunks_exact(12).enumerate() {
                        mention(words::<2>(member)[1], Some(index));
                    }
                }
                Kind::FuncProto => {
                    mention(record.third, None);
                    for (index, param) in record.rest.chunks_exact(8).enumerate() {
                        mention(words::<2>(param)[1], Some(index));
                    }
                }
                _ => {}
            }
        }
        mentions.sort_unstable();
        let of = |ty: TypeId| {
            let start = mentions.partition_point(|(mentioned, _)| *mentioned < ty.0);
            mentions[start..].iter().take_while(move |(mentioned, _)| *mentioned == ty.0)
        };
        let mut users = Vec::new();
        let mut seen = vec![false; self.len() as usize];
        let mut open = vec![id];
        while let Some(ty) = open.pop() {
            if std::mem::replace(&mut seen[ty.index()], true) {
                continue;
            }
            for (_, user) in of(ty) {
                match self.kind(user.ty) {
                    Kind::Ptr
                    | Kind::Array
                    | Kind::Volatile
                    | Kind::Const
                    | Kind::Restrict
                    | Kind::TypeTag => open.push(user.ty),
                    Kind::FuncProto => {
                        // A signature has no name; the functions with it do.
                        let before = users.len();
                        let functions = of(user.ty)
                            .filter(|(_, function)| self.kind(function.ty) == Kind::Func);
                        users.extend(
                            functions.map(|(_, function)| User { part: user.part, ..*function }),
                        );
                        if users.len() == before {
                            users.push(*user);
                        }
                    }
                    _ => users.push(*user),
                }
            }
        }
        users.sort_unstable();
        users.dedup();
        users
    }
}
